namespace Mamba.Core.Memory;

/// <summary>
/// The layout in which a kernel reads a weight. It is the cache key for a frozen weight's packed form, so it compares by value.
/// </summary>
internal unsafe interface IWeightPacking
{
    /// <summary>Floats of the packed form.</summary>
    nint Size { get; }

    /// <summary>Writes the whole packed form.</summary>
    void Pack(float* weight, float* packed);
}
