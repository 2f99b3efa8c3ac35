using System.Buffers.Binary;
using System.Text;

namespace Mamba.Core.Checkpoints;

/// <summary>
/// The locations of the entries of a zip archive. Entries must be uncompressed, as torch.save writes them, so that they can be read in
/// place. The central directory is checked against each entry's header and the file. Names must be unique, and entries must not overlap.
/// </summary>
/// <remarks>Format: PKWARE's APPNOTE, sections 4.3 and 4.5.3 (zip64). Checksums are not computed.</remarks>
internal static class ZipDirectory
{
    private const int EndSize = 22, End64Size = 56, LocatorSize = 20, LocalSize = 30, CentralSize = 46;
    private const uint Saturated = uint.MaxValue; // the value is in a zip64 record

    /// <summary>Reads and checks the directory.</summary>
    /// <returns>The location of each entry's bytes, by name.</returns>
    /// <exception cref="CheckpointException">The archive is malformed or uses features that torch.save does not.</exception>
    public static Dictionary<string, (long Start, long Length)> Read(string path, Stream stream)
    {
        (long start, long length) = FindCentralDirectory(path, stream);
        List<Header> headers = [];
        BoundedReader central = new(path, stream, start, length);
        while (central.Remaining > 0) headers.Add(ReadCentral(central));

        Dictionary<string, (long Start, long Length)> entries = [];
        long free = 0;
        foreach (Header header in headers.OrderBy(h => h.Offset))
        {
            long data = CheckLocal(path, stream, header, start);
            if (header.Offset < free) throw new CheckpointException($"{path}: zip entry '{header.Name}' overlaps another");
            free = data + header.Size;
            if (!entries.TryAdd(header.Name, (data, header.Size)))
                throw new CheckpointException($"{path}: zip entry '{header.Name}' is there twice");
        }
        return entries;
    }

    private static (long Start, long Length) FindCentralDirectory(string path, Stream stream)
    {
        long fileLength = stream.Length;
        int tailLength = (int)Math.Min(fileLength, EndSize + ushort.MaxValue);
        byte[] tail = new BoundedReader(path, stream, fileLength - tailLength, tailLength).Bytes((ulong)tailLength);
        int at = tailLength - EndSize;
        while (at >= 0 && !(Magic(tail, at, 0x06054b50)
            && BinaryPrimitives.ReadUInt16LittleEndian(tail.AsSpan(at + 20)) == tailLength - at - EndSize)) at--;
        if (at < 0) throw new CheckpointException($"{path}: no end of a zip archive is found: the file is cut short or damaged");

        long end = fileLength - tailLength + at;
        long length = BinaryPrimitives.ReadUInt32LittleEndian(tail.AsSpan(at + 12)),
            start = BinaryPrimitives.ReadUInt32LittleEndian(tail.AsSpan(at + 16));
        if (length == Saturated || start == Saturated)
        {
            if (end < LocatorSize + End64Size) throw Lost();
            BoundedReader locator = new(path, stream, end - LocatorSize, LocatorSize);
            uint magic = locator.UInt32();
            locator.Skip(4);
            ulong place = locator.UInt64();
            if (magic != 0x07064b50 || place > (ulong)(end - LocatorSize - End64Size)) throw Lost();
            end = (long)place;
            BoundedReader record = new(path, stream, end, End64Size);
            if (record.UInt32() != 0x06064b50) throw Lost();
            record.Skip(36);
            ulong length64 = record.UInt64(), start64 = record.UInt64();
            if (length64 > (ulong)end || start64 > (ulong)end) throw Lost();
            (length, start) = ((long)length64, (long)start64);
        }
        return start <= end - length ? (start, length) : throw Lost();

        CheckpointException Lost() => new($"{path}: the zip archive's directory lies outside the file: it is cut short or damaged");
    }

    private static Header ReadCentral(BoundedReader central)
    {
        if (central.Remaining < CentralSize || central.UInt32() != 0x02014b50)
            throw central.Bad("expected an entry of the zip directory here");
        central.Skip(4);
        ushort flags = central.UInt16(), method = central.UInt16();
        central.Skip(8);
        ulong compressed = central.UInt32(), size = central.UInt32();
        ushort nameLength = central.UInt16(), extraLength = central.UInt16(), commentLength = central.UInt16();
        central.Skip(8);
        ulong offset = central.UInt32();
        string name = Encoding.UTF8.GetString(central.Bytes(nameLength));
        byte[] extra = central.Bytes(extraLength);
        central.Skip(commentLength);
        if (size == Saturated || compressed == Saturated || offset == Saturated)
        {
            Span<byte> wide = Zip64(extra);
            size = Widen(size, ref wide);
            compressed = Widen(compressed, ref wide);
            offset = Widen(offset, ref wide);
        }
        if ((flags & 1) != 0) throw central.Bad($"zip entry '{name}' is encrypted");
        if (method != 0 || compressed != size)
            throw central.Bad($"zip entry '{name}' is compressed (method {method}); torch.save stores entries as they are");
        if (size > long.MaxValue / 2 || offset > long.MaxValue / 2)
            throw central.Bad($"zip entry '{name}' of {size} bytes at {offset} lies outside the file");
        return new Header(name, (long)offset, (long)size);

        ulong Widen(ulong value, ref Span<byte> wide)
        {
            if (value != Saturated) return value;
            if (wide.Length < 8) throw central.Bad($"zip entry '{name}' lacks its 64-bit sizes");
            value = BinaryPrimitives.ReadUInt64LittleEndian(wide);
            wide = wide[8..];
            return value;
        }
    }

    /// <summary>The content of the extra field with number 1.</summary>
    private static Span<byte> Zip64(Span<byte> extra)
    {
        while (extra.Length >= 4)
        {
            int length = BinaryPrimitives.ReadUInt16LittleEndian(extra[2..]);
            if (length > extra.Length - 4) break;
            if (BinaryPrimitives.ReadUInt16LittleEndian(extra) == 1) return extra.Slice(4, length);
            extra = extra[(4 + length)..];
        }
        return [];
    }

    /// <summary>Checks the header of an entry against the directory.</summary>
    /// <returns>The position of its bytes.</returns>
    private static long CheckLocal(string path, Stream stream, Header header, long directory)
    {
        if (header.Offset > directory - LocalSize) throw Outside();
        BoundedReader local = new(path, stream, header.Offset, directory - header.Offset);
        if (local.UInt32() != 0x04034b50) throw local.Bad($"expected the header of zip entry '{header.Name}' here");
        local.Skip(2);
        ushort flags = local.UInt16(), method = local.UInt16();
        local.Skip(12);
        uint size = local.UInt32();
        ushort nameLength = local.UInt16(), extraLength = local.UInt16();
        string name = Encoding.UTF8.GetString(local.Bytes(nameLength));
        local.Skip(extraLength);
        bool sizeFollows = (flags & 8) != 0 && size == 0; // in a record after the data, as torch writes it
        if (name != header.Name || method != 0 || (!sizeFollows && size != Saturated && size != header.Size))
            throw local.Bad($"zip entry '{header.Name}' of {header.Size} bytes calls itself '{name}' of {size} bytes, method {method}");
        return header.Size <= local.Remaining ? local.Position : throw Outside();

        CheckpointException Outside() =>
            new($"{path}: zip entry '{header.Name}' of {header.Size} bytes at {header.Offset} lies outside the file");
    }

    private static bool Magic(byte[] bytes, int at, uint magic) => BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at)) == magic;

    private sealed record Header(string Name, long Offset, long Size);
}
