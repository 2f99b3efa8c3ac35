namespace Mamba.Core.Memory;

/// <summary>The row-by-row storage format of a frozen weight, for products of few rows.</summary>
public enum WeightFormat
{
    /// <summary>Float32, in place.</summary>
    Float32,

    /// <summary>Float16 with a power-of-two scale per row: half the memory.</summary>
    Float16,

    /// <summary>Integers from -127 to 127 with a scale per row: a quarter of the memory.</summary>
    Int8,
}
