namespace Mamba.Core;

/// <summary>What becomes of the losses of single elements, as in PyTorch.</summary>
public enum Reduction
{
    /// <summary>Their mean. That of no elements is NaN.</summary>
    Mean,

    /// <summary>Their sum.</summary>
    Sum,

    /// <summary>They stay as they are.</summary>
    None,
}
