using System.Numerics;

namespace Mamba.Models.Data.Augmentation;

/// <summary>Any of the eight symmetries of a square: transpose, then mirror columns, then rows. Only a square is transposed.</summary>
internal readonly record struct Symmetry(bool Transpose, bool Mirror, bool Upend) : ISampleOperation
{
    /// <summary>The symmetry that random bits choose.</summary>
    /// <param name="bits">Bits 0 and 1: quarter turns; 2: left to right; 3: top to bottom.</param>
    /// <param name="flips">Whether it flips.</param>
    /// <param name="turns">Whether it turns.</param>
    /// <param name="square">Whether a quarter turn keeps the size; if not, there are half turns only.</param>
    /// <returns>The symmetry.</returns>
    public static Symmetry Of(ulong bits, bool flips, bool turns, bool square)
    {
        int quarters = turns ? (int)(bits & (square ? 3u : 2u)) : 0;
        return new Symmetry(
            (quarters & 1) != 0, (quarters is 1 or 2) ^ (flips && (bits & 4) != 0), (quarters is 2 or 3) ^ (flips && (bits & 8) != 0));
    }

    public Image Apply(Image from) => this == default ? from : Samples.Apply(from, this);

    public LabelMap Apply(LabelMap from) => this == default ? from
        : new LabelMap(from.Width, from.Height, Apply(from.Classes, from.Width, from.Height));

    /// <inheritdoc/>
    public T[] Apply<T>(T[] from, int width, int height) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        int channels = from.Length / (width * height);
        T[] to = new T[from.Length];
        for (int y = 0, at = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                int row = Upend ? height - 1 - y : y, column = Mirror ? width - 1 - x : x;
                if (Transpose) (row, column) = (column, row);
                int source = (row * width + column) * channels;
                for (int c = 0; c < channels; c++) to[at++] = from[source + c];
            }
        }
        return to;
    }
}
