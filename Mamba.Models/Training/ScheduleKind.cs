namespace Mamba.Models.Training;

/// <summary>The learning rate over a run.</summary>
public enum ScheduleKind
{
    /// <summary>Constant.</summary>
    Constant,

    /// <summary>Multiplied by 0.1 after each third of the epochs.</summary>
    Step,

    /// <summary>Linear warm-up, then half a cosine to zero.</summary>
    Cosine,

    /// <summary>Multiplied by 0.1 when the validation loss has not fallen for more than five epochs.</summary>
    Plateau,
}
