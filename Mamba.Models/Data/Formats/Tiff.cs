using System.Buffers.Binary;
using System.IO.Compression;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// The first picture of a TIFF 6.0 file: gray, RGB or palette, 1 to 16 bits, strips or tiles, chunky or planar, plain, PackBits, LZW or
/// Deflate. Extra samples such as alpha are dropped. It exists because the managed package allocates whatever a damaged directory says.
/// </summary>
internal sealed class Tiff
{
    private const int EntryBytes = 12, Uncompressed = 1, Lzw = 5, Deflate = 8, OldDeflate = 32946, PackBits = 32773;

    private enum Tag
    {
        Width = 256, Height = 257, Bits = 258, Compression = 259, Photometric = 262, FillOrder = 266, StripOffsets = 273, Orientation = 274,
        Samples = 277, RowsPerStrip = 278, StripCounts = 279, Planar = 284, Predictor = 317, Palette = 320,
        TileWidth = 322, TileHeight = 323, TileOffsets = 324, TileCounts = 325, SampleFormat = 339,
    }

    private readonly byte[] _file;
    private readonly bool _little;
    private readonly Dictionary<int, int> _entries = []; // the offset of each tag's entry in the file
    private readonly int _width, _height, _bits, _samples, _photometric, _compression, _predictor, _orientation;
    private readonly int _tileWidth, _tileHeight, _across, _planes;
    private readonly long[] _offsets, _counts;
    private readonly byte[] _palette = [];

    private Tiff(byte[] file)
    {
        (_file, _little) = (file, file[0] == 'I');
        if (file.Length < 8 || UInt16(2) != 42)
            throw new InvalidDataException("TIFF of an unknown version; expected 42, the classic form.");
        ReadDirectory();
        (long width, long height) = (One(Tag.Width, 0), One(Tag.Height, 0));
        ImageFile.CheckSize("TIFF", width, height);
        (_width, _height) = ((int)width, (int)height);

        (_samples, _bits) = (Among(Tag.Samples, 1, 1, 2, 3, 4), Among(Tag.Bits, 1, 1, 2, 4, 8, 16));
        if (Has(Tag.Bits) && Values(Tag.Bits, 4) is var bits && (bits.Length > _samples || Array.Exists(bits, b => b != _bits)))
            throw new InvalidDataException($"TIFF with samples of {string.Join(", ", bits)} bits; expected {_samples} of one size.");
        _photometric = Among(Tag.Photometric, -1, 0, 1, 2, 3);
        if ((_photometric == 2) != (_samples >= 3) || (_photometric == 3 && _bits > 8))
            throw new InvalidDataException(
                $"TIFF of colors {_photometric} in {_samples} samples of {_bits} bits; expected 1 or 2 of gray (0, 1) or of up to 8 bits "
                    + "with a palette (3), or 3 or 4 of RGB (2).");
        _compression = Among(Tag.Compression, Uncompressed, Uncompressed, Lzw, Deflate, OldDeflate, PackBits);
        _predictor = Among(Tag.Predictor, 1, 1, 2);
        if (_predictor == 2 && _bits < 8)
            throw new InvalidDataException($"TIFF with differences of samples of {_bits} bits; expected 8 or 16.");
        _orientation = Among(Tag.Orientation, 1, 1, 2, 3, 4);
        Among(Tag.FillOrder, 1, 1);
        Among(Tag.SampleFormat, 1, 1, 4);
        _planes = Among(Tag.Planar, 1, 1, 2) == 2 ? _samples : 1;
        if (_photometric == 3) _palette = ReadPalette();

        bool tiled = Has(Tag.TileWidth);
        (long tileWidth, long tileHeight) = tiled
            ? (One(Tag.TileWidth, 0), One(Tag.TileHeight, 0))
            : (width, Math.Min(One(Tag.RowsPerStrip, height), height));
        ImageFile.CheckSize(tiled ? "TIFF tile" : "TIFF strip", tileWidth, tileHeight);
        (_tileWidth, _tileHeight) = ((int)tileWidth, (int)tileHeight);
        _across = (_width + _tileWidth - 1) / _tileWidth;
        long tiles = (long)_planes * _across * ((_height + _tileHeight - 1) / _tileHeight);
        // The best ratio of each compression, so that a short file cannot allocate a large picture.
        long best = _compression switch { Uncompressed => 1, PackBits => 64, Lzw => 1 << 12, _ => 1032 };
        long lastStrips = tiled ? 0 : (long)_planes * RowBytes * (_height - (tiles / _planes - 1) * _tileHeight);
        long unpacked = (tiles - (tiled ? 0 : _planes)) * TileBytes + lastStrips;
        if (unpacked > best * file.Length || TileBytes > Array.MaxLength)
            throw new InvalidDataException(
                $"TIFF of {width} x {height} pixels, {tiles} strips or tiles of {TileBytes} bytes, in {file.Length} bytes; expected more "
                    + "image data.");
        _offsets = Values(tiled ? Tag.TileOffsets : Tag.StripOffsets, tiles);
        _counts = Values(tiled ? Tag.TileCounts : Tag.StripCounts, tiles);
        if (_offsets.Length < tiles || _counts.Length < tiles)
            throw new InvalidDataException(
                $"TIFF with places of {_offsets.Length} and sizes of {_counts.Length} strips or tiles; expected {tiles} of each.");
        for (int i = 0; i < tiles; i++)
            if (_offsets[i] + _counts[i] > file.Length)
                throw new InvalidDataException(
                    $"TIFF strip or tile {i} of {_counts[i]} bytes at byte {_offsets[i]}; expected it inside the {file.Length} bytes of "
                        + "the file.");
    }

