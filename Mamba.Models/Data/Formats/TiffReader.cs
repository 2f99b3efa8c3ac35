using System.Globalization;
using System.Text;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// TIFF and BigTIFF: gray, RGB, palette or YCbCr of 1 to 16 bits, in strips or tiles. Directory and strips are checked here. The decoder
/// sees a directory of ours (<see cref="TiffForDecoder"/>), one strip or tile after another where it could not read them otherwise.
/// </summary>
internal sealed class TiffReader
{
    private const int WhiteIsZero = 0, BlackIsZero = 1, Rgb = 2, Indexed = 3, Cmyk = 5, Ycbcr = 6;
    private const int None = 1, Lzw = 5, Jpeg = 7, Deflate = 8, OldDeflate = 32946, PackBits = 32773;
    private const int Unsigned = 1, Signed = 2, Float = 3, Undefined = 4;

    private readonly byte[] _file;
    private readonly TiffDirectory _directory;
    private readonly int _width, _height, _bits, _samples, _photometric, _compression, _planes;
    private readonly bool _signed;
    private readonly List<string> _notes = [];

    private TiffReader(byte[] file, TiffDirectory directory)
    {
        (_file, _directory) = (file, directory);
        (long width, long height) = (directory.One(TiffEntry.Width, 0), directory.One(TiffEntry.Height, 0));
        ImageFile.CheckSize("TIFF", width, height);
        (_width, _height) = ((int)width, (int)height);
        _samples = Small(TiffEntry.Samples, 1, 1 << 16);
        long[] bits = directory.Has(TiffEntry.Bits) ? directory.Values(TiffEntry.Bits) : [1];
        _photometric = Small(TiffEntry.Photometric, -1, 1 << 16);
        _compression = Small(TiffEntry.Compression, None, 1 << 16);
        int format = Small(TiffEntry.SampleFormat, Unsigned, 1 << 16);
        if (format == Float) throw Unread($"of {bits[0]}-bit float samples", "expected 8 or 16-bit integers", "-depth 16");
        if (Array.Exists(bits, b => b != bits[0] || b is < 1 or > 32))
            throw Unread($"with samples of {string.Join(", ", bits.Take(8))} bits", "expected one size");
        if (bits[0] > 16) throw Unread($"of {bits[0]}-bit integer samples", "expected up to 16", "-depth 16");
        _bits = (int)bits[0];
        _signed = format == Signed;
        if (format is not (Unsigned or Signed or Undefined) || (_signed && _bits != 16))
            throw Unread($"of {_bits}-bit {(_signed ? "signed" : "complex or unknown")} samples",
                "expected unsigned integers, or 16-bit signed ones");
        if (_photometric == BlackIsZero && _samples == 3)
        {
            _photometric = Rgb;
            _notes.Add("3 gray channels are taken for red, green and blue");
        }
        CheckColors();
        _planes = Small(TiffEntry.Planar, 1, 3) == 2 ? _samples : 1;
    }

    private string Name => "TIFF";

    private bool Wide => _bits > 8;

    public static Raster Read(byte[] file) => Page(file, 0, announce: true);

    public static int PageCount(byte[] file)
    {
        List<TiffDirectory> pages = TiffDirectory.Pages(file);
        return pages.Count > 1 ? pages.Count : new TiffReader(file, pages[0]).ContiguousPages();
    }

    /// <summary>One page of a stack.</summary>
    /// <param name="file">The whole file.</param>
    /// <param name="index">From 0.</param>
    /// <param name="announce">Whether other pages are worth a note.</param>
    public static Raster Page(byte[] file, int index, bool announce = false)
    {
        List<TiffDirectory> pages = TiffDirectory.Pages(file);
        TiffReader reader = new(file, pages.Count > 1 ? pages[index] : pages[0]);
        int count = pages.Count > 1 ? pages.Count : reader.ContiguousPages();
        if (announce && count > 1) reader._notes.Add($"a stack; the first of {count} pages is taken");
        return reader.Decode(pages.Count > 1 ? 0 : index) with { Pages = announce ? count : 1 };
    }

