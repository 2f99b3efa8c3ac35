using Mamba.Core.Optim;
using Mamba.Models.Recipes;

namespace Mamba.Models.Training;

/// <summary>Optimizer, loss, learning rate and length of a training.</summary>
/// <param name="Recipe">Optimizer and decay.</param>
/// <param name="Objective">The loss and the metrics.</param>
/// <param name="LearningRate">The base learning rate.</param>
/// <param name="Epochs">The most epochs.</param>
public sealed record TrainingPlan(TrainingRecipe Recipe, Objective Objective, double LearningRate, int Epochs)
{
    /// <summary>Stop after this number of epochs without a better validation score; null for never.</summary>
    public int? Patience { get; init; }

    /// <summary>What ends training before its epochs are done; null for nothing.</summary>
    public TrainingBudget? Budget { get; init; }

    /// <summary>
    /// Batches whose gradients are added up, weighted by their images, before a step: the step of one larger batch where the loss is a mean
    /// over images. Each batch is computed alone: batch norm, the Dice of all its pixels, and MixUp know its images only.
    /// </summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>The learning rate over the steps.</summary>
    public Schedule Schedule { get; init; } = Schedules.Constant;

    /// <summary>The measure that selects the best epoch, or <c>loss</c>; null for the first measure.</summary>
    public string? Monitor { get; init; }

    /// <summary>Lowers the learning rate further when the validation loss stops falling; null for never.</summary>
    public Plateau? Plateau { get; init; }

    /// <summary>Bound of the gradients' norm; null for none.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>
    /// The decay of the moving average of the weights (<see cref="WeightAverage"/>), which is validated and saved instead of them; null for
    /// none.
    /// </summary>
    public double? AverageDecay { get; init; }

    /// <summary>
    /// The teacher whose outputs are part of the training loss; null for none. Validation measures the loss of the task alone.
    /// </summary>
    public Distillation? Distillation { get; init; }

    /// <summary>Whether weights of convolutions and linear layers that are zero stay zero: those that pruning took away.</summary>
    public bool KeepZeros { get; init; }

    /// <summary>What to do when a loss or a gradient is NaN or infinite.</summary>
    public NonFiniteAction OnNonFinite { get; init; }

    /// <summary>Whether to check every operator of a training step for NaN and infinity (<see cref="Core.NumericsCheck"/>).</summary>
    public bool CheckNumerics { get; init; }
}
