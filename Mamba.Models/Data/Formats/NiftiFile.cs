using System.Buffers.Binary;
using System.IO.Compression;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// Volumes in NIfTI-1 and NIfTI-2 files, plain or gzip, in either byte order: whole numbers and floats of 8 to 64 bits. Pairs of .hdr and
/// .img, colors, complex numbers and series of volumes are refused.
/// </summary>
public static class NiftiFile
{
    private const int PieceBytes = 1 << 16;
    private const int FirstVoxels = 1 << 16;
    private const long MaxTail = 1 << 26;

    /// <summary>Whether a file's name is that of a NIfTI file: .nii or .nii.gz.</summary>
    /// <param name="path">The file.</param>
    /// <returns>True if it is.</returns>
    public static bool IsNifti(string path) =>
        path.EndsWith(".nii", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".nii.gz", StringComparison.OrdinalIgnoreCase);

    /// <summary>The NIfTI files at any depth of a folder, found as <see cref="ImageFile.Find(string, CancellationToken)"/> does.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <returns>Paths that start with the folder as it is given, in ordinal order.</returns>
    /// <exception cref="IOException">The folder does not exist, or cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be listed.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<string> Find(string folder, CancellationToken cancellation = default) =>
        ImageFile.Find(folder, IsNifti, cancellation);

    /// <summary>A path without its extension, of which .nii.gz is one.</summary>
    /// <param name="path">The path of any file.</param>
    /// <returns>What is before the extension.</returns>
    public static string WithoutExtension(string path)
    {
        string bare = Path.ChangeExtension(path, null);
        return IsNifti(path) && bare.EndsWith(".nii", StringComparison.OrdinalIgnoreCase) ? bare[..^4] : bare;
    }

    /// <summary>Reads a volume; the first bytes of the file tell whether it is packed.</summary>
    /// <param name="path">The file.</param>
    /// <param name="cancellation">Stops between pieces of the file.</param>
    /// <returns>The volume, its values scaled by the file's slope and intercept.</returns>
    /// <exception cref="ImageException">The file cannot be read, is damaged, or is of a kind that is not supported.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static Volume Load(string path, CancellationToken cancellation = default)
    {
        using FileStream file = Open(path);
        return Read(path, file, cancellation);
    }

    /// <summary>Reads a volume from a stream.</summary>
    /// <param name="name">What errors call it.</param>
    /// <param name="file">The whole file, at its beginning; it can seek.</param>
    /// <param name="cancellation">Stops between pieces.</param>
    /// <exception cref="ImageException">It is damaged, or of a kind that is not supported.</exception>
    internal static Volume Read(string name, Stream file, CancellationToken cancellation = default) =>
        Unpacked(name, file, (stream, length) => Read(stream, length, cancellation));

    /// <summary>The header of a file; nothing else is read.</summary>
    /// <exception cref="ImageException">The file cannot be read, or its header is damaged or of a kind that is not supported.</exception>
    internal static NiftiHeader Header(string path)
    {
        using FileStream file = Open(path);
        return Unpacked(path, file, (stream, _) => ReadHeader(stream));
    }

    /// <summary>
    /// Writes classes with the geometry of a volume: type uint8, slope 1, and the dimensions, spacing and transformations of the volume's
    /// file. The file appears whole or not at all. A name that ends in .gz makes it a gzip file.
    /// </summary>
    /// <param name="path">The file, .nii or .nii.gz; one that exists is replaced.</param>
    /// <param name="geometry">The volume that the classes are of.</param>
    /// <param name="classes">X * Y * Z classes, in the order of the volume's values.</param>
    /// <exception cref="ArgumentException">The name ends otherwise, or classes and voxels differ in number.</exception>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void Save(string path, Volume geometry, ReadOnlyMemory<byte> classes)
    {
        if (classes.Length != (long)geometry.X * geometry.Y * geometry.Z)
            throw new ArgumentException(
                $"NiftiFile.Save: {classes.Length} classes for {geometry.X} x {geometry.Y} x {geometry.Z} voxels; expected as many.");
        Save(path, NiftiHeader.ForMask(HeaderOf(geometry)), classes);
    }

