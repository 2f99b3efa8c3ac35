namespace Mamba.Models.Training;

/// <summary>
/// The work of one step: the gradients of some batches of an epoch, by the weights as they are. Each batch is a shard: it is computed
/// alone, in any process, and its random numbers follow from the step and its place in it.
/// </summary>
/// <param name="Step">Steps of the optimizer that were taken before.</param>
/// <param name="Epoch">The epoch, from 1.</param>
/// <param name="FirstBatch">The first batch, from 0.</param>
/// <param name="Batches">The number of batches; all of the step together.</param>
public readonly record struct StepOrder(long Step, int Epoch, int FirstBatch, int Batches);

/// <summary>What one batch of a step gave, besides its gradient.</summary>
/// <param name="Loss">Its mean loss.</param>
/// <param name="Images">Its images.</param>
public sealed record Shard(double Loss, int Images)
{
    /// <summary>What its batch norms noted, see <see cref="Core.BatchMoments.Values"/>.</summary>
    public double[] Moments { get; init; } = [];

    /// <summary>What was not finite; null if all was. There is no gradient then.</summary>
    public string? Failure { get; init; }
}

/// <summary>Where the gradient of a step comes from: this process, or several.</summary>
public interface IStepGradients : IDisposable
{
    /// <summary>
    /// Computes the gradient of a step, and leaves it with the model's parameters. Gradients of batches, weighted by their images, are
    /// added in the order of <see cref="GradientSums"/>.
    /// </summary>
    /// <param name="order">The step.</param>
    /// <param name="cancellation">Gives up, where that is possible.</param>
    /// <returns>The batches in order; where one failed, it is the last, and there is no gradient.</returns>
    /// <exception cref="OperationCanceledException">It was stopped; there is no gradient.</exception>
    IReadOnlyList<Shard> Compute(StepOrder order, CancellationToken cancellation);

    /// <summary>Nothing more of this epoch is wanted: what was prepared for its next steps is let go.</summary>
    void EndEpoch();
}
