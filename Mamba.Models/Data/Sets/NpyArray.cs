using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.IO.Hashing;
using System.Text;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// An array of a NumPy .npz archive: whole numbers of 8 to 64 bits in row-major order. The format is that of NumPy's own description, NEP
/// 1.
/// </summary>
/// <param name="Type">u or i and the bytes of a number, such as u1.</param>
/// <param name="IsBigEndian">Whether the most significant byte comes first.</param>
/// <param name="Shape">The extents.</param>
/// <param name="Values">The numbers.</param>
internal sealed record NpyArray(string Type, bool IsBigEndian, int[] Shape, ReadOnlyMemory<byte> Values)
{
    private const int MaxHeader = 1 << 12, MaxRank = 8, PieceBytes = 1 << 20;
    private const long MaxInflation = 1032; // deflate expands one byte to at most so many

    /// <summary>Reads an entry whole and checks its checksum.</summary>
    /// <exception cref="InvalidDataException">It is damaged, too large, or of another type.</exception>
    public static NpyArray Read(ZipArchiveEntry entry, CancellationToken cancellation)
    {
        long length = entry.Length;
        if (length > DataFile.MaxBytes || length / MaxInflation > entry.CompressedLength)
            throw new InvalidDataException(
                $"{length} bytes from {entry.CompressedLength} packed ones; expected at most {DataFile.MaxBytes}, and at most "
                    + $"{MaxInflation} times as many.");
        byte[] bytes = ReadAll(entry, (int)length, cancellation);
        if (Crc32.HashToUInt32(bytes) != entry.Crc32) throw new InvalidDataException("its checksum differs; the file is damaged");
        (string text, int begin) = Header(bytes);
        (string type, bool big, int[] shape) = Parse(text);
        long values = shape.Aggregate(1L, (product, extent) => Math.Min(product * extent, DataFile.MaxBytes + 1)) * (type[1] - '0');
        return values == length - begin
            ? new NpyArray(type, big, shape, bytes.AsMemory(begin))
            : throw new InvalidDataException($"{length - begin} bytes of values for ({string.Join(", ", shape)}) of {type}.");
    }

    /// <summary>A number as it stands there; one beyond long's range becomes its largest.</summary>
    public long Number(int index)
    {
        int size = Type[1] - '0';
        ReadOnlySpan<byte> bytes = Values.Span.Slice(index * size, size);
        ulong value = 0;
        for (int i = 0; i < size; i++) value |= (ulong)bytes[IsBigEndian ? size - 1 - i : i] << (8 * i);
        if (Type[0] == 'u') return (long)Math.Min(value, long.MaxValue);
        int unused = 64 - 8 * size;
        return (long)(value << unused) >> unused;
    }

    /// <summary>What is unpacked decides how much memory is taken, not what the archive says.</summary>
    private static byte[] ReadAll(ZipArchiveEntry entry, int length, CancellationToken cancellation)
    {
        using Stream stream = entry.Open();
        byte[] bytes = new byte[Math.Min(length, PieceBytes)];
        int read = 0;
        for (int piece; read < length; read += piece)
        {
            cancellation.ThrowIfCancellationRequested();
            if (read == bytes.Length) Array.Resize(ref bytes, (int)Math.Min(length, 2L * bytes.Length));
            piece = stream.Read(bytes, read, Math.Min(PieceBytes, bytes.Length - read));
            if (piece == 0) throw new InvalidDataException($"ends at byte {read}; expected {length}");
        }
        if (stream.ReadByte() >= 0) throw new InvalidDataException($"continues after byte {length}; expected its end there");
        return bytes;
    }

    /// <summary>The text that describes the values, and where they begin.</summary>
    private static (string Text, int Begin) Header(byte[] bytes)
    {
        if (bytes.Length < 12 || bytes[0] != 0x93 || !bytes.AsSpan(1, 5).SequenceEqual("NUMPY"u8))
            throw new InvalidDataException("is no NumPy array: its first bytes are not those of an .npy file");
        int prefix = bytes[6] == 1 ? 10 : 12;
        long length = prefix == 10
            ? BinaryPrimitives.ReadUInt16LittleEndian(bytes.AsSpan(8))
            : BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(8));
        if (bytes[6] is < 1 or > 3 || length > Math.Min(MaxHeader, bytes.Length - prefix))
            throw new InvalidDataException(
                $"version {bytes[6]} with {length} bytes of header; expected version 1 to 3 and at most {MaxHeader}");
        return (Encoding.Latin1.GetString(bytes, prefix, (int)length), prefix + (int)length);
    }

    /// <summary>Reads the three entries of a Python dictionary; other text is refused, so that none is misread.</summary>
    private static (string Type, bool Big, int[] Shape) Parse(string header)
    {
        string descr = After("'descr'").Split('\'') is [_, var quoted, ..] ? quoted : "";
        if (descr.Length != 3 || descr[0] is not ('|' or '<' or '>' or '=') || descr[1..] is not
            ("u1" or "i1" or "u2" or "i2" or "u4" or "i4" or "u8" or "i8"))
            throw new InvalidDataException($"numbers of type '{descr}'; expected whole numbers, such as '|u1'");
        if (!After("'fortran_order'").StartsWith("False", StringComparison.Ordinal))
            throw new InvalidDataException("its columns come one after another (fortran_order); expected rows");
        string shape = After("'shape'");
        int end = shape.IndexOf(')');
        if (!shape.StartsWith('(') || end < 0) throw new InvalidDataException("no shape in its header");
        string[] words = shape[1..end].Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        int[] extents = [.. words.Select(word =>
            int.TryParse(word.TrimEnd('L'), NumberStyles.None, CultureInfo.InvariantCulture, out int extent) ? extent
                : throw new InvalidDataException($"a shape with '{word}'; expected whole numbers"))];
        if (extents.Length is 0 or > MaxRank) throw new InvalidDataException($"{extents.Length} dimensions; expected 1 to {MaxRank}");
        return (descr[1..], descr[0] == '>', extents);

        string After(string key)
        {
            int at = header.IndexOf(key, StringComparison.Ordinal);
            if (at < 0) throw new InvalidDataException($"no {key} in its header");
            return header[(at + key.Length)..].TrimStart(':', ' ');
        }
    }
}
