using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>A directory of a TIFF file, classic or BigTIFF. Every place is checked against the file before it is read.</summary>
internal sealed class TiffDirectory
{
    private const int Rational = 5;

    private readonly byte[] _file;
    private readonly bool _little, _big;
    private readonly Dictionary<int, (int Type, long Count, int At)> _entries = [];

    private TiffDirectory(byte[] file, bool little, bool big, long offset)
    {
        (_file, _little, _big) = (file, little, big);
        int head = big ? 8 : 2, size = big ? 20 : 12, link = big ? 8 : 4;
        if (offset < 8 || offset > file.Length - head)
            throw new InvalidDataException($"TIFF directory at byte {offset}; expected it inside the {file.Length} bytes of the file.");
        long count = big ? (long)UInt64((int)offset) : UInt16((int)offset);
        if (count < 1 || count > (file.Length - offset - head) / size)
            throw new InvalidDataException(
                $"TIFF directory of {count} entries at byte {offset}; expected 1 or more, inside the {file.Length} bytes.");
        for (int i = 0, at = (int)offset + head; i < count; i++, at += size)
        {
            int tag = UInt16(at);
            long values = big ? (long)UInt64(at + 4) : UInt32(at + 4);
            if (!_entries.TryAdd(tag, (UInt16(at + 2), values, at + (big ? 12 : 8))))
                throw new InvalidDataException($"TIFF directory in which an entry (number {tag}) stands twice.");
        }
        int next = (int)(offset + head + count * size);
        Next = next + link > file.Length ? 0 : big ? (long)UInt64(next) : UInt32(next);
    }

    /// <summary>Whether numbers begin with their low byte.</summary>
    public bool LittleEndian => _little;

    /// <summary>The place of the next directory; 0 after the last.</summary>
    public long Next { get; }

    /// <summary>The first directory.</summary>
    public static TiffDirectory First(byte[] file)
    {
        if (file.Length < 8 || file[0] != file[1] || file[0] is not ((byte)'I' or (byte)'M'))
            throw new InvalidDataException("TIFF with a damaged header.");
        bool little = file[0] == 'I';
        int version = little ? file[2] | file[3] << 8 : file[2] << 8 | file[3];
        if (version is not (42 or 43) || (version == 43 && file.Length < 16))
            throw new InvalidDataException($"TIFF of an unknown version {version}; expected 42, or 43 of BigTIFF.");
        ReadOnlySpan<byte> at = file.AsSpan(version == 43 ? 8 : 4);
        long first = version == 43
            ? (long)(little ? BinaryPrimitives.ReadUInt64LittleEndian(at) : BinaryPrimitives.ReadUInt64BigEndian(at))
            : little ? BinaryPrimitives.ReadUInt32LittleEndian(at) : BinaryPrimitives.ReadUInt32BigEndian(at);
        return new TiffDirectory(file, little, version == 43, first);
    }

    /// <summary>The directories of full-size pictures; previews and masks that accompany them are left out.</summary>
    /// <exception cref="InvalidDataException">They lead in a circle, or one is damaged.</exception>
    public static List<TiffDirectory> Pages(byte[] file)
    {
        List<TiffDirectory> pages = [];
        HashSet<long> seen = [];
        for (TiffDirectory page = First(file); ; page = new TiffDirectory(file, page._little, page._big, page.Next))
        {
            if (pages.Count == 0 || (page.One(TiffEntry.NewSubfileType, 0) & 5) == 0) pages.Add(page);
            if (page.Next == 0) return pages;
            if (!seen.Add(page.Next)) throw new InvalidDataException("TIFF directories that lead in a circle.");
        }
    }

    public bool Has(TiffEntry tag) => _entries.ContainsKey((int)tag);

    /// <summary>The first number of an entry.</summary>
    public long One(TiffEntry tag, long otherwise) => Has(tag) ? Values(tag)[0] : otherwise;

    /// <summary>The bytes of an entry, for instance a text.</summary>
    public ReadOnlySpan<byte> Bytes(TiffEntry tag)
    {
        (int type, long count, int at) = _entries[(int)tag];
        int size = type switch { 1 or 2 or 6 or 7 => 1, 3 or 8 => 2, 4 or 9 or 11 => 4, 5 or 10 or 12 or 16 or 17 or 18 => 8, _ => 0 };
        if (size == 0) throw new InvalidDataException($"TIFF {tag} of an unknown type {type}.");
        if (count < 1 || count > _file.Length / size)
            throw new InvalidDataException(
                $"TIFF {tag} of {count} values; expected 1 or more, inside the {_file.Length} bytes of the file.");
        long bytes = count * size, place = bytes <= (_big ? 8 : 4) ? at : _big ? (long)UInt64(at) : UInt32(at);
        if (place < 0 || place > _file.Length - bytes)
            throw new InvalidDataException($"TIFF {tag} at byte {place}; expected it inside the {_file.Length} bytes of the file.");
        return _file.AsSpan((int)place, (int)bytes);
    }

    /// <summary>The whole numbers of an entry.</summary>
    public long[] Values(TiffEntry tag)
    {
        ReadOnlySpan<byte> bytes = Bytes(tag);
        int type = _entries[(int)tag].Type, size = type switch { 1 => 1, 3 => 2, 4 => 4, 16 => 8, _ => 0 };
        if (size == 0) throw new InvalidDataException($"TIFF {tag} of type {type}; expected whole numbers.");
        long[] values = new long[bytes.Length / size];
        for (int i = 0; i < values.Length; i++, bytes = bytes[size..])
            values[i] = size switch
            {
                1 => bytes[0],
                2 => _little ? BinaryPrimitives.ReadUInt16LittleEndian(bytes) : BinaryPrimitives.ReadUInt16BigEndian(bytes),
                4 => _little ? BinaryPrimitives.ReadUInt32LittleEndian(bytes) : BinaryPrimitives.ReadUInt32BigEndian(bytes),
                _ => _little ? BinaryPrimitives.ReadInt64LittleEndian(bytes) : BinaryPrimitives.ReadInt64BigEndian(bytes),
            };
        return values;
    }

    /// <summary>The bytes of fractions of four bytes each, as they stand in the file; empty without the entry.</summary>
    public byte[] Fractions(TiffEntry tag, int count) =>
        _entries.TryGetValue((int)tag, out (int Type, long Count, int At) entry) && entry.Type == Rational && entry.Count == count
            ? Bytes(tag).ToArray() : [];

    private ushort UInt16(int at) =>
        _little ? BinaryPrimitives.ReadUInt16LittleEndian(_file.AsSpan(at)) : BinaryPrimitives.ReadUInt16BigEndian(_file.AsSpan(at));

    private uint UInt32(int at) =>
        _little ? BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at)) : BinaryPrimitives.ReadUInt32BigEndian(_file.AsSpan(at));

    private ulong UInt64(int at) =>
        _little ? BinaryPrimitives.ReadUInt64LittleEndian(_file.AsSpan(at)) : BinaryPrimitives.ReadUInt64BigEndian(_file.AsSpan(at));
}