    /// <summary>ImageJ writes large stacks as one page and its followers behind it, as a line of its description says.</summary>
    private int ContiguousPages()
    {
        const string Key = "\nimages=";
        if (!_directory.Has(TiffEntry.Description) || _compression != None || _directory.Has(TiffEntry.TileWidth)) return 1;
        string text = Encoding.Latin1.GetString(_directory.Bytes(TiffEntry.Description));
        int at = text.IndexOf(Key, StringComparison.Ordinal);
        if (!text.StartsWith("ImageJ=", StringComparison.Ordinal) || at < 0) return 1;
        string digits = new([.. text.Skip(at + Key.Length).TakeWhile(char.IsAsciiDigit).Take(9)]);
        long page = (long)RowBytes(_width) * _height * _planes;
        return int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count > 1
            && _directory.One(TiffEntry.StripOffsets, 0) + page * count <= _file.Length ? count : 1;
    }

    private void CheckColors()
    {
        if (_photometric < 0) throw new InvalidDataException("TIFF that does not say what its samples are (photometric interpretation).");
        int colors = _photometric is Rgb or Ycbcr ? 3 : 1;
        if (_photometric == Cmyk) throw Unread("of CMYK samples", "expected gray or RGB", "-colorspace sRGB");
        if (_photometric is not (WhiteIsZero or BlackIsZero or Rgb or Indexed or Ycbcr))
            throw Unread("in a rare color space", "expected gray, RGB, a palette or YCbCr", "-colorspace sRGB");
        if (_samples < colors || _samples > (_photometric == Rgb ? 4 : colors))
            throw Unread($"of {_samples} channels", "expected 1 (gray, palette), 3 or 4 (RGB, with alpha)", "-alpha off -type TrueColor");
        if ((_photometric == Indexed && _bits > 8) || (_photometric == Ycbcr && _bits != 8) || (_signed && _photometric != BlackIsZero))
            throw Unread($"of {(_signed ? "signed " : "")}{_bits}-bit samples in this color space", "expected 8");
        if (_compression is not (None or 2 or 3 or 4 or Lzw or Jpeg or Deflate or OldDeflate or PackBits))
            throw Unread(_compression == 6 ? "packed as old-style JPEG" : $"packed by a rare method ({_compression})",
                "expected LZW, Deflate, PackBits, JPEG, fax or none", "-compress lzw");
        if (IsFax && (_bits != 1 || _samples != 1 || _photometric == Indexed))
            throw Unread("of fax codes with more than one bit or a palette", "expected one");
        if (_compression == Jpeg && (_bits != 8 || _photometric == Indexed || _samples > 3))
            throw Unread($"of JPEG with {_bits} bits and {_samples} channels", "expected 8 bits, gray or RGB");
        if (_directory.One(TiffEntry.Predictor, 1) is not 1 and not 2
            || (_directory.One(TiffEntry.Predictor, 1) == 2 && _bits is not (8 or 16)))
            throw Unread("with differences of a rare kind", "expected those of neighbors of 8 or 16 bits", "-compress none");
        if (_directory.One(TiffEntry.FillOrder, 1) != 1 && !IsFax)
            throw Unread("with reversed bits", "expected high bits first");
    }

    private InvalidDataException Unread(string what, string expected, string options = "") =>
        new($"TIFF {what}, which is not read; {expected}. {ImageFile.Convert("tif", "png", options)}");

    private int Small(TiffEntry tag, int otherwise, int most) => _directory.One(tag, otherwise) is var value && value < most ? (int)value
        : throw new InvalidDataException($"TIFF {tag} of {value}; expected less than {most}.");

