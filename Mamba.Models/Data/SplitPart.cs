namespace Mamba.Models.Data;

/// <summary>A part of a split data set.</summary>
public enum SplitPart
{
    /// <summary>To learn from.</summary>
    Train,

    /// <summary>To choose the best weights by.</summary>
    Val,

    /// <summary>To measure on.</summary>
    Test,

    /// <summary>The three together.</summary>
    All,
}
