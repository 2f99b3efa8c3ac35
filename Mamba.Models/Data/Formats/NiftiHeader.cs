using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// The header of a NIfTI-1 (348 bytes) or NIfTI-2 (540 bytes) file, in either byte order. The same fields stand at other places and in
/// other types; the facts are those of nifti1.h and nifti2.h.
/// </summary>
internal sealed class NiftiHeader
{
    public const int Size1 = 348, Size2 = 540;

    private const int Extender = 4; // four bytes behind the header say whether extensions follow
    private const long MaxExtensions = 1 << 26;
    private const int UInt8 = 2, UInt16 = 512;

    private readonly byte[] _bytes;
    private readonly bool _big;

    /// <summary>Reads a header and checks what follows from it.</summary>
    /// <param name="bytes">348 or 540 bytes, as <see cref="SizeOf"/> says; kept.</param>
    /// <exception cref="InvalidDataException">It is malformed, or of a kind that is not read.</exception>
    public NiftiHeader(byte[] bytes)
    {
        (_bytes, _big) = (bytes, BinaryPrimitives.ReadInt32LittleEndian(bytes) != bytes.Length);
        CheckMagic();
        Type = Int16(Second ? 12 : 70);
        if (NiftiValues.SizeOf(Type) == 0)
            throw new InvalidDataException(
                $"datatype {Type} ({NameOf(Type)}) at byte {(Second ? 12 : 70)}; expected whole numbers or floats of up to 64 bits.");
        (X, Y, Z) = Extents();
        (Slope, Intercept) = Scaling();
        Start = DataStart();
        Spacing = (Millimeters(1), Millimeters(2), Millimeters(3));
        Affine = Transformation();
    }

    /// <summary>Voxels along the axes.</summary>
    public int X { get; }

    /// <summary>Voxels along the second axis.</summary>
    public int Y { get; }

    /// <summary>Voxels along the third axis.</summary>
    public int Z { get; }

    /// <summary>NIfTI's code of the type of the values.</summary>
    public int Type { get; }

    /// <summary>A value is the stored number times this, plus <see cref="Intercept"/>.</summary>
    public double Slope { get; }

    /// <summary>See <see cref="Slope"/>.</summary>
    public double Intercept { get; }

    /// <summary>The byte of the file where the values begin.</summary>
    public long Start { get; }

    /// <summary>Millimeters between voxels.</summary>
    public (float X, float Y, float Z) Spacing { get; }

    /// <summary>
    /// From the numbers of a voxel to the millimeters of the patient, right, front and top: 3 rows of 4 factors. Null where the file does
    /// not say it.
    /// </summary>
    public double[]? Affine { get; }

    /// <summary>Whether numbers have their most significant byte first.</summary>
    public bool IsBigEndian => _big;

    /// <summary>The header as it stands in the file.</summary>
    public byte[] Bytes => _bytes;

    private bool Second => _bytes.Length == Size2;

    /// <summary>The bytes of the header that begins with these four; 0 for none.</summary>
    public static int SizeOf(ReadOnlySpan<byte> start) => BinaryPrimitives.ReadInt32LittleEndian(start) switch
    {
        Size1 or 0x5C010000 => Size1,
        Size2 or 0x1C020000 => Size2,
        _ => 0,
    };

    /// <summary>
    /// The header and extender of a mask with the geometry of a volume: one byte for a voxel, no scaling, no extensions. Dimensions,
    /// spacing and both transformations stay.
    /// </summary>
    public static byte[] ForMask(byte[] header) => For(new NiftiHeader([.. header]), UInt8, 8, slope: 1);

    /// <summary>As <see cref="ForMask"/>, for probabilities of 16 bits: 65535 stands for 1.</summary>
    /// <param name="header">The header of the volume.</param>
    /// <param name="big">Whether numbers have their most significant byte first.</param>
    public static byte[] ForProbabilities(byte[] header, out bool big)
    {
        NiftiHeader own = new([.. header]);
        big = own.IsBigEndian;
        return For(own, UInt16, 16, slope: 1.0 / ushort.MaxValue);
    }

