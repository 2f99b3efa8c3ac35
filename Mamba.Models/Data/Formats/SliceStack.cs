namespace Mamba.Models.Data.Formats;

/// <summary>
/// A volume as slices of one size: a NIfTI file across one of its axes, or the pages of a TIFF file. As a scan its slices are pictures,
/// as a mask they are values. Several threads may read slices at once.
/// </summary>
public abstract class SliceStack
{
    private protected SliceStack(string path) => Path = path;

    /// <summary>The file.</summary>
    public string Path { get; }

    /// <summary>The number of slices.</summary>
    public abstract int Count { get; }

    /// <summary>Rows of a slice.</summary>
    public abstract int Height { get; }

    /// <summary>Columns of a slice.</summary>
    public abstract int Width { get; }

    /// <summary>The extents in the order of the file, such as "64 x 64 x 20".</summary>
    public abstract string Shape { get; }

    /// <summary>Bytes of its values in memory.</summary>
    public abstract long Bytes { get; }

    /// <summary>Cubic millimeters of a voxel; null where the file does not say.</summary>
    public abstract double? VoxelVolume { get; }

    /// <summary>The extension of a mask of this volume: .nii.gz or .tif.</summary>
    public abstract string MaskExtension { get; }

    /// <summary>Where its voxels lie in the patient; null for a TIFF file, which does not say.</summary>
    internal virtual NiftiGeometry? Geometry => null;

    /// <summary>Whether a file is a stack: a NIfTI file, or a TIFF file of several pages.</summary>
    /// <param name="path">The file; a TIFF is looked at.</param>
    /// <returns>True if it is; false also for a TIFF that cannot be read.</returns>
    public static bool IsStack(string path) => NiftiFile.IsNifti(path) || Pages(path) > 1;

    /// <summary>Reads a scan.</summary>
    /// <param name="path">A NIfTI or TIFF file.</param>
    /// <param name="axis">The axis that slices follow one another along; pages of a TIFF do so along z.</param>
    /// <param name="intensity">How the values of the whole volume become the 16 bits of its slices.</param>
    /// <param name="cancellation">Stops between pieces of the file.</param>
    /// <returns>The stack.</returns>
    /// <exception cref="ImageException">It cannot be read, is damaged, or does not go with axis or intensity.</exception>
    public static SliceStack Load(string path, SliceAxis axis, Intensity intensity, CancellationToken cancellation = default) =>
        Read(path, axis, intensity, cancellation);

    /// <summary>Reads a mask.</summary>
    /// <param name="path">A NIfTI or TIFF file.</param>
    /// <param name="axis">The axis that slices follow one another along.</param>
    /// <param name="cancellation">Stops between pieces of the file.</param>
    /// <returns>The stack.</returns>
    /// <exception cref="ImageException">It cannot be read, or is damaged.</exception>
    public static SliceStack LoadMask(string path, SliceAxis axis, CancellationToken cancellation = default) =>
        Read(path, axis, null, cancellation);

    /// <summary>The slices of a file, by its header alone.</summary>
    /// <exception cref="ImageException">It cannot be read, or is damaged.</exception>
    internal static int CountSlices(string path, SliceAxis axis) => Look(path, axis).Slices;

    /// <summary>The slices of a file and where its axes point, by its header alone.</summary>
    /// <exception cref="ImageException">It cannot be read, or is damaged.</exception>
    internal static (int Slices, string? Orientation) Look(string path, SliceAxis axis)
    {
        if (!NiftiFile.IsNifti(path)) return (ImageFile.PageCount(path), null);
        NiftiHeader header = NiftiFile.Header(path);
        int slices = axis switch { SliceAxis.X => header.X, SliceAxis.Y => header.Y, _ => header.Z };
        return (slices, NiftiGeometry.Of(header).Orientation);
    }

    /// <summary>How far the voxels of a file are apart, by its header alone; null for a TIFF file, which does not say.</summary>
    /// <exception cref="ImageException">It cannot be read, or is damaged.</exception>
    internal static VoxelSpacing? SpacingOf(string path, SliceAxis axis)
    {
        if (!NiftiFile.IsNifti(path)) return null;
        (float x, float y, float z) = NiftiFile.Header(path).Spacing;
        return axis switch
        {
            SliceAxis.X => new VoxelSpacing(x, z, y),
            SliceAxis.Y => new VoxelSpacing(y, z, x),
            _ => new VoxelSpacing(z, y, x),
        };
    }

    /// <summary>A slice of a scan.</summary>
    /// <param name="index">0 to <see cref="Count"/> - 1.</param>
    /// <returns>
    /// A picture of 16 bits to which the intensity is applied: 0 to 65535 stand for 0 to 1, or for the z-scores -8 to 8.
    /// </returns>
    /// <exception cref="InvalidOperationException">It was read as a mask.</exception>
    public abstract Image Slice(int index);

    /// <summary>A slice of a mask: values that have no meaning yet.</summary>
    /// <param name="index">0 to <see cref="Count"/> - 1.</param>
    /// <returns>The values.</returns>
    /// <exception cref="ImageException">A value is no whole number from 0 to 65535.</exception>
    public abstract RawMask Mask(int index);

    /// <summary>Writes a mask of this volume, with its geometry.</summary>
    /// <param name="path">The file, which ends in <see cref="MaskExtension"/>; one that exists is replaced.</param>
    /// <param name="slices">(Height, Width) values of each slice in turn.</param>
    /// <exception cref="Mamba.Core.Checkpoints.CheckpointException">The file cannot be written.</exception>
    public abstract void SaveMask(string path, IReadOnlyList<byte[]> slices);

    /// <summary>Writes probabilities for this volume, with its geometry, as 16 bits: 65535 stands for 1.</summary>
    /// <param name="path">The file, which ends in <see cref="MaskExtension"/>; one that exists is replaced.</param>
    /// <param name="slices">(Height, Width) values of each slice in turn.</param>
    /// <exception cref="Mamba.Core.Checkpoints.CheckpointException">The file cannot be written.</exception>
    public abstract void SaveProbabilities(string path, IReadOnlyList<ushort[]> slices);

    private static SliceStack Read(string path, SliceAxis axis, Intensity? intensity, CancellationToken cancellation)
    {
        if (NiftiFile.IsNifti(path)) return new NiftiStack(path, axis, intensity, cancellation);
        return axis == SliceAxis.Z ? new TiffStack(path, intensity) : throw new ImageException(
            $"{path}: pages of a TIFF file, and axis {axis.ToString().ToLowerInvariant()}; expected axis z, along which pages follow one "
                + "another.");
    }

    private static int Pages(string path)
    {
        if (System.IO.Path.GetExtension(path).ToLowerInvariant() is not (".tif" or ".tiff")) return 1;
        try
        {
            return ImageFile.PageCount(path);
        }
        catch (ImageException)
        {
            return 1; // found again, and named, when it is read
        }
    }
}
