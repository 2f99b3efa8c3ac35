using System.Buffers.Binary;

namespace Mamba.Models.Data;

/// <summary>
/// What a TIFF's first directory promises, checked against the file before LibTiff sees it: LibTiff allocates what the directory asks for, gigabytes
/// for a damaged number, already while opening.
/// </summary>
internal sealed class TiffHeader
{
    private const int ByteType = 1, ShortType = 3, LongType = 4, EntryBytes = 12;

    private readonly bool _little;
    private long _tileWidth = 1, _tileHeight = 1, _rowsPerStrip = 1, _samples = 1, _bits = 1, _compression = 1;

    private TiffHeader(ReadOnlySpan<byte> file)
    {
        _little = file[0] == 'I';
        if (file.Length < 8 || UInt16(file, 2) != 42) throw new InvalidDataException("TIFF of an unknown version; expected 42, the classic form.");
        long directory = UInt32(file, 4), entries = directory <= file.Length - 2 ? UInt16(file, (int)directory) : 0, end = directory + 2 + entries * EntryBytes;
        if (entries == 0 || end > file.Length) throw new InvalidDataException($"TIFF directory of {entries} entries at byte {directory}; expected some, inside the {file.Length} bytes of the file.");
        for (int entry = (int)directory + 2; entry < end; entry += EntryBytes) ReadEntry(file, entry);
    }

    public long Width { get; private set; }

    public long Height { get; private set; }

    /// <summary>Whether the samples are grey values, 0 white or 0 black.</summary>
    public bool Grey { get; private set; } = true;

    public static TiffHeader Read(ReadOnlySpan<byte> file)
    {
        TiffHeader header = new(file);
        ImageFile.CheckSize("TIFF", header.Width, header.Height);
        ImageFile.CheckSize("TIFF tile", header._tileWidth, header._tileHeight);
        (long samples, long bits) = (header._samples, header._bits);
        if (samples is < 1 or > 4 || bits is not (1 or 2 or 4 or 8 or 16))
            throw new InvalidDataException($"TIFF with {samples} samples of {bits} bits; expected 1 to 4 samples of 1, 2, 4, 8 or 16 bits.");
        if (header._rowsPerStrip == 0) throw new InvalidDataException("TIFF with strips of 0 rows; expected at least 1.");
        // What each way of packing can save at best (none: subsampled colours), so that a short file cannot make us allocate a large picture.
        long best = header._compression switch { 1 => 2, 32773 => 128, _ => 1 << 14 };
        if (header.Width * header.Height * samples * bits / 8 > best * file.Length)
            throw new InvalidDataException($"TIFF of {header.Width} x {header.Height} pixels in {file.Length} bytes; expected more image data.");
        return header;
    }

    private void ReadEntry(ReadOnlySpan<byte> file, int entry)
    {
        int tag = UInt16(file, entry), type = UInt16(file, entry + 2);
        int size = type switch { 3 or 8 => 2, 4 or 9 or 11 or 13 => 4, 5 or 10 or 12 => 8, _ => 1 };
        long count = UInt32(file, entry + 4), at = count * size <= 4 ? entry + 8 : UInt32(file, entry + 8);
        if (at + count * size > file.Length)
            throw new InvalidDataException($"TIFF tag {tag} with {count} values at byte {at}; expected them inside the {file.Length} bytes of the file.");
        if (count == 0) return;
        long value = type switch { ByteType => file[(int)at], ShortType => UInt16(file, (int)at), LongType => UInt32(file, (int)at), _ => 0 };
        // A tag that stands twice counts with its larger value, whichever LibTiff takes.
        switch (tag)
        {
            case 256: Width = Math.Max(Width, value); break;
            case 257: Height = Math.Max(Height, value); break;
            case 258: _bits = Math.Max(_bits, value); break;
            case 259: _compression = Math.Max(_compression, value); break;
            case 262: Grey = value <= 1; break;
            case 277: _samples = Math.Max(_samples, value); break;
            case 278: _rowsPerStrip = value; break;
            case 322: _tileWidth = Math.Max(_tileWidth, value); break;
            case 323: _tileHeight = Math.Max(_tileHeight, value); break;
        }
    }

    private int UInt16(ReadOnlySpan<byte> file, int at) =>
        _little ? BinaryPrimitives.ReadUInt16LittleEndian(file[at..]) : BinaryPrimitives.ReadUInt16BigEndian(file[at..]);

    private long UInt32(ReadOnlySpan<byte> file, int at) =>
        _little ? BinaryPrimitives.ReadUInt32LittleEndian(file[at..]) : BinaryPrimitives.ReadUInt32BigEndian(file[at..]);
}
