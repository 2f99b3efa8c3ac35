namespace Mamba.Models.Data;

/// <summary>The axis of a volume that slices follow one another along.</summary>
public enum SliceAxis
{
    /// <summary>The third of the file, which most scanners store slice by slice.</summary>
    Z,

    /// <summary>The second.</summary>
    Y,

    /// <summary>The first, which runs fastest.</summary>
    X,
}