    private static byte[] For(NiftiHeader mask, short type, short bits, double slope)
    {
        byte[] bytes = mask._bytes;
        if (mask.Second)
        {
            mask.Put16(12, type);
            mask.Put16(14, bits);
            mask.Put64(168, Size2 + Extender);
            mask.Put64(176, BitConverter.DoubleToInt64Bits(slope));
            bytes.AsSpan(184, 24).Clear(); // the intercept, and the range for display
        }
        else
        {
            mask.Put16(70, type);
            mask.Put16(72, bits);
            mask.Put32(108, BitConverter.SingleToInt32Bits(Size1 + Extender));
            mask.Put32(112, BitConverter.SingleToInt32Bits((float)slope));
            mask.Put32(116, 0);
            bytes.AsSpan(124, 8).Clear(); // the range for display
        }
        return [.. bytes, .. new byte[Extender]];
    }

    /// <summary>The header of a NIfTI-1 file without a transformation.</summary>
    /// <exception cref="ArgumentException">An extent is beyond 32767.</exception>
    public static byte[] Plain(int x, int y, int z, (float X, float Y, float Z) spacing)
    {
        if (Math.Max(x, Math.Max(y, z)) > short.MaxValue)
            throw new ArgumentException($"a volume of {x} x {y} x {z} voxels; expected at most {short.MaxValue} along an axis.");
        byte[] bytes = new byte[Size1];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, Size1);
        int[] dimensions = [3, x, y, z, 1, 1, 1, 1];
        float[] sizes = [1, spacing.X, spacing.Y, spacing.Z];
        for (int i = 0; i < dimensions.Length; i++)
            BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(40 + 2 * i), (short)dimensions[i]);
        for (int i = 0; i < sizes.Length; i++) BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(76 + 4 * i), sizes[i]);
        BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(70), UInt8);
        BinaryPrimitives.WriteInt16LittleEndian(bytes.AsSpan(72), 8);
        bytes[123] = 2; // millimeters
        "n+1\0"u8.CopyTo(bytes.AsSpan(344));
        return bytes;
    }

    private void CheckMagic()
    {
        int at = Second ? 4 : 344;
        ReadOnlySpan<byte> magic = _bytes.AsSpan(at, 4);
        if (magic.SequenceEqual(Second ? "n+2\0"u8 : "n+1\0"u8)) return;
        throw new InvalidDataException(magic.SequenceEqual(Second ? "ni2\0"u8 : "ni1\0"u8)
            ? "a header whose voxels are in another file (.hdr and .img); expected both in one .nii or .nii.gz file."
            : $"magic '{Convert.ToHexString(magic)}' at byte {at}; expected 'n+{(Second ? 2 : 1)}' of a NIfTI file. "
                + "Analyze 7.5 files are not read.");
    }

    private (int X, int Y, int Z) Extents()
    {
        long rank = Dimension(0);
        if (rank is < 1 or > 7) throw new InvalidDataException($"{rank} dimensions at byte {PlaceOfDimension(0)}; expected 1 to 7.");
        long[] extents = [1, 1, 1, 1, 1, 1, 1];
        long voxels = 1;
        for (int i = 0; i < rank; i++)
        {
            extents[i] = Dimension(i + 1);
            if (extents[i] < 1 || extents[i] > Volume.MaxVoxels || (voxels *= extents[i]) > Volume.MaxVoxels)
                throw new InvalidDataException(
                    $"extent {extents[i]} of dimension {i + 1} at byte {PlaceOfDimension(i + 1)}; expected 1 or more, and at most "
                        + $"{Volume.MaxVoxels} voxels in all.");
        }
        long series = extents[3] * extents[4] * extents[5] * extents[6];
        return series == 1
            ? ((int)extents[0], (int)extents[1], (int)extents[2])
            : throw new InvalidDataException(
                $"a series of {series} volumes ({string.Join(" x ", extents.Take((int)rank))}); expected one. Write each volume to a file "
                    + "of its own.");
    }

    private (double Slope, double Intercept) Scaling()
    {
        double slope = Real(Second ? 176 : 112), intercept = Real(Second ? 184 : 116);
        if (slope == 0 || !double.IsFinite(slope)) return (1, 0); // 0 means that there is none, and some programs write NaN for it
        return double.IsFinite(intercept)
            ? (slope, intercept)
            : throw new InvalidDataException($"intercept {intercept} at byte {(Second ? 184 : 116)}; expected a finite number.");
    }

    private long DataStart()
    {
        double start = Second ? Int64(168) : Real(108);
        if (start == 0) return _bytes.Length + Extender; // not said
        return start >= _bytes.Length && start <= _bytes.Length + MaxExtensions && start == Math.Floor(start)
            ? (long)start
            : throw new InvalidDataException(
                $"voxels from byte {start}, as it says at byte {(Second ? 168 : 108)}; expected {_bytes.Length} or more, and at most "
                    + $"{MaxExtensions} bytes of extensions.");
    }

    /// <summary>Millimeters of the file's unit. Only the three low bits of the units are about lengths.</summary>
    private double Unit => ((Second ? (int)Unsigned(500, 4) : _bytes[123]) & 7) switch { 1 => 1000, 3 => 0.001, _ => 1 };

    private int PlaceOfSize(int axis) => Second ? 104 + 8 * axis : 76 + 4 * axis;

    /// <summary>The size of a voxel.</summary>
    private float Millimeters(int axis)
    {
        int at = PlaceOfSize(axis);
        double size = Math.Abs(Real(at)) * Unit;
        if (!float.IsFinite((float)size))
            throw new InvalidDataException($"a voxel size of {size} at byte {at}; expected a finite number.");
        return size == 0 ? 1 : (float)size;
    }

    /// <summary>The factors of the file, or else those of its quaternion; null if it has neither, or one is not finite.</summary>
    private double[]? Transformation()
    {
        int codes = Second ? 344 : 252, size = Second ? 8 : 4, first = Second ? 352 : 256;
        (ulong quaternion, ulong factors) = (Unsigned(codes, Second ? 4 : 2), Unsigned(codes + (Second ? 4 : 2), Second ? 4 : 2));
        double[] numbers = [.. Enumerable.Range(0, 18).Select(i => Real(first + i * size))];
        double[]? affine = factors != 0 ? [.. numbers[6..].Select(factor => factor * Unit)]
            : quaternion != 0 ? Rotated(numbers)
            : null;
        return affine is not null && Array.TrueForAll(affine, double.IsFinite) ? affine : null;
    }

    /// <summary>The rotation of a unit quaternion, whose first number follows from the others, as nifti1.h has it.</summary>
    private double[] Rotated(double[] numbers)
    {
        (double b, double c, double d) = (numbers[0], numbers[1], numbers[2]);
        double square = 1 - b * b - c * c - d * d, a = square > 1e-7 ? Math.Sqrt(square) : 0;
        if (a == 0)
        {
            double length = Math.Sqrt(b * b + c * c + d * d);
            (b, c, d) = (b / length, c / length, d / length);
        }
        double mirror = Real(PlaceOfSize(0)) < 0 ? -1 : 1;
        (double x, double y, double z) = (Spacing.X, Spacing.Y, mirror * Spacing.Z);
        return
        [
            x * (a * a + b * b - c * c - d * d), y * 2 * (b * c - a * d), z * 2 * (b * d + a * c), numbers[3] * Unit,
            x * 2 * (b * c + a * d), y * (a * a + c * c - b * b - d * d), z * 2 * (c * d - a * b), numbers[4] * Unit,
            x * 2 * (b * d - a * c), y * 2 * (c * d + a * b), z * (a * a + d * d - b * b - c * c), numbers[5] * Unit,
        ];
    }

    private int PlaceOfDimension(int index) => Second ? 16 + 8 * index : 40 + 2 * index;

    private long Dimension(int index) => Second ? Int64(PlaceOfDimension(index)) : Int16(PlaceOfDimension(index));

    private double Real(int at) =>
        Second ? BitConverter.Int64BitsToDouble(Int64(at)) : BitConverter.UInt32BitsToSingle((uint)Unsigned(at, 4));

    private long Int64(int at) => (long)Unsigned(at, 8);

    private short Int16(int at) => (short)Unsigned(at, 2);

    private ulong Unsigned(int at, int size)
    {
        ulong value = 0;
        for (int i = 0; i < size; i++) value |= (ulong)_bytes[at + (_big ? size - 1 - i : i)] << (8 * i);
        return value;
    }

    private void Put16(int at, short value) => Put(at, 2, value);

    private void Put32(int at, int value) => Put(at, 4, value);

    private void Put64(int at, long value) => Put(at, 8, value);

    private void Put(int at, int size, long value)
    {
        for (int i = 0; i < size; i++) _bytes[at + (_big ? size - 1 - i : i)] = (byte)(value >> (8 * i));
    }

    private static string NameOf(int type) => type switch
    {
        1 => "bits",
        32 or 1792 or 2048 => "complex numbers",
        128 or 2304 => "colors",
        1536 => "floats of 128 bits",
        _ => "unknown",
    };
}
