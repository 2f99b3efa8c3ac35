using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// JPEG (ITU-T T.81): baseline, extended and progressive, Huffman coding, 8 bits, gray, YCbCr or RGB. Subsampled components are repeated. A
/// truncated or incomplete file is refused. It exists because the managed package reads and writes out of bounds on a hostile file.
/// </summary>
internal sealed class Jpeg
{
    /// <summary>
    /// The most blocks of 8 x 8 samples per byte of the file. A block takes at least one bit, except for padding to whole MCUs.
    /// </summary>
    public const int MaxBlocksPerByte = 16;

    /// <summary>The most blocks that all scans together visit per byte of the file. A run of empty blocks takes almost no bytes.</summary>
    public const int MaxVisitsPerByte = 256;

    private static readonly float[] s_cosines = Cosines();

    private readonly byte[] _file;
    private readonly ushort[]?[] _quantization = new ushort[]?[4]; // in zigzag order
    private readonly JpegCode?[] _dcCodes = new JpegCode?[4], _acCodes = new JpegCode?[4];
    private JpegComponent[] _components = [];
    private int _width, _height, _columns, _rows, _restartInterval;
    private long _visits;
    private bool _progressive, _rgb;

    private Jpeg(byte[] file) => _file = file;

    public static Image Read(byte[] file)
    {
        Jpeg jpeg = new(file);
        jpeg.ReadSegments();
        return jpeg.Compose();
    }

    private void ReadSegments()
    {
        for (int at = 2; ;)
        {
            while (at + 1 < _file.Length && _file[at] == 0xFF && _file[at + 1] == 0xFF) at++; // fill bytes
            if (at + 2 > _file.Length) throw new InvalidDataException($"JPEG ends at byte {_file.Length} without its end marker.");
            if (_file[at] != 0xFF) throw new InvalidDataException($"JPEG with 0x{_file[at]:X2} at byte {at}; expected a marker.");
            int marker = _file[at + 1];
            at += 2;
            if (marker == 0xD9) return;
            int length = at + 2 <= _file.Length ? BinaryPrimitives.ReadUInt16BigEndian(_file.AsSpan(at)) : 0;
            if (length < 2 || length > _file.Length - at)
                throw new InvalidDataException(
                    $"JPEG segment of {length} bytes at byte {at}; expected 2 or more, inside the {_file.Length} bytes of the file.");
            ReadOnlySpan<byte> body = _file.AsSpan(at + 2, length - 2);
            at += length;
            switch (marker)
            {
                case 0xC4: ReadCodes(body); break;
                case 0xDB: ReadQuantization(body); break;
                case 0xDD:
                    if (body.Length != 2) throw new InvalidDataException($"JPEG restart interval of {body.Length} bytes; expected 2.");
                    _restartInterval = BinaryPrimitives.ReadUInt16BigEndian(body);
                    break;
                case 0xC0 or 0xC1 or 0xC2: ReadFrame(body, marker == 0xC2); break;
                case >= 0xC3 and <= 0xCF:
                    throw new InvalidDataException(
                        $"JPEG of kind SOF{marker - 0xC0}; expected baseline, extended or progressive with Huffman codes "
                            + "(SOF0, SOF1, SOF2).");
                case 0xDA: at = ReadScan(body, at); break;
                case 0xEE: _rgb |= body.Length >= 12 && body.StartsWith("Adobe"u8) && body[11] == 0; break;
                case (>= 0xE0 and <= 0xEF) or 0xFE: break; // applications' and comments
                default: throw new InvalidDataException($"JPEG with the unknown marker 0x{marker:X2} before byte {at - length}.");
            }
        }
    }

    private void ReadCodes(ReadOnlySpan<byte> body)
    {
        while (!body.IsEmpty)
        {
            int symbols = 0;
            for (int i = 1; i <= 16 && i < body.Length; i++) symbols += body[i];
            if (body.Length < 17 + symbols || symbols > 256 || (body[0] & 0xEC) != 0)
                throw new InvalidDataException(
                    $"JPEG Huffman table 0x{body[0]:X2} of {symbols} codes in {body.Length} bytes; expected tables 0 to 3 of up to 256.");
            (body[0] < 16 ? _dcCodes : _acCodes)[body[0] & 3] = new JpegCode(body.Slice(1, 16), body.Slice(17, symbols));
            body = body[(17 + symbols)..];
        }
    }

    private void ReadQuantization(ReadOnlySpan<byte> body)
    {
        while (!body.IsEmpty)
        {
            int size = body[0] < 16 ? 1 : 2;
            if ((body[0] & 0xEC) != 0 || body.Length < 1 + 64 * size)
                throw new InvalidDataException(
                    $"JPEG quantization table 0x{body[0]:X2} in {body.Length} bytes; expected tables 0 to 3 of 64 values.");
            ushort[] values = new ushort[64];
            for (int i = 0; i < 64; i++) values[i] = size == 1 ? body[1 + i] : BinaryPrimitives.ReadUInt16BigEndian(body[(1 + 2 * i)..]);
            _quantization[body[0] & 3] = values;
            body = body[(1 + 64 * size)..];
        }
    }

