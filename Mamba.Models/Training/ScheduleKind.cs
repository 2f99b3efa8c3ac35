namespace Mamba.Models.Training;

/// <summary>The learning rate over a run.</summary>
public enum ScheduleKind
{
    /// <summary>Always the same.</summary>
    Constant,

    /// <summary>A tenth after each third of the epochs.</summary>
    Step,

    /// <summary>A short warm-up, then half a cosine to zero.</summary>
    Cosine,

    /// <summary>A tenth each time that the validation loss has not fallen for more than five epochs.</summary>
    Plateau,
}
