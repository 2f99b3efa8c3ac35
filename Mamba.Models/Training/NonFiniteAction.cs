namespace Mamba.Models.Training;

/// <summary>What happens when a loss or a gradient is not finite.</summary>
public enum NonFiniteAction
{
    /// <summary>Training ends before the step, with the model as it was.</summary>
    Stop,

    /// <summary>The step is skipped, with the model as it was.</summary>
    Skip,
}
