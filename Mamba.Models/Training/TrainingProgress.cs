namespace Mamba.Models.Training;

/// <summary>Where training stands, after each step.</summary>
/// <param name="Epoch">The epoch, from 1.</param>
/// <param name="Images">Training images of this epoch seen so far.</param>
/// <param name="Loss">The mean loss of this epoch so far.</param>
/// <param name="ImagesPerSecond">Training images a second in this epoch.</param>
/// <param name="Validating">Whether the epoch's validation is running.</param>
public sealed record TrainingProgress(int Epoch, int Images, double Loss, double ImagesPerSecond, bool Validating)
{
    /// <summary>Why the step was skipped; null if it was not.</summary>
    public string? Skipped { get; init; }
}