    /// <summary>
    /// Writes probabilities with the geometry of a volume: type uint16 and a slope of 1 / 65535, so that programs read 0 to 1.
    /// </summary>
    /// <param name="path">The file, .nii or .nii.gz; one that exists is replaced.</param>
    /// <param name="geometry">The volume that they are of.</param>
    /// <param name="values">X * Y * Z values, in the order of the volume's: 65535 stands for 1.</param>
    /// <exception cref="ArgumentException">The name ends otherwise, or values and voxels differ in number.</exception>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void SaveProbabilities(string path, Volume geometry, ReadOnlySpan<ushort> values)
    {
        if (values.Length != (long)geometry.X * geometry.Y * geometry.Z)
            throw new ArgumentException(
                $"NiftiFile.SaveProbabilities: {values.Length} values for {geometry.X} x {geometry.Y} x {geometry.Z} voxels; expected "
                    + "as many.");
        byte[] header = NiftiHeader.ForProbabilities(HeaderOf(geometry), out bool big), bytes = new byte[2L * values.Length];
        for (int i = 0; i < values.Length; i++)
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2 * i), big ? BinaryPrimitives.ReverseEndianness(values[i]) : values[i]);
        Save(path, header, bytes);
    }

    private static byte[] HeaderOf(Volume geometry) => geometry.Header.Length > 0 ? geometry.Header
        : NiftiHeader.Plain(geometry.X, geometry.Y, geometry.Z, geometry.Spacing);

    private static void Save(string path, byte[] header, ReadOnlyMemory<byte> voxels)
    {
        if (!IsNifti(path)) throw new ArgumentException($"{path}: expected a name that ends in .nii or .nii.gz.", nameof(path));
        AtomicFile.Write(path, stream =>
        {
            using GZipStream? packed = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)
                ? new GZipStream(stream, CompressionLevel.Optimal, leaveOpen: true)
                : null;
            Stream to = packed ?? stream;
            to.Write(header);
            to.Write(voxels.Span);
        });
    }

    private static FileStream Open(string path)
    {
        if (Path.GetExtension(path).ToLowerInvariant() is ".hdr" or ".img")
            throw new ImageException($"{path}: one of a pair of .hdr and .img; expected header and voxels in one .nii or .nii.gz file.");
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new ImageException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads a file by its bytes, unpacked, and their number where that is known.</summary>
    private static T Unpacked<T>(string name, Stream file, Func<Stream, long?, T> read)
    {
        try
        {
            bool packed = file.ReadByte() == 0x1F && file.ReadByte() == 0x8B;
            file.Position = 0;
            using GZipStream? unpacked = packed ? new GZipStream(file, CompressionMode.Decompress, leaveOpen: true) : null;
            return read(unpacked ?? file, packed ? null : file.Length);
        }
        catch (Exception e) when (e is InvalidDataException or (IOException and not ImageException))
        {
            throw new ImageException($"{name}: {e.Message}", e);
        }
    }

    /// <param name="stream">The unpacked file.</param>
    /// <param name="length">Its bytes; null where they are not known.</param>
    /// <param name="cancellation">Stops between pieces.</param>
    private static Volume Read(Stream stream, long? length, CancellationToken cancellation)
    {
        NiftiHeader header = ReadHeader(stream);
        long voxels = (long)header.X * header.Y * header.Z, end = header.Start + voxels * NiftiValues.SizeOf(header.Type);
        if (end > length) throw new InvalidDataException($"ends at byte {length}; expected the last voxel before byte {end}.");
        SkipExtensions(stream, header.Bytes.Length, header.Start);
        float[] values = ReadVoxels(stream, header, (int)voxels, known: length is not null, cancellation);
        if (length is null) CheckTail(stream, end);
        return new Volume(header.X, header.Y, header.Z, header.Spacing, values, header.Bytes);
    }

    private static NiftiHeader ReadHeader(Stream stream)
    {
        byte[] start = Head(stream, 4, 0);
        int size = NiftiHeader.SizeOf(start);
        return size > 0 ? new NiftiHeader([.. start, .. Head(stream, size - 4, 4)])
            : throw new InvalidDataException(
                $"starts with '{Convert.ToHexString(start)}'; expected the size of a NIfTI header, {NiftiHeader.Size1} or "
                    + $"{NiftiHeader.Size2}, in either byte order.");
    }

    private static byte[] Head(Stream stream, int count, int from)
    {
        byte[] bytes = new byte[count];
        int read = stream.ReadAtLeast(bytes, count, throwOnEndOfStream: false);
        return read == count ? bytes : throw new InvalidDataException($"ends at byte {from + read}; expected {from + count} or more.");
    }

    private static void SkipExtensions(Stream stream, long from, long to)
    {
        byte[] piece = new byte[1 << 12];
        for (int read; from < to; from += read)
            if ((read = stream.Read(piece, 0, (int)Math.Min(piece.Length, to - from))) == 0)
                throw new InvalidDataException($"ends at byte {from}; expected the first voxel at byte {to}.");
    }

    /// <summary>
    /// Reads piece by piece. What a packed file will hold is not known before: there the array grows with what is read, so that a small
    /// file cannot ask for the memory of a large one.
    /// </summary>
    private static float[] ReadVoxels(Stream stream, NiftiHeader header, int count, bool known, CancellationToken cancellation)
    {
        int size = NiftiValues.SizeOf(header.Type);
        byte[] piece = new byte[(int)Math.Min(PieceBytes, (long)count * size)];
        float[] values = new float[known ? count : Math.Min(count, FirstVoxels)];
        for (int at = 0; at < count;)
        {
            cancellation.ThrowIfCancellationRequested();
            int voxels = Math.Min(piece.Length / size, count - at);
            int read = stream.ReadAtLeast(piece.AsSpan(0, voxels * size), voxels * size, throwOnEndOfStream: false);
            if (read < voxels * size)
                throw new InvalidDataException(
                    $"ends at byte {header.Start + (long)at * size + read}; expected the last voxel before byte "
                        + $"{header.Start + (long)count * size}.");
            if (at + voxels > values.Length) Array.Resize(ref values, (int)Math.Min(count, Math.Max(at + voxels, 2L * values.Length)));
            NiftiValues.Convert(header, piece, values.AsSpan(at, voxels));
            at += voxels;
        }
        return values;
    }

    /// <summary>A packed file is read to its end, where its checksum is. Some programs write a few bytes behind the voxels.</summary>
    private static void CheckTail(Stream stream, long end)
    {
        byte[] piece = new byte[1 << 12];
        long tail = 0;
        for (int read; (read = stream.Read(piece)) > 0;)
            if ((tail += read) > MaxTail)
                throw new InvalidDataException($"continues for more than {MaxTail} bytes after the last voxel, byte {end}.");
    }
}
