using System.Numerics;

namespace Mamba.Models.Data.Augmentation;

/// <summary>A change of samples of 8 or 16 bits that keeps the size of the picture.</summary>
internal interface ISampleOperation
{
    /// <summary>Changes the samples.</summary>
    /// <param name="from">(Height, Width, Channels) in row-major order; they stay as they are.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <returns>As many samples.</returns>
    T[] Apply<T>(T[] from, int width, int height) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>;
}
