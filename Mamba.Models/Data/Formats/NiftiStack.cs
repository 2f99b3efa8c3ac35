using System.Globalization;

namespace Mamba.Models.Data.Formats;

/// <summary>A NIfTI volume across one of its axes.</summary>
internal sealed class NiftiStack : SliceStack
{
    private const float WholeEnough = 1e-3f; // what a slope leaves of a whole number

    private readonly Volume _volume;
    private readonly int _axis;
    private readonly VolumeRange? _range;

    /// <param name="path">The file.</param>
    /// <param name="axis">The axis along which slices follow one another.</param>
    /// <param name="intensity">How values become 16 bits; null for a mask.</param>
    /// <param name="cancellation">Stops between pieces of the file.</param>
    /// <exception cref="ImageException">It cannot be read, or no intensity can be found.</exception>
    public NiftiStack(string path, SliceAxis axis, Intensity? intensity, CancellationToken cancellation)
        : base(path)
    {
        _volume = NiftiFile.Load(path, cancellation);
        _axis = axis switch { SliceAxis.X => 0, SliceAxis.Y => 1, _ => 2 };
        Geometry = NiftiGeometry.Of(new NiftiHeader(_volume.Header));
        try
        {
            _range = intensity is null ? null : VolumeRange.Of(intensity, _volume.Values);
        }
        catch (InvalidDataException e)
        {
            throw new ImageException($"{path}: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public override int Count => _volume.Extent(_axis);

    /// <inheritdoc/>
    public override int Height => _volume.SliceSize(_axis).Rows;

    /// <inheritdoc/>
    public override int Width => _volume.SliceSize(_axis).Columns;

    /// <inheritdoc/>
    public override string Shape => string.Create(CultureInfo.InvariantCulture, $"{_volume.X} x {_volume.Y} x {_volume.Z}");

    /// <inheritdoc/>
    public override long Bytes => 4L * _volume.Values.Length;

    /// <inheritdoc/>
    public override double? VoxelVolume => (double)_volume.Spacing.X * _volume.Spacing.Y * _volume.Spacing.Z;

    /// <inheritdoc/>
    public override string MaskExtension => ".nii.gz";

    /// <inheritdoc/>
    internal override NiftiGeometry Geometry { get; }

    /// <inheritdoc/>
    public override Image Slice(int index)
    {
        VolumeRange range = _range ?? throw new InvalidOperationException("SliceStack.Slice of a mask; expected a scan.");
        return new Image(Width, Height, 1, Array.ConvertAll(_volume.Slice(_axis, index), range.Apply));
    }

    /// <inheritdoc/>
    public override RawMask Mask(int index)
    {
        float[] values = _volume.Slice(_axis, index);
        int[] whole = new int[values.Length];
        for (int i = 0; i < values.Length; i++)
        {
            float near = MathF.Round(values[i]);
            if (!(Math.Abs(values[i] - near) <= WholeEnough) || near is < 0 or > ushort.MaxValue)
                throw new ImageException(string.Create(
                    CultureInfo.InvariantCulture,
                    $"{Path}: value {values[i]} in slice {index} of the mask, row {i / Width}, column {i % Width}; "
                        + $"expected whole numbers from 0 to {ushort.MaxValue}."));
            whole[i] = (int)near;
        }
        return new RawMask(Width, Height, MaskEncoding.Gray, whole);
    }

    /// <inheritdoc/>
    public override void SaveMask(string path, IReadOnlyList<byte[]> slices)
    {
        byte[] classes = new byte[_volume.Values.Length];
        for (int i = 0; i < Count; i++) _volume.PutSlice<byte>(_axis, i, slices[i], classes);
        NiftiFile.Save(path, _volume, classes);
    }

    /// <inheritdoc/>
    public override void SaveProbabilities(string path, IReadOnlyList<ushort[]> slices)
    {
        ushort[] values = new ushort[_volume.Values.Length];
        for (int i = 0; i < Count; i++) _volume.PutSlice<ushort>(_axis, i, slices[i], values);
        NiftiFile.SaveProbabilities(path, _volume, values);
    }
}