    /// <summary>Samples of a pixel in one tile.</summary>
    private int Together => _planes > 1 ? 1 : _samples;

    private long RowBytes => ((long)_tileWidth * Together * _bits + 7) / 8;

    private long TileBytes => RowBytes * _tileHeight;

    public static Image Read(byte[] file) => new Tiff(file).Unpack();

    private void ReadDirectory()
    {
        long directory = UInt32(4), entries = directory <= _file.Length - 2 ? UInt16((int)directory) : 0;
        long end = directory + 2 + entries * EntryBytes;
        if (entries == 0 || end > _file.Length)
            throw new InvalidDataException(
                $"TIFF directory of {entries} entries at byte {directory}; expected some, inside the {_file.Length} bytes of the file.");
        for (int entry = (int)directory + 2; entry < end; entry += EntryBytes)
            if (!_entries.TryAdd(UInt16(entry), entry))
                throw new InvalidDataException($"TIFF tag {UInt16(entry)} stands twice in its directory.");
    }

    private bool Has(Tag tag) => _entries.ContainsKey((int)tag);

    private long One(Tag tag, long missing) => Has(tag) && Values(tag, 1) is [var value, ..] ? value : missing;

    /// <summary>A value that must be one of a few.</summary>
    private int Among(Tag tag, int missing, params ReadOnlySpan<int> known)
    {
        long value = One(tag, missing);
        return value is >= 0 and <= int.MaxValue && known.Contains((int)value) ? (int)value
            : throw new InvalidDataException(
                $"TIFF tag {(int)tag} ({tag}) is {(value < 0 ? "missing" : value)}; expected {string.Join(", ", known.ToArray())}.");
    }

    /// <summary>The first values of a tag; none if the tag is missing.</summary>
    private long[] Values(Tag tag, long most)
    {
        if (!_entries.TryGetValue((int)tag, out int entry)) return [];
        int type = UInt16(entry + 2), size = type switch
        {
            1 => 1,
            3 => 2,
            4 => 4,
            _ => throw new InvalidDataException($"TIFF tag {(int)tag} ({tag}) of type {type}; expected whole numbers (1, 3, 4)."),
        };
        long count = UInt32(entry + 4), at = count * size <= 4 ? entry + 8 : UInt32(entry + 8);
        if (at + count * size > _file.Length)
            throw new InvalidDataException(
                $"TIFF tag {(int)tag} ({tag}) with {count} values at byte {at}; expected them inside the {_file.Length} bytes of the "
                    + "file.");
        long[] values = new long[Math.Min(count, most)];
        for (int i = 0, from = (int)at; i < values.Length; i++, from += size)
            values[i] = size switch { 1 => _file[from], 2 => UInt16(from), _ => UInt32(from) };
        return values;
    }

    /// <summary>The palette as red, green and blue of each color. The file lists all reds first, 16 bits each.</summary>
    private byte[] ReadPalette()
    {
        int colors = 1 << _bits;
        long[] values = Values(Tag.Palette, 3L * colors);
        if (values.Length < 3 * colors) throw new InvalidDataException($"TIFF palette of {values.Length} values; expected {3 * colors}.");
        byte[] palette = new byte[3 * colors];
        for (int i = 0; i < palette.Length; i++) palette[i] = (byte)(values[i % 3 * colors + i / 3] >> 8);
        return palette;
    }

