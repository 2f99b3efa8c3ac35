using Mamba.Core.Optim;
using Mamba.Models.Recipes;

namespace Mamba.Models.Training;

/// <summary>How long and how fast to learn.</summary>
/// <param name="Recipe">Optimizer and decay.</param>
/// <param name="Objective">The loss and the metrics.</param>
/// <param name="LearningRate">The base learning rate.</param>
/// <param name="Epochs">The most epochs.</param>
public sealed record TrainingPlan(TrainingRecipe Recipe, Objective Objective, double LearningRate, int Epochs)
{
    /// <summary>Epochs without a better validation score after which training stops; null for never.</summary>
    public int? Patience { get; init; }

    /// <summary>The learning rate over the steps.</summary>
    public Schedule Schedule { get; init; } = Schedules.Constant;

    /// <summary>Lowers the learning rate further when the validation loss stops falling; null for never.</summary>
    public Plateau? Plateau { get; init; }

    /// <summary>Bound of the gradients' norm; null for none.</summary>
    public double? MaxGradientNorm { get; init; }

    /// <summary>The decay of an average of the weights (<see cref="WeightAverage"/>) that is validated and kept in their place; null for none.</summary>
    public double? AverageDecay { get; init; }

    /// <summary>What happens when a loss or a gradient is not finite.</summary>
    public NonFiniteAction OnNonFinite { get; init; }

    /// <summary>Whether every operator of a training step is looked at for numbers that are not finite (<see cref="Core.NumericsCheck"/>).</summary>
    public bool CheckNumerics { get; init; }
}
