using System.Globalization;

namespace Mamba.Models.Training;

/// <summary>
/// Bounds of a training beside its epochs. Where one is reached, the epoch under way ends after the running step, is validated as any
/// other, and is the last.
/// </summary>
public sealed record TrainingBudget
{
    /// <summary>Steps of the optimizer; null for no bound.</summary>
    public long? Steps { get; init; }

    /// <summary>The time of training with its validations, also before an interruption; null for no bound.</summary>
    public TimeSpan? Time { get; init; }

    /// <summary>Whether a bound is reached.</summary>
    /// <param name="steps">Steps taken.</param>
    /// <param name="seconds">Seconds of training.</param>
    /// <returns>True if the training must end.</returns>
    public bool IsSpent(long steps, double seconds) => steps >= Steps || seconds >= Time?.TotalSeconds;

    /// <summary>The bound that is reached, in words.</summary>
    /// <param name="steps">Steps taken.</param>
    /// <returns>Such as "the budget of 8 minutes".</returns>
    public string Describe(long steps) => steps >= Steps
        ? string.Create(CultureInfo.InvariantCulture, $"the budget of {Steps} steps")
        : string.Create(CultureInfo.InvariantCulture, $"the budget of {Time?.TotalMinutes:0.######} minutes");
}
