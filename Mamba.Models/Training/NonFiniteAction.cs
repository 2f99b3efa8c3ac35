namespace Mamba.Models.Training;

/// <summary>What to do when a loss or a gradient is NaN or infinite.</summary>
public enum NonFiniteAction
{
    /// <summary>Stop before the step; the model stays as it was.</summary>
    Stop,

    /// <summary>Skip the step; the model stays as it was.</summary>
    Skip,
}
