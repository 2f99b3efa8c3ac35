namespace Mamba.Models.Data;

/// <summary>A part of a split data set.</summary>
public enum SplitPart
{
    /// <summary>Training images.</summary>
    Train,

    /// <summary>Validation images; they choose the best weights.</summary>
    Val,

    /// <summary>Test images; they measure the result.</summary>
    Test,

    /// <summary>The three together.</summary>
    All,
}
