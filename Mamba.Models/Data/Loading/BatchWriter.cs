using System.Numerics;
using CommunityToolkit.HighPerformance.Buffers;

namespace Mamba.Models.Data.Loading;

/// <summary>
/// Turns bytes into the numbers that a model reads: normalized, with the model's size and channels. Gray is repeated for three channels;
/// colors are averaged for one.
/// </summary>
public sealed class BatchWriter : IMaskWriter
{
    private readonly int _height, _width, _channels;
    private readonly float[] _scale, _shift;
    private readonly float[][] _table;
    private readonly Normalization _normalization;
    private readonly Intensity _intensity;
    private readonly Resampling _resampling;

    /// <summary>Prepares the normalization.</summary>
    /// <param name="options">Size, channels and normalization.</param>
    /// <exception cref="ArgumentException">The size or the channels are out of range, or do not fit the normalization.</exception>
    public BatchWriter(BatchOptions options)
    {
        (_height, _width, _channels) = (options.Height, options.Width, options.Channels);
        Normalization normalization = options.Normalization ?? Normalization.None(_channels);
        if (_channels is not (1 or 3))
            throw new ArgumentException($"The model takes {_channels} channels, and pictures have 1 or 3; expected a model of 1 or 3.");
        if (_height < 1 || _width < 1)
            throw new ArgumentException($"BatchWriter: input of {_height} x {_width}; expected a positive size.");
        if (!normalization.Fits(_channels))
            throw new ArgumentException(
                $"BatchWriter: means [{string.Join(", ", normalization.Mean)}] and standard deviations "
                    + $"[{string.Join(", ", normalization.Std)}]; expected {_channels} of each, the latter positive.");
        (_normalization, _intensity, _resampling) = (normalization, options.Intensity, options.Resampling);
        _scale = [.. normalization.Std.Select(std => 1 / (255f * std))];
        _shift = [.. normalization.Mean.Zip(normalization.Std, (mean, std) => -mean / std)];
        _table = [.. Enumerable.Range(0, _channels).Select(c => Enumerable.Range(0, 256).Select(v => v * _scale[c] + _shift[c]).ToArray())];
    }

    /// <summary>Writes a picture; one of another size is resized (corners not aligned, as PyTorch's default).</summary>
    /// <param name="image">The picture.</param>
    /// <param name="to">(H, W, C) of the model.</param>
    public void Image(Image image, Span<float> to)
    {
        bool sameSize = image.Width == _width && image.Height == _height;
        if (image.Is16Bit || _intensity.Kind != IntensityKind.None || (!sameSize && _resampling == Resampling.Antialias))
            Image(image, _intensity.Of(image), to);
        else if (!sameSize) Resize(image, to);
        else if (image.Channels == _channels) Convert(image.Pixels, to);
        else
            for (int i = 0; i < _height * _width; i++)
                for (int c = 0; c < _channels; c++)
                    to[i * _channels + c] = _channels == 3
                        ? _table[c][image.Pixels[i]]
                        : (image.Pixels[3 * i] + image.Pixels[3 * i + 1] + image.Pixels[3 * i + 2]) / 3f * _scale[0] + _shift[0];
    }

    /// <summary>Writes a picture, or a slice of a volume, whose samples are mapped as given.</summary>
    /// <param name="image">The picture, of 8 or 16 bits.</param>
    /// <param name="map">What becomes of its samples, for instance the map of the whole volume by <see cref="Intensity"/>.</param>
    /// <param name="to">(H, W, C) of the model.</param>
    public void Image(Image image, IntensityMap map, Span<float> to)
    {
        int from = image.Channels;
        using SpanOwner<float> mapped = SpanOwner<float>.Allocate(image.Width * image.Height * from);
        Span<float> values = mapped.Span;
        if (image.Is16Bit) Apply(map, image.Samples16, values);
        else Apply(map, image.Pixels, values);

        using SpanOwner<float> resized = SpanOwner<float>.Allocate(_width * _height * from);
        bool sameSize = image.Width == _width && image.Height == _height;
        if (!sameSize)
        {
            PlaneResize.Run(values, (image.Height, image.Width), resized.Span, (_height, _width), from, _resampling);
            values = resized.Span;
        }
        for (int i = 0; i < _height * _width; i++)
            for (int c = 0; c < _channels; c++)
            {
                float value = from == _channels ? values[i * from + c] : _channels == 3 ? values[i]
                    : (values[3 * i] + values[3 * i + 1] + values[3 * i + 2]) / 3;
                to[i * _channels + c] = map.Clamp ? (value - _normalization.Mean[c]) / _normalization.Std[c] : value;
            }
    }

