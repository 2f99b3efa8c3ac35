using System.Globalization;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Loading;

/// <summary>
/// Images in square tiles at their own resolution: what a model that was trained on crops is measured on. The last tile of a row or column
/// ends with the image, so that a few pixels may be in two tiles; a smaller image has black and background beside it, as in training.
/// </summary>
public sealed class TiledData : IImageData
{
    private readonly IImageData _source;
    private readonly (int Image, CropWindow Window)[] _tiles;

    /// <summary>Cuts images into tiles. Each is loaded once, for its size.</summary>
    /// <param name="source">The images; a <see cref="CachedData"/> spares decoding them for each tile.</param>
    /// <param name="images">The indices of those to cut.</param>
    /// <param name="side">Rows and columns of a tile.</param>
    /// <exception cref="ArgumentOutOfRangeException">The side is not positive.</exception>
    public TiledData(IImageData source, IReadOnlyList<int> images, int side)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(side);
        _source = source;
        _tiles = [.. images.SelectMany(image => Windows(source.Load(image).Image, side), (image, window) => (image, window))];
    }

    /// <inheritdoc/>
    public ModelTask Task => _source.Task;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels => _source.Labels;

    /// <inheritdoc/>
    public int Count => _tiles.Length;

    /// <inheritdoc/>
    /// <remarks>IMAGE@COLUMN,ROW of the tile's first pixel.</remarks>
    public string Name(int index)
    {
        (int image, CropWindow window) = _tiles[index];
        return string.Create(CultureInfo.InvariantCulture, $"{_source.Name(image)}@{window.Left},{window.Top}");
    }

    /// <inheritdoc/>
    /// <remarks>Where patients are not known, the image: its tiles belong together.</remarks>
    public string Patient(int index) => _source.Patient(_tiles[index].Image);

    /// <inheritdoc/>
    public bool KnowsPatients => true;

    /// <inheritdoc/>
    public Sample Load(int index) => _tiles[index].Window.Apply(_source.Load(_tiles[index].Image));

    private static IEnumerable<CropWindow> Windows(Image image, int side) =>
        from top in Starts(image.Height, side)
        from left in Starts(image.Width, side)
        select new CropWindow(left, top, side, side);

    private static IEnumerable<int> Starts(int extent, int side) => extent <= side ? [(extent - side) / 2]
        : Enumerable.Range(0, (extent + side - 1) / side).Select(i => Math.Min(i * side, extent - side));
}