    private Raster Decode(int contiguousPage)
    {
        bool tiled = _directory.Has(TiffEntry.TileWidth);
        long tileWidth = tiled ? _directory.One(TiffEntry.TileWidth, 0) : _width;
        long rows = tiled ? _directory.One(TiffEntry.TileHeight, 0) : Math.Min(_directory.One(TiffEntry.RowsPerStrip, _height), _height);
        if (tileWidth < 1 || rows < 1 || tileWidth * rows > 2L * Image.MaxPixels || rows > int.MaxValue || tileWidth > int.MaxValue)
            throw new InvalidDataException($"TIFF strip or tile of {tileWidth} x {rows}; expected 1 x 1 or more.");
        int across = (int)((_width + tileWidth - 1) / tileWidth), down = (int)((_height + rows - 1) / rows);
        TiffPart[] parts = Parts(tiled, (int)tileWidth, (int)rows, across, down, contiguousPage);
        TiffForDecoder decoder = new(_file, _directory, DecoderPhotometric, _bits, _planes > 1 ? 1 : _samples);
        TiffCanvas canvas = new(_width, _height, _photometric is Rgb or Ycbcr ? 3 : 1, _samples == 4, Wide);
        int perPlane = across * (contiguousPage > 0 ? 1 : down);
        if (_compression == Jpeg)
            for (int i = 0; i < parts.Length; i++) canvas.Put(decoder.Jpeg(parts[i], _photometric), parts[i]);
        else
            for (int plane = 0; plane < _planes; plane++)
            {
                TiffPart[] own = parts[(plane * perPlane)..((plane + 1) * perPlane)];
                int? only = _planes > 1 ? plane : null;
                if (tiled) foreach (TiffPart tile in own) canvas.Put(
                    decoder.Strips([tile], tile.Width, tile.Height, tile.Height), tile, only);
                else canvas.Put(decoder.Strips(own, _width, _height, own[0].Height), new TiffPart(0, 0, _width, _height, 0, 0), only);
            }
        return Finish(canvas);
    }

    /// <summary>
    /// Indices are handed over as gray, so that they stay exact; so are planes, whose differences the decoder misreads. Fax codes know runs
    /// of white, which are zeros whatever the colors are; the
    /// decoder takes them for ones where black is zero, so it is told that white is.
    /// </summary>
    private int DecoderPhotometric => IsFax ? WhiteIsZero : _photometric == Indexed || _planes > 1 ? BlackIsZero : _photometric;

    private bool IsFax => _compression is >= 2 and <= 4;

    /// <summary>The strips or tiles, plane after plane, each inside the file and with all the bytes of its rows.</summary>
    private TiffPart[] Parts(bool tiled, int width, int rows, int across, int down, int contiguousPage)
    {
        long[] offsets = _directory.Has(TiffEntry.TileOffsets) && tiled ? _directory.Values(TiffEntry.TileOffsets)
            : Required(TiffEntry.StripOffsets);
        long count = (long)across * down * _planes;
        TiffEntry tag = tiled && _directory.Has(TiffEntry.TileCounts) ? TiffEntry.TileCounts : TiffEntry.StripCounts;
        long[] counts = _directory.Has(tag) ? _directory.Values(tag)
            : count == 1 && _compression == None && offsets.Length == 1 ? [_file.Length - offsets[0]] : [];
        if (contiguousPage > 0)
        {
            (rows, down, count) = (_height, 1, _planes);
            long page = (long)RowBytes(_width) * _height;
            offsets = [.. Enumerable.Range(0, _planes).Select(p => offsets[0] + page * (_planes * contiguousPage + p))];
            counts = [.. Enumerable.Repeat(page, _planes)];
        }
        if (offsets.Length != count || counts.Length != count)
            throw new InvalidDataException(
                $"TIFF with places of {offsets.Length} and sizes of {counts.Length} strips or tiles; expected {count}.");
        TiffPart[] parts = new TiffPart[count];
        long work = 0;
        for (int i = 0; i < parts.Length; i++)
        {
            int inPlane = i % (across * down), x = inPlane % across * width, y = inPlane / across * rows;
            if (offsets[i] < 0 || counts[i] < 0 || offsets[i] > _file.Length || counts[i] > _file.Length - offsets[i])
                throw new InvalidDataException(
                    $"TIFF strip or tile {i} of {counts[i]} bytes at byte {offsets[i]}; expected it inside the "
                        + $"{_file.Length} bytes of the file.");
            parts[i] = new TiffPart(x, y, width, tiled ? rows : Math.Min(rows, _height - y), (int)offsets[i], (int)counts[i]);
            if ((work += counts[i]) > 4L * _file.Length)
                throw new InvalidDataException("TIFF whose strips or tiles lie upon each other; expected each in a place of its own.");
            CheckFull(parts[i], i);
        }
        return parts;
    }