    private void ReadFrame(ReadOnlySpan<byte> body, bool progressive)
    {
        if (_components.Length > 0) throw new InvalidDataException("JPEG with two frames; expected one.");
        if (body.Length < 6 || body.Length != 6 + 3 * body[5])
            throw new InvalidDataException($"JPEG frame header of {body.Length} bytes; expected 6, and 3 a component.");
        int precision = body[0], count = body[5];
        (_height, _width) = (BinaryPrimitives.ReadUInt16BigEndian(body[1..]), BinaryPrimitives.ReadUInt16BigEndian(body[3..]));
        _progressive = progressive;
        ImageFile.CheckSize("JPEG", _width, _height);
        if (precision != 8) throw new InvalidDataException($"JPEG with {precision} bits; expected 8.");
        if (count is not (1 or 3)) throw new InvalidDataException($"JPEG with {count} components; expected 1 (gray) or 3 (YCbCr or RGB).");
        JpegComponent[] components = new JpegComponent[count];
        for (int i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> one = body[(6 + 3 * i)..];
            // A single component is not interleaved, so its sampling factors do not matter.
            (int h, int v) = count == 1 ? (1, 1) : (one[1] >> 4, one[1] & 15);
            if (h is < 1 or > 4 || v is < 1 or > 4 || one[2] > 3)
                throw new InvalidDataException(
                    $"JPEG component {i} sampled {h} x {v} with quantization table {one[2]}; expected 1 to 4 each way, and table 0 to 3.");
            components[i] = new JpegComponent(one[0], h, v, one[2]);
        }
        int widest = components.Max(c => c.Horizontal), tallest = components.Max(c => c.Vertical);
        (_columns, _rows) = ((_width + 8 * widest - 1) / (8 * widest), (_height + 8 * tallest - 1) / (8 * tallest));
        long blocks = (long)_columns * _rows * components.Sum(c => c.Horizontal * c.Vertical);
        if (blocks > (long)MaxBlocksPerByte * _file.Length)
            throw new InvalidDataException($"JPEG of {_width} x {_height} pixels in {_file.Length} bytes; expected more image data.");
        foreach (JpegComponent component in components)
        {
            component.Columns = (_width * component.Horizontal + 8 * widest - 1) / (8 * widest);
            component.Rows = (_height * component.Vertical + 8 * tallest - 1) / (8 * tallest);
            component.Stride = _columns * component.Horizontal;
            component.Coefficients = new short[component.Stride * _rows * component.Vertical * 64];
        }
        _components = components;
    }

    /// <summary>Reads a scan; returns where its data ends.</summary>
    private int ReadScan(ReadOnlySpan<byte> body, int data)
    {
        int count = body.Length > 0 ? body[0] : 0;
        if (count < 1 || count > _components.Length || body.Length != 4 + 2 * count)
            throw new InvalidDataException($"JPEG scan of {count} components in {body.Length} bytes, of a frame of {_components.Length}.");
        (int from, int to, int high, int low) = _progressive ? (body[^3], body[^2], body[^1] >> 4, body[^1] & 15) : (0, 63, 0, 0);
        if (from > to || to > 63 || (_progressive && from == 0 && to > 0) || (from > 0 && count > 1)
            || low > 13 || (high > 0 && high != low + 1))
            throw new InvalidDataException(
                $"JPEG scan of coefficients {from} to {to}, bits {high} to {low}, of {count} components; expected values of the "
                    + "standard.");
        var parts = new (JpegComponent Component, JpegCode? Dc, JpegCode? Ac)[count];
        for (int i = 0; i < count; i++)
        {
            int id = body[1 + 2 * i], dc = body[2 + 2 * i] >> 4, ac = body[2 + 2 * i] & 15;
            JpegComponent component = Array.Find(_components, c => c.Id == id)
                ?? throw new InvalidDataException($"JPEG scan of component {id}, which the frame lacks.");
            if (Array.Exists(parts[..i], p => p.Component == component))
                throw new InvalidDataException($"JPEG scan with component {id} twice.");
            if (from > 0 && !component.Seen) throw new InvalidDataException($"JPEG scan of component {id} before its mean values.");
            component.Seen = true;
            _visits += component.Coefficients.Length / 64;
            bool means = from == 0 && high == 0, others = to > 0;
            parts[i] = (component, means ? Code(_dcCodes, dc) : null, others ? Code(_acCodes, ac) : null);
        }
        if (_visits > (long)MaxVisitsPerByte * _file.Length)
            throw new InvalidDataException(
                $"JPEG with scans of {_visits} blocks in {_file.Length} bytes; expected at most {MaxVisitsPerByte} blocks for a byte.");
        JpegBits bits = new(_file, data);
        new JpegScan(bits, _progressive, parts, from, to, high > 0, low).Read(_columns, _rows, _restartInterval);
        return bits.Position;

        static JpegCode Code(JpegCode?[] codes, int index) => index < 4 && codes[index] is { } code ? code
            : throw new InvalidDataException($"JPEG scan with Huffman table {index}, which the file lacks.");
    }

