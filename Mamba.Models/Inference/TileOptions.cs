using Mamba.Models.Files;

namespace Mamba.Models.Inference;

/// <summary>
/// How a large picture is cut into tiles. The model sees each tile as it is, without resizing, and where tiles overlap their probabilities
/// are blended.
/// </summary>
/// <param name="Tile">Rows and columns of a tile, positive; a side of the picture that is smaller is one tile.</param>
/// <param name="Overlap">Rows and columns that neighbors share at least, from 0 to less than a tile.</param>
public sealed record TileOptions(int Tile, int Overlap)
{
    // A picture that is resized by more than this loses what a model was trained to see.
    private const int LargestShrink = 4;

    /// <summary>The tiles for a picture that is far larger than those a model was trained on.</summary>
    /// <param name="info">The model.</param>
    /// <param name="width">Columns of the picture.</param>
    /// <param name="height">Rows of the picture.</param>
    /// <returns>
    /// Tiles of the training's size that overlap by a quarter, if a side has more than four times as many pixels, or if the model was
    /// trained on smaller crops of that size; null otherwise.
    /// </returns>
    public static TileOptions? Automatic(ModelInfo info, int width, int height)
    {
        int tile = Math.Max(info.Data.Height, info.Data.Width);
        bool beyond = height > tile || width > tile; // than the crops of the training, which had this resolution
        bool large = info.Data.Crop == tile ? beyond : height > LargestShrink * info.Data.Height || width > LargestShrink * info.Data.Width;
        return large ? new TileOptions(tile, tile / LargestShrink) : null;
    }

    /// <summary>Refuses sizes that cover no picture.</summary>
    /// <exception cref="ArgumentException">The tile or the overlap is out of range.</exception>
    internal void ThrowIfUnfit()
    {
        if (Tile < 1 || Overlap < 0 || Overlap >= Tile)
            throw new ArgumentException(
                $"Segmenter: tiles of {Tile} that overlap by {Overlap}; expected a positive tile, and less overlap.");
    }
}
