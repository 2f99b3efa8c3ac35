namespace Mamba.Core;

/// <summary>How per-element losses are reduced, as in PyTorch.</summary>
public enum Reduction
{
    /// <summary>The mean; NaN for no elements.</summary>
    Mean,

    /// <summary>The sum.</summary>
    Sum,

    /// <summary>No reduction.</summary>
    None,
}