    /// <summary>Resizes a sample to the model's size, and keeps its channels and bits: each sample is rounded.</summary>
    /// <param name="sample">The sample.</param>
    /// <returns>The sample itself if it has that size.</returns>
    internal Sample Fit(Sample sample)
    {
        Image image = sample.Image;
        if (image.Width == _width && image.Height == _height) return sample;
        Image fitted = image.Is16Bit
            ? new Image(_width, _height, image.Channels, Fit(image.Samples16, image)) { Origin = image.Origin }
            : new Image(_width, _height, image.Channels, Fit(image.Pixels, image)) { Origin = image.Origin };
        if (sample is not SegmentationSample { Mask: var mask }) return sample with { Image = fitted };
        LabelMap fittedMask = new(_width, _height);
        Mask<byte>(mask, fittedMask.Classes);
        return new SegmentationSample(fitted, fittedMask);
    }

    private T[] Fit<T>(T[] samples, Image image) where T : unmanaged, IBinaryInteger<T>
    {
        using SpanOwner<float> from = SpanOwner<float>.Allocate(samples.Length),
            to = SpanOwner<float>.Allocate(_width * _height * image.Channels);
        for (int i = 0; i < samples.Length; i++) from.Span[i] = float.CreateTruncating(samples[i]);
        PlaneResize.Run(from.Span, (image.Height, image.Width), to.Span, (_height, _width), image.Channels, _resampling);
        T[] fitted = new T[to.Length];
        for (int i = 0; i < fitted.Length; i++) fitted[i] = T.CreateSaturating(to.Span[i] + 0.5f);
        return fitted;
    }

    private static void Apply<T>(IntensityMap map, T[] samples, Span<float> to)
        where T : unmanaged, IBinaryInteger<T>
    {
        for (int i = 0; i < to.Length; i++) to[i] = map.Apply(int.CreateTruncating(samples[i]));
    }

    /// <inheritdoc/>
    public void Mask(LabelMap mask, Span<float> to) => Mask<float>(mask, to);

    /// <summary>The nearest pixels of a mask.</summary>
    private void Mask<T>(LabelMap mask, Span<T> to) where T : INumberBase<T>
    {
        for (int y = 0; y < _height; y++)
        {
            int row = Nearest(y, _height, mask.Height) * mask.Width;
            for (int x = 0; x < _width; x++) to[y * _width + x] = T.CreateTruncating(mask.Classes[row + Nearest(x, _width, mask.Width)]);
        }
    }

    /// <summary>The source pixel that holds the center of pixel i.</summary>
    private static int Nearest(int i, int size, int sourceSize) => (int)((2L * i + 1) * sourceSize / (2L * size));

    private void Convert(ReadOnlySpan<byte> from, Span<float> to)
    {
        if (_channels == 1)
        {
            float[] table = _table[0];
            for (int i = 0; i < from.Length; i++) to[i] = table[from[i]];
            return;
        }
        float[] red = _table[0], green = _table[1], blue = _table[2];
        for (int i = 0; i + 2 < from.Length; i += 3) (to[i], to[i + 1], to[i + 2]) = (red[from[i]], green[from[i + 1]], blue[from[i + 2]]);
    }

    private void Resize(Image image, Span<float> to)
    {
        using SpanOwner<(int Low, int High, float Weight)> across = Axis(image.Width, _width), down = Axis(image.Height, _height);
        ReadOnlySpan<(int Low, int High, float Weight)> columns = across.Span, rows = down.Span;
        int channels = image.Channels;
        ReadOnlySpan<byte> pixels = image.Pixels;
        Span<float> color = stackalloc float[3];
        for (int y = 0, at = 0; y < _height; y++)
        {
            ReadOnlySpan<byte> low = pixels.Slice(rows[y].Low * image.Width * channels, image.Width * channels);
            ReadOnlySpan<byte> high = pixels.Slice(rows[y].High * image.Width * channels, image.Width * channels);
            for (int x = 0; x < _width; x++)
            {
                int left = columns[x].Low * channels, right = columns[x].High * channels;
                for (int c = 0; c < channels; c++)
                {
                    float top = low[left + c] + (low[right + c] - low[left + c]) * columns[x].Weight;
                    float bottom = high[left + c] + (high[right + c] - high[left + c]) * columns[x].Weight;
                    color[c] = top + (bottom - top) * rows[y].Weight;
                }
                if (channels == 1) (color[1], color[2]) = (color[0], color[0]);
                else if (_channels == 1) color[0] = (color[0] + color[1] + color[2]) / 3;
                for (int c = 0; c < _channels; c++) to[at++] = color[c] * _scale[c] + _shift[c];
            }
        }
    }

    /// <summary>The two source pixels between which each pixel's center lies, and the weight of the second.</summary>
    private static SpanOwner<(int Low, int High, float Weight)> Axis(int sourceSize, int size)
    {
        SpanOwner<(int, int, float)> owner = SpanOwner<(int, int, float)>.Allocate(size);
        Span<(int, int, float)> axis = owner.Span;
        for (int i = 0; i < size; i++)
        {
            double source = Math.Max(0, (i + 0.5) * sourceSize / size - 0.5);
            int low = (int)source;
            axis[i] = (low, Math.Min(low + 1, sourceSize - 1), (float)(source - low));
        }
        return owner;
    }
}
