namespace Mamba.Core.Memory;

/// <summary>How the numbers of a frozen weight are stored, row by row, where products of few rows read them.</summary>
public enum WeightFormat
{
    /// <summary>Float32, in place.</summary>
    Float32,

    /// <summary>Float16, half the memory, and a power of two for each row.</summary>
    Float16,

    /// <summary>Whole numbers from -127 to 127, a quarter of the memory, and a scale for each row.</summary>
    Int8,
}
