namespace Mamba.Models.Studies;

/// <summary>What a study does with a run.</summary>
public enum StudyPhase
{
    /// <summary>It has ended in an earlier call, and is left as it is.</summary>
    Skipped,

    /// <summary>It is about to be trained.</summary>
    Training,

    /// <summary>Its weights are about to be measured.</summary>
    Testing,

    /// <summary>It has ended.</summary>
    Ended,

    /// <summary>It has failed; the study goes on to the next.</summary>
    Failed,
}

/// <summary>Where a study stands.</summary>
/// <param name="Run">The run.</param>
/// <param name="Number">Its place among those asked for, from 1.</param>
/// <param name="Count">The runs asked for.</param>
/// <param name="Phase">What happens with it.</param>
public sealed record StudyProgress(StudyRun Run, int Number, int Count, StudyPhase Phase)
{
    /// <summary>The expected seconds of the runs before this one.</summary>
    public double SecondsBefore { get; init; }

    /// <summary>The expected seconds of this run.</summary>
    public double SecondsOfRun { get; init; }

    /// <summary>The expected seconds of this run and those after it.</summary>
    public double SecondsLeft { get; init; }

    /// <summary>
    /// Whether these are seconds. Before the first run of a study without a budget of time has ended, they only compare the runs.
    /// </summary>
    public bool IsTimed { get; init; }

    /// <summary>What it measured, or why it failed; null before.</summary>
    public RunResult? Result { get; init; }
}
