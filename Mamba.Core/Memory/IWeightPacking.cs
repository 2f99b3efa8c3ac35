namespace Mamba.Core.Memory;

/// <summary>
/// The form in which a kernel reads a weight. It is the key under which a frozen weight caches that form, so it compares by value.
/// </summary>
internal unsafe interface IWeightPacking
{
    /// <summary>Floats of the packed form.</summary>
    nint Size { get; }

    /// <summary>Writes all of the packed form.</summary>
    void Pack(float* weight, float* packed);
}
