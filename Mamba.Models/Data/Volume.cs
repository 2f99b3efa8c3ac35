namespace Mamba.Models.Data;

/// <summary>
/// Voxels of a scan in the order of its file: x runs fastest, then y, then z. Nothing is turned or flipped; where the axes point in the
/// patient is in the file's own header, which a mask of the same geometry repeats.
/// </summary>
public sealed class Volume
{
    /// <summary>The most voxels of a volume, 2^28. A larger one is refused before anything is allocated.</summary>
    public const int MaxVoxels = 1 << 28;

    /// <summary>Wraps values.</summary>
    /// <param name="x">Voxels along the first axis.</param>
    /// <param name="y">Voxels along the second axis.</param>
    /// <param name="z">Voxels along the third axis, 1 for a flat picture.</param>
    /// <param name="spacing">Millimeters from voxel to voxel.</param>
    /// <param name="values">x * y * z values; kept, not copied.</param>
    /// <exception cref="ArgumentException">The number of values does not fit the size.</exception>
    public Volume(int x, int y, int z, (float X, float Y, float Z) spacing, float[] values)
        : this(x, y, z, spacing, values, [])
    {
    }

    internal Volume(int x, int y, int z, (float X, float Y, float Z) spacing, float[] values, byte[] header)
    {
        if (x < 1 || y < 1 || z < 1 || (Int128)x * y * z != values.Length || values.Length > MaxVoxels)
            throw new ArgumentException(
                $"Volume: {values.Length} values for {x} x {y} x {z} voxels; expected as many, from 1 to {MaxVoxels}.");
        (X, Y, Z, Spacing, Values, Header) = (x, y, z, spacing, values, header);
    }

    /// <summary>Voxels along the first axis.</summary>
    public int X { get; }

    /// <summary>Voxels along the second axis.</summary>
    public int Y { get; }

    /// <summary>Voxels along the third axis, 1 for a flat picture.</summary>
    public int Z { get; }

    /// <summary>Millimeters from voxel to voxel along X, Y and Z; 1 where the file says 0.</summary>
    public (float X, float Y, float Z) Spacing { get; }

    /// <summary>X * Y * Z values, as the file's slope and intercept make them. NaN where the file has NaN.</summary>
    public float[] Values { get; }

    /// <summary>The header of the file, in its own byte order: the geometry that a mask repeats. Empty if there was no file.</summary>
    internal byte[] Header { get; }

    /// <summary>The number of slices across an axis.</summary>
    /// <param name="axis">0 (X), 1 (Y) or 2 (Z).</param>
    /// <returns>X, Y or Z.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public int Extent(int axis) => axis switch
    {
        0 => X,
        1 => Y,
        2 => Z,
        _ => throw new ArgumentOutOfRangeException(nameof(axis), axis, "expected 0 (X), 1 (Y) or 2 (Z)"),
    };

    /// <summary>
    /// The size of a slice. Across Z, rows are Y and columns are X. Across Y, rows are Z and columns are X. Across X, rows are Z and
    /// columns are Y.
    /// </summary>
    /// <param name="axis">0 (X), 1 (Y) or 2 (Z): the axis that the slice is across.</param>
    /// <returns>Rows and columns.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis.</exception>
    public (int Rows, int Columns) SliceSize(int axis)
    {
        Extent(axis); // checks it
        return (axis == 2 ? Y : Z, axis == 0 ? Y : X);
    }

    /// <summary>
    /// The voxels across an axis, in rows of <see cref="SliceSize"/>. Row 0 and column 0 are those of the file's first voxel: a picture of
    /// it may be upside down.
    /// </summary>
    /// <param name="axis">0 (X), 1 (Y) or 2 (Z).</param>
    /// <param name="index">0 to <see cref="Extent"/> - 1.</param>
    /// <returns>(Rows, Columns) values in row-major order.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such axis or slice.</exception>
    public float[] Slice(int axis, int index)
    {
        (int first, int row, int column) = Steps(axis, index);
        (int rows, int columns) = SliceSize(axis);
        float[] plane = new float[rows * columns];
        for (int r = 0, at = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) plane[at++] = Values[first + r * row + c * column];
        return plane;
    }

    /// <summary>Puts the values of a slice at their place among those of the volume: the reverse of <see cref="Slice"/>.</summary>
    /// <param name="axis">0 (X), 1 (Y) or 2 (Z).</param>
    /// <param name="index">0 to <see cref="Extent"/> - 1.</param>
    /// <param name="plane">(Rows, Columns) values in row-major order.</param>
    /// <param name="classes">X * Y * Z values, in the order of <see cref="Values"/>.</param>
    /// <typeparam name="T">Classes, or probabilities.</typeparam>
    /// <exception cref="ArgumentException">The plane or the volume has another number of voxels.</exception>
    public void PutSlice<T>(int axis, int index, ReadOnlySpan<T> plane, Span<T> classes) where T : unmanaged
    {
        (int first, int row, int column) = Steps(axis, index);
        (int rows, int columns) = SliceSize(axis);
        if (plane.Length != rows * columns || classes.Length != Values.Length)
            throw new ArgumentException(
                $"Volume.PutSlice: {plane.Length} classes for {rows} x {columns} voxels of {classes.Length}; expected "
                    + $"{rows * columns} of {Values.Length}.");
        for (int r = 0, at = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) classes[first + r * row + c * column] = plane[at++];
    }

    /// <summary>Where a slice begins, and how far its rows and columns are apart.</summary>
    private (int First, int Row, int Column) Steps(int axis, int index)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(index);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(index, Extent(axis));
        int plane = X * Y;
        return axis switch
        {
            0 => (index, plane, X),
            1 => (index * X, plane, 1),
            _ => (index * plane, X, 1),
        };
    }
}
