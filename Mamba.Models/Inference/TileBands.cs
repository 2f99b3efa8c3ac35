using System.Diagnostics;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;

namespace Mamba.Models.Inference;

/// <summary>
/// The probabilities of a large picture, band by band from the top. Memory holds one row of tiles. The weight of a pixel in a tile is the
/// product of a row's and a column's, so that the sum over tiles is one, too, and needs no image of its own.
/// </summary>
internal sealed class TileBands
{
    // Tiles of a small model run side by side. This many pixels at once keep the memory of a large one bounded.
    private const int MostTiles = 4, MostPixels = MostTiles << 16;

    private readonly Func<Tensor, Tensor> _predict;
    private readonly Func<Tape?> _watch;
    private readonly BatchWriter _writer;
    private readonly Image _image, _tile;
    private readonly IntensityMap? _map;
    private readonly int _inputChannels, _classes;
    private readonly TileAxis _down, _across;
    private readonly float[] _band;
    private int _row;

    /// <summary>Cuts a picture into tiles.</summary>
    /// <param name="predict">From (N, h, w, channels) to probabilities, (N, h, w, classes).</param>
    /// <param name="watch">Opens a tape over some tiles; null where nothing is watched.</param>
    /// <param name="input">Channels and normalization of the model's input.</param>
    /// <param name="image">The picture.</param>
    /// <param name="options">Tile and overlap.</param>
    /// <param name="classes">Classes of the model.</param>
    public TileBands(
        Func<Tensor, Tensor> predict, Func<Tape?> watch, BatchOptions input, Image image, TileOptions options, int classes)
    {
        options.ThrowIfUnfit();
        (_predict, _watch, _image, _inputChannels, _classes) = (predict, watch, image, input.Channels, classes);
        (_down, _across) = (new TileAxis(image.Height, options), new TileAxis(image.Width, options));
        _writer = new BatchWriter(input with { Height = _down.Extent, Width = _across.Extent });
        // What is measured of the samples, as a percentile, is that of the whole picture.
        _map = image.Is16Bit || input.Intensity.Kind != IntensityKind.None ? input.Intensity.Of(image) : null;
        int samples = _across.Extent * _down.Extent * image.Channels;
        _tile = image.Is16Bit ? new Image(_across.Extent, _down.Extent, image.Channels, new ushort[samples])
            : new Image(_across.Extent, _down.Extent, image.Channels, new byte[samples]);
        _band = new float[checked(_down.Extent * image.Width * classes)];
    }

    /// <summary>The first row of the band.</summary>
    public int Y { get; private set; }

    /// <summary>The rows of the band: (rows, Width, classes). The next call of <see cref="Next"/> overwrites them.</summary>
    public ReadOnlySpan<float> Rows => _band.AsSpan(0, RowsOf(_row - 1) * RowLength);

    /// <summary>Time of the model so far.</summary>
    public double Milliseconds { get; private set; }

    private int RowLength => _image.Width * _classes;

    /// <summary>Computes the next band; false after the last.</summary>
    public bool Next()
    {
        if (_row == _down.Starts.Length) return false;
        if (_row > 0)
        {
            int gone = RowsOf(_row - 1) * RowLength;
            _band.AsSpan(gone).CopyTo(_band);
            _band.AsSpan(_band.Length - gone).Clear();
        }
        Y = _down.Starts[_row];
        int together = Math.Clamp(MostPixels / (_down.Extent * _across.Extent), 1, MostTiles);
        for (int first = 0; first < _across.Starts.Length; first += together)
            AddTiles(first, Math.Min(together, _across.Starts.Length - first));
        _row++;
        for (int y = 0; y < RowsOf(_row - 1); y++) Normalize(_band.AsSpan(y * RowLength, RowLength), _down.Scale[Y + y]);
        return true;
    }

    /// <summary>The rows of a row of tiles that no later one covers.</summary>
    private int RowsOf(int row) => (row + 1 < _down.Starts.Length ? _down.Starts[row + 1] : _image.Height) - _down.Starts[row];

    private void AddTiles(int first, int count)
    {
        using MemoryScope scope = new();
        using Tape? tape = _watch();
        Tensor x = Tensor.Empty(count, _down.Extent, _across.Extent, _inputChannels);
        int size = x.Count / count;
        for (int i = 0; i < count; i++)
        {
            Crop(_across.Starts[first + i]);
            if (_map is { } map) _writer.Image(_tile, map, x.Span.Slice(i * size, size));
            else _writer.Image(_tile, x.Span.Slice(i * size, size));
        }
        long start = Stopwatch.GetTimestamp();
        ReadOnlySpan<float> y = _predict(x).Span;
        Milliseconds += Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        size = y.Length / count;
        for (int i = 0; i < count; i++) Blend(y.Slice(i * size, size), _across.Starts[first + i]);
    }

    private void Crop(int x)
    {
        if (_image.Is16Bit) Crop(_image.Samples16, _tile.Samples16, x);
        else Crop(_image.Pixels, _tile.Pixels, x);
    }

    private void Crop<T>(T[] from, T[] to, int x)
    {
        int channels = _image.Channels, length = _across.Extent * channels;
        for (int row = 0; row < _down.Extent; row++)
            from.AsSpan(((Y + row) * _image.Width + x) * channels, length).CopyTo(to.AsSpan(row * length));
    }

    private void Blend(ReadOnlySpan<float> tile, int x)
    {
        for (int row = 0; row < _down.Extent; row++)
        {
            Span<float> to = _band.AsSpan(row * RowLength + x * _classes, _across.Extent * _classes);
            ReadOnlySpan<float> from = tile.Slice(row * to.Length, to.Length);
            for (int column = 0; column < _across.Extent; column++)
            {
                float weight = _down.Window[row] * _across.Window[column];
                for (int i = column * _classes; i < (column + 1) * _classes; i++) to[i] += weight * from[i];
            }
        }
    }

    private void Normalize(Span<float> row, float scale)
    {
        for (int x = 0; x < _image.Width; x++)
        {
            float factor = scale * _across.Scale[x];
            for (int i = x * _classes; i < (x + 1) * _classes; i++) row[i] *= factor;
        }
    }
}
