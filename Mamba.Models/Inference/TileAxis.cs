namespace Mamba.Models.Inference;

/// <summary>
/// The tiles along one side of a picture. A tile's weight at pixel i is sin^2(pi (i + 1/2) / n), a Hann window that is positive at its
/// ends: where a tile begins, its share of the blend begins near 0, so that there is no seam.
/// </summary>
internal sealed class TileAxis
{
    /// <summary>Places the tiles.</summary>
    /// <param name="size">Pixels of the side.</param>
    /// <param name="options">Tile and overlap.</param>
    public TileAxis(int size, TileOptions options)
    {
        Extent = Math.Min(size, options.Tile);
        int step = options.Tile - options.Overlap, count = (size - Extent + step - 1) / step + 1;
        Starts = [.. Enumerable.Range(0, count).Select(i => Math.Min(i * step, size - Extent))];
        Window = [.. Enumerable.Range(0, Extent).Select(i => (float)Math.Pow(Math.Sin(Math.PI * (i + 0.5) / Extent), 2))];
        Scale = new float[size];
        foreach (int start in Starts)
            for (int i = 0; i < Extent; i++) Scale[start + i] += Window[i];
        for (int i = 0; i < size; i++) Scale[i] = 1f / Scale[i];
    }

    /// <summary>Pixels of a tile.</summary>
    public int Extent { get; }

    /// <summary>The first pixel of each tile; the last tile ends with the picture.</summary>
    public int[] Starts { get; }

    /// <summary>The weight of each pixel of a tile.</summary>
    public float[] Window { get; }

    /// <summary>One over the sum of the weights of all tiles at each pixel of the side.</summary>
    public float[] Scale { get; }
}