    private Image Unpack()
    {
        Image image = new(_width, _height, _photometric < 2 ? 1 : 3);
        byte[] tile = new byte[TileBytes];
        for (int i = 0; i < _offsets.Length; i++)
        {
            int index = i % (_offsets.Length / _planes), left = index % _across * _tileWidth, top = index / _across * _tileHeight;
            // The last strip ends with the picture; tiles are always whole.
            int rows = Has(Tag.TileWidth) ? _tileHeight : Math.Min(_tileHeight, _height - top);
            Span<byte> unpacked = tile.AsSpan(0, (int)RowBytes * rows);
            int found = Unpack(_file.AsSpan((int)_offsets[i], (int)_counts[i]), (int)_offsets[i], unpacked);
            if (found < unpacked.Length)
                throw new InvalidDataException($"TIFF strip or tile {i} ends after {found} bytes; expected {unpacked.Length}.");
            for (int y = 0; y < Math.Min(_tileHeight, _height - top); y++)
            {
                Span<byte> row = unpacked.Slice(y * (int)RowBytes, (int)RowBytes);
                if (_predictor == 2) AddUp(row);
                WriteRow(image, row, left, top + y, i / (_offsets.Length / _planes));
            }
        }
        return image;
    }

    /// <summary>Unpacks up to the size of the target; returns the number of bytes written.</summary>
    private int Unpack(ReadOnlySpan<byte> packed, int offset, Span<byte> to)
    {
        switch (_compression)
        {
            case Uncompressed:
                int count = Math.Min(packed.Length, to.Length);
                packed[..count].CopyTo(to);
                return count;
            case PackBits:
                return UnpackRuns(packed, to);
            case Lzw:
                return TiffLzw.Unpack(packed, to);
            default:
                using (ZLibStream zlib = new(new MemoryStream(_file, offset, packed.Length, writable: false), CompressionMode.Decompress))
                    return zlib.ReadAtLeast(to, to.Length, throwOnEndOfStream: false);
        }
    }

    private static int UnpackRuns(ReadOnlySpan<byte> packed, Span<byte> to)
    {
        int done = 0;
        for (int at = 0; at + 1 < packed.Length && done < to.Length;)
        {
            int header = (sbyte)packed[at++];
            if (header == -128) continue;
            int run = Math.Min(header < 0 ? 1 - header : Math.Min(header + 1, packed.Length - at), to.Length - done);
            if (header < 0) to.Slice(done, run).Fill(packed[at]);
            else packed.Slice(at, run).CopyTo(to[done..]);
            at += header < 0 ? 1 : run;
            done += run;
        }
        return done;
    }

    /// <summary>Undoes the predictor, which stored the difference to the sample on the left.</summary>
    private void AddUp(Span<byte> row)
    {
        if (_bits == 8)
        {
            for (int i = Together; i < row.Length; i++) row[i] += row[i - Together];
            return;
        }
        for (int i = 2 * Together; i + 1 < row.Length; i += 2)
        {
            ushort sum = (ushort)(UInt16(row, i) + UInt16(row, i - 2 * Together));
            if (_little) BinaryPrimitives.WriteUInt16LittleEndian(row[i..], sum);
            else BinaryPrimitives.WriteUInt16BigEndian(row[i..], sum);
        }
    }

    private void WriteRow(Image image, ReadOnlySpan<byte> row, int left, int y, int plane)
    {
        int top = (1 << _bits) - 1, colors = _photometric == 2 ? 3 : 1;
        bool mirrored = _orientation is 2 or 3, upsideDown = _orientation is 3 or 4;
        Span<byte> to = image.Pixels.AsSpan((upsideDown ? _height - 1 - y : y) * _width * image.Channels, _width * image.Channels);
        int first = _planes > 1 ? plane : 0, end = _planes > 1 ? plane + 1 : colors;
        for (int x = 0; x < Math.Min(_tileWidth, _width - left); x++)
        {
            Span<byte> pixel = to[((mirrored ? _width - 1 - left - x : left + x) * image.Channels)..];
            for (int c = first; c < end && c < colors; c++)
            {
                int sample = x * Together + (c - first), bit = sample * _bits;
                int value = _bits switch
                {
                    16 => UInt16(row, 2 * sample),
                    8 => row[sample],
                    _ => row[bit >> 3] >> (8 - _bits - (bit & 7)) & top,
                };
                if (_photometric == 3) _palette.AsSpan(3 * value, 3).CopyTo(pixel);
                else pixel[c] = (byte)(((_photometric == 0 ? top - value : value) * 255 + top / 2) / top);
            }
        }
    }

    private int UInt16(int at) => UInt16(_file, at);

    private int UInt16(ReadOnlySpan<byte> bytes, int at) =>
        _little ? BinaryPrimitives.ReadUInt16LittleEndian(bytes[at..]) : BinaryPrimitives.ReadUInt16BigEndian(bytes[at..]);

    private long UInt32(int at) =>
        _little ? BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan(at)) : BinaryPrimitives.ReadUInt32BigEndian(_file.AsSpan(at));
}