    private long[] Required(TiffEntry tag) => _directory.Has(tag) ? _directory.Values(tag)
        : throw new InvalidDataException("TIFF that does not say where its pixels are.");

    private void CheckFull(TiffPart part, int index)
    {
        long need = _photometric == Ycbcr && _compression != Jpeg ? YcbcrBytes(part) : (long)RowBytes(part.Width) * part.Height;
        string name = $"TIFF strip or tile {index}";
        ReadOnlySpan<byte> packed = _file.AsSpan(part.Offset, part.Count);
        switch (_compression)
        {
            case None when part.Count < need:
                throw new InvalidDataException($"{name}: the pixels end after {part.Count} of {need} bytes; expected more image data.");
            case PackBits: Packed.CheckPackBits(name, packed, need); break;
            case Lzw when need > 4096L * part.Count + 64:
                throw new InvalidDataException($"{name}: {need} bytes of pixels in {part.Count} bytes; expected more image data.");
            case Lzw: Packed.CheckLzw(name, packed, 0, need); break;
            case Deflate or OldDeflate: Packed.CheckInflates(name, _file, part.Offset, part.Count, need); break;
        }
    }

    private int RowBytes(int width) => checked((int)(((long)width * _bits * (_planes > 1 ? 1 : _samples) + 7) / 8));

    private long YcbcrBytes(TiffPart part)
    {
        long[] sampling = _directory.Has(TiffEntry.YcbcrSubsampling) ? _directory.Values(TiffEntry.YcbcrSubsampling) : [2, 2];
        if (sampling.Length != 2 || sampling[0] is not (1 or 2 or 4) || sampling[1] is not (1 or 2 or 4) || _planes > 1)
            throw Unread("of YCbCr samples in a rare arrangement", "expected 1, 2 or 4 pixels each way that share a color",
                "-colorspace sRGB");
        long across = (part.Width + sampling[0] - 1) / sampling[0], down = (part.Height + sampling[1] - 1) / sampling[1];
        return across * down * (sampling[0] * sampling[1] + 2);
    }

    private Raster Finish(TiffCanvas canvas)
    {
        int top = (1 << _bits) - 1;
        if (_photometric == Indexed && _bits < 8)
            canvas.Bytes = Array.ConvertAll(canvas.Bytes!, v => (byte)((v * top + 127) / 255));
        if (Wide && _bits < 16) canvas.Words = Array.ConvertAll(canvas.Words!, v => (ushort)(((uint)v * (uint)top + 32767) / 65535));
        if (IsFax && _photometric == BlackIsZero) canvas.Bytes = Array.ConvertAll(canvas.Bytes!, v => (byte)(255 - v));
        if (_signed) canvas.Words = Array.ConvertAll(canvas.Words!, v => (ushort)(v ^ 0x8000));
        long orientation = _directory.One(TiffEntry.Orientation, 1);
        return new Raster(_width, _height, canvas.Channels)
        {
            Bytes = canvas.Bytes,
            Words = canvas.Words,
            Alpha = canvas.Alpha,
            Palette = _photometric == Indexed ? Palette() : null,
            Max = Wide ? 255 : top,
            Origin = _signed ? -32768 : 0,
            Orientation = orientation is >= 1 and <= 8 ? (int)orientation : 1,
            Lossy = _compression == Jpeg,
            Notes = _notes,
        };
    }

    /// <summary>Reds, greens, then blues of 16 bits; some writers use the low 8 of them alone.</summary>
    private int[] Palette()
    {
        long[] values = Required(TiffEntry.Palette);
        int colors = 1 << _bits;
        if (values.Length != 3 * colors) throw new InvalidDataException($"TIFF palette of {values.Length} numbers; expected {3 * colors}.");
        int shift = Array.TrueForAll(values, v => v < 256) ? 0 : 8;
        int Part(int at) => (int)(values[at] >> shift & 0xFF);
        return [.. Enumerable.Range(0, colors).Select(i => Part(i) << 16 | Part(colors + i) << 8 | Part(2 * colors + i))];
    }
}