    private Image Compose()
    {
        if (_components.Length == 0) throw new InvalidDataException("JPEG without a frame.");
        if (Array.Find(_components, c => !c.Seen) is { } missing)
            throw new InvalidDataException($"JPEG without a scan of component {missing.Id}.");
        Image image = new(_width, _height, _components.Length);
        int widest = _components.Max(c => c.Horizontal), tallest = _components.Max(c => c.Vertical), channels = image.Channels;
        for (int c = 0; c < channels; c++)
        {
            JpegComponent component = _components[c];
            byte[] samples = Samples(component);
            int stride = 8 * component.Stride;
            for (int y = 0; y < _height; y++)
            {
                ReadOnlySpan<byte> from = samples.AsSpan(y * component.Vertical / tallest * stride, stride);
                Span<byte> to = image.Pixels.AsSpan(y * _width * channels + c);
                for (int x = 0; x < _width; x++) to[x * channels] = from[x * component.Horizontal / widest];
            }
            component.Coefficients = [];
        }
        if (channels == 3 && !_rgb) ToRgb(image.Pixels);
        return image;
    }

    /// <summary>The samples of a component in whole blocks: the inverse cosine transform of its dequantized coefficients.</summary>
    private byte[] Samples(JpegComponent component)
    {
        ushort[] table = _quantization[component.Table]
            ?? throw new InvalidDataException($"JPEG without quantization table {component.Table}.");
        Span<float> scale = stackalloc float[64], columns = stackalloc float[64], block = stackalloc float[64];
        for (int k = 0; k < 64; k++) scale[JpegScan.ZigZag[k]] = table[k];
        int stride = 8 * component.Stride;
        byte[] samples = new byte[component.Coefficients.Length];
        for (int at = 0; at < samples.Length; at += 64)
        {
            ReadOnlySpan<short> coefficients = component.Coefficients.AsSpan(at, 64);
            int index = at / 64, corner = index / component.Stride * 8 * stride + index % component.Stride * 8;
            if (!coefficients[1..].ContainsAnyExcept((short)0)) // one color, as in most of a background
            {
                byte mean = Sample(coefficients[0] * scale[0] * s_cosines[0] * s_cosines[0]);
                for (int y = 0; y < 8; y++) samples.AsSpan(corner + y * stride, 8).Fill(mean);
                continue;
            }
            // Columns first, then rows. Zero coefficients, which are most of them, are skipped.
            columns.Clear();
            block.Clear();
            int used = 0;
            for (int i = 0; i < 64; i++)
            {
                if (coefficients[i] == 0) continue;
                float value = coefficients[i] * scale[i];
                Span<float> column = columns.Slice(i % 8 * 8, 8);
                ReadOnlySpan<float> cosines = s_cosines.AsSpan(i / 8 * 8, 8);
                for (int y = 0; y < 8; y++) column[y] += value * cosines[y];
                used |= 1 << (i % 8);
            }
            for (int u = 0; u < 8; u++)
            {
                if ((used >> u & 1) == 0) continue;
                ReadOnlySpan<float> cosines = s_cosines.AsSpan(8 * u, 8);
                for (int y = 0; y < 8; y++)
                {
                    float value = columns[8 * u + y];
                    Span<float> row = block.Slice(8 * y, 8);
                    for (int x = 0; x < 8; x++) row[x] += value * cosines[x];
                }
            }
            for (int y = 0; y < 8; y++)
                for (int x = 0; x < 8; x++) samples[corner + y * stride + x] = Sample(block[8 * y + x]);
        }
        return samples;

        static byte Sample(float value) => (byte)Math.Clamp(MathF.Round(value) + 128, 0, 255);
    }

    /// <summary>YCbCr to RGB as JFIF defines it (ITU-T T.871), in 16-bit fixed point.</summary>
    private static void ToRgb(Span<byte> pixels)
    {
        for (int i = 0; i + 2 < pixels.Length; i += 3)
        {
            int luma = (pixels[i] << 16) + 32768, blue = pixels[i + 1] - 128, red = pixels[i + 2] - 128;
            pixels[i] = Clamp((luma + 91881 * red) >> 16);
            pixels[i + 1] = Clamp((luma - 22554 * blue - 46802 * red) >> 16);
            pixels[i + 2] = Clamp((luma + 116130 * blue) >> 16);
        }

        static byte Clamp(int value) => (byte)Math.Clamp(value, 0, 255);
    }

    /// <summary>The inverse cosine transform: entry [8 u + x] is the weight of frequency u in sample x.</summary>
    private static float[] Cosines() =>
    [
        .. Enumerable.Range(0, 64)
            .Select(i => (float)((i < 8 ? Math.Sqrt(0.125) : 0.5) * Math.Cos((2 * (i % 8) + 1) * (i / 8) * Math.PI / 16))),
    ];
}
