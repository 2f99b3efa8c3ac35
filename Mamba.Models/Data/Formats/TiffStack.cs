using System.Globalization;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Data.Formats;

/// <summary>The pages of a TIFF file as slices of a volume.</summary>
internal sealed class TiffStack : SliceStack
{
    private readonly IReadOnlyList<Image> _pages = [];
    private readonly IReadOnlyList<RawMask> _masks = [];
    private readonly IntensityMap _map;

    /// <param name="path">The file.</param>
    /// <param name="intensity">How values become 16 bits; null for a mask.</param>
    /// <exception cref="ImageException">It cannot be read, or its pages are no slices of one volume.</exception>
    public TiffStack(string path, Intensity? intensity)
        : base(path)
    {
        if (intensity is null) _masks = ImageFile.LoadMaskPages(path);
        else
        {
            _pages = ImageFile.LoadPages(path);
            try
            {
                _map = intensity.Of(_pages);
            }
            catch (ArgumentException e)
            {
                throw new ImageException($"{path}: its pages differ in bits or sign; expected slices of one volume.", e);
            }
        }
        (int Width, int Height)[] sizes =
            [.. _pages.Select(page => (page.Width, page.Height)), .. _masks.Select(mask => (mask.Width, mask.Height))];
        (Count, (Width, Height)) = (sizes.Length, sizes[0]);
        int other = Array.FindIndex(sizes, size => size != sizes[0]);
        if (other > 0)
            throw new ImageException(
                $"{path}: page {other} is {sizes[other].Width} x {sizes[other].Height}, the first {Width} x {Height}; "
                    + "expected slices of one size.");
    }

    /// <inheritdoc/>
    public override int Count { get; }

    /// <inheritdoc/>
    public override int Height { get; }

    /// <inheritdoc/>
    public override int Width { get; }

    /// <inheritdoc/>
    public override string Shape => string.Create(CultureInfo.InvariantCulture, $"{Width} x {Height} x {Count}");

    /// <inheritdoc/>
    public override long Bytes => _pages.Sum(page => page.Bytes) + _masks.Sum(mask => 4L * mask.Values.Length);

    /// <inheritdoc/>
    public override double? VoxelVolume => null;

    /// <inheritdoc/>
    public override string MaskExtension => ".tif";

    /// <inheritdoc/>
    public override Image Slice(int index)
    {
        if (_pages.Count == 0) throw new InvalidOperationException("SliceStack.Slice of a mask; expected a scan.");
        Image page = _pages[index];
        ushort[] samples = page.Is16Bit ? Array.ConvertAll(page.Samples16, sample => Map(sample))
            : Array.ConvertAll(page.Pixels, sample => Map(sample));
        return new Image(Width, Height, page.Channels, samples);
    }

    /// <inheritdoc/>
    public override RawMask Mask(int index) => _masks[index];

    /// <inheritdoc/>
    public override void SaveMask(string path, IReadOnlyList<byte[]> slices) =>
        AtomicFile.Write(path, stream => TiffWriter.Write(stream, Width, Height, slices));

    /// <inheritdoc/>
    public override void SaveProbabilities(string path, IReadOnlyList<ushort[]> slices) => AtomicFile.Write(
        path, stream => TiffWriter.Write(stream, Width, Height, slices));

    private ushort Map(int sample)
    {
        float value = _map.Apply(sample);
        return (ushort)MathF.Round((_map.Clamp ? value : VolumeRange.OfZScore(value)) * ushort.MaxValue);
    }
}
