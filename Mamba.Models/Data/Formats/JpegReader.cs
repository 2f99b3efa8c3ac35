using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// JPEG. The segments are checked here, and the work is bounded that a few bytes may ask for. The decoder sees what pixels depend on:
/// comments, profiles, and bytes between segments are left out.
/// </summary>
internal static class JpegReader
{
    /// <summary>The most blocks of 8 x 8 samples for a byte of the file.</summary>
    public const int MaxBlocksPerByte = 16;

    /// <summary>The most visits of blocks for a byte of the file, by all scans together.</summary>
    public const int MaxVisitsPerByte = 256;

    private const int Dht = 0xC4, Rst0 = 0xD0, Rst7 = 0xD7, Soi = 0xD8, Eoi = 0xD9, Sos = 0xDA, Dqt = 0xDB, Dri = 0xDD;
    private const int App0 = 0xE0, App1 = 0xE1, App14 = 0xEE;

    /// <summary>What the segments say.</summary>
    public sealed class Head
    {
        public int Width { get; set; }

        public int Height { get; set; }

        public int Components { get; set; }

        public int FileBytes { get; init; }

        /// <summary>Rows of pixels that are coded together.</summary>
        public int McuRows { get; set; }

        public int Orientation { get; set; } = 1;

        /// <summary>Whether the end marker is there.</summary>
        public bool Complete { get; set; }

        /// <summary>Blocks of each component, and the sum of those that the scans visit.</summary>
        public Dictionary<int, long> Blocks { get; } = [];

        public long Visits { get; set; }

        public int Scans { get; set; }

        public bool Progressive { get; set; }

        /// <summary>The MCUs of all components together, and the blocks of each alone.</summary>
        public long Mcus { get; set; }

        public Dictionary<int, long> BlocksAlone { get; } = [];

        /// <summary>Bits of the tables that are there: quantization 0 to 3, Huffman 4 * class + number.</summary>
        public int QuantizationTables { get; set; }

        public int HuffmanTables { get; set; }

        /// <summary>The quantization tables that the components name.</summary>
        public int NeededQuantization { get; set; }

        /// <summary>MCUs between two restart markers; 0 for none.</summary>
        public int RestartInterval { get; set; }

        /// <summary>Restart markers that the scan at hand should have.</summary>
        public long Restarts { get; set; }

        /// <summary>The segments that pixels depend on, without the end marker; the restart interval of scans.</summary>
        public List<(Range Range, int RestartInterval)> Kept { get; } = [];
    }

    public static Raster Read(byte[] file)
    {
        Head head = Inspect(file);
        (int Width, int Height) size = (head.Width, head.Height);
        byte[] rgb = Codec.Rgb8<Codec.Jpeg>(Bare(file, head, []), size);
        int missing = head.Complete ? 0 : MissingRows(file, head, rgb);
        return new Raster(size.Width, size.Height, head.Components)
        {
            Bytes = Channels(rgb, head),
            Orientation = head.Orientation,
            Lossy = true,
            Notes = missing == 0 ? [] : [$"cut short; about {missing} of {size.Height} rows are missing"],
            MissingRows = missing,
        };
    }

    /// <summary>Decodes a strip or tile of a TIFF.</summary>
    /// <param name="strip">A JPEG, whose tables may be missing.</param>
    /// <param name="tables">A JPEG of tables alone, or nothing.</param>
    /// <param name="size">The size that the directory says; the JPEG may have more rows.</param>
    /// <param name="rgb">Whether three components are red, green and blue as they are.</param>
    /// <returns>Gray, or red, green and blue.</returns>
    public static byte[] Strip(ReadOnlySpan<byte> strip, byte[] tables, (int Width, int Height) size, bool rgb)
    {
        if (strip.Length < 2 || strip[1] != Soi)
            throw new InvalidDataException("TIFF strip or tile that is no JPEG, though the directory says so.");
        byte[] unconverted = [0xFF, App14, 0, 14, .. "Adobe"u8, 0, 100, 0, 0, 0, 0, 0];
        byte[] file = [0xFF, Soi, .. rgb ? unconverted : [], .. Tables(tables), .. strip[2..]];
        Head head = Inspect(file);
        if (head.Width != size.Width || head.Height < size.Height)
            throw new InvalidDataException(
                $"TIFF with a JPEG of {head.Width} x {head.Height} in the place of {size.Width} x {size.Height}.");
        byte[] samples = Channels(Codec.Rgb8<Codec.Jpeg>(Bare(file, head, []), (head.Width, head.Height)), head);
        return samples[..(size.Width * size.Height * head.Components)];
    }

    /// <summary>The segments of a stream of tables that are tables: quantization, Huffman, restart interval.</summary>
    private static byte[] Tables(ReadOnlySpan<byte> file)
    {
        List<byte> kept = [];
        for (int at = 2; at + 4 <= file.Length && file[at] == 0xFF && file[at + 1] != Eoi;)
        {
            int length = 2 + BinaryPrimitives.ReadUInt16BigEndian(file[(at + 2)..]);
            if (length < 4 || length > file.Length - at) throw new InvalidDataException("TIFF with damaged tables of JPEG.");
            if (file[at + 1] is 0xDB or 0xC4 or 0xDD) kept.AddRange(file.Slice(at, length));
            at += length;
        }
        return [.. kept];
    }

    /// <summary>The decoder gives gray as three equal channels.</summary>
    private static byte[] Channels(byte[] rgb, Head head)
    {
        if (head.Components == 3) return rgb;
        byte[] gray = new byte[rgb.Length / 3];
        for (int i = 0; i < gray.Length; i++) gray[i] = rgb[3 * i];
        return gray;
    }

    /// <summary>
    /// Where the end marker is missing, pixels may be as well, and the decoder does not say. They are those that change with other bytes in
    /// the place of the missing ones. A few rows become gray, as in other decoders: a note of a picture says so, and a mask is refused. A
    /// large part is refused always.
    /// </summary>
    private static int MissingRows(byte[] file, Head head, byte[] rgb)
    {
        byte[] filler = new byte[256];
        for (int i = 0; i < filler.Length; i++) filler[i] = (byte)(0x5A ^ 37 * i & 0x7F);
        byte[] other = Codec.Rgb8<Codec.Jpeg>(Bare(file, head, filler), (head.Width, head.Height));
        int same = rgb.AsSpan().CommonPrefixLength(other);
        if (same == rgb.Length) return 0;
        int first = same / (3 * head.Width) / head.McuRows * head.McuRows, rows = head.Height - first;
        if (rows > Math.Max(head.McuRows, head.Height / 4))
            throw new InvalidDataException($"JPEG cut short: the last {rows} of {head.Height} rows are missing; get the whole file.");
        rgb.AsSpan(3 * head.Width * first).Fill(128);
        return rows;
    }

    /// <summary>Follows the segments to the end.</summary>
    /// <param name="file">A file, or a strip of a TIFF.</param>
    /// <exception cref="InvalidDataException">A segment is damaged, or the picture is of a kind that is not read.</exception>
    public static Head Inspect(ReadOnlySpan<byte> file)
    {
        Head head = new() { FileBytes = file.Length };
        for (int at = 2; ;)
        {
            // As other decoders do, bytes that are no marker are passed over.
            while (at + 1 < file.Length && (file[at] != 0xFF || file[at + 1] is 0 or 0xFF)) at++;
            if (at + 1 >= file.Length) break;
            int marker = file[at + 1];
            if (marker == Eoi)
            {
                head.Complete = true;
                break;
            }
            if (marker is >= Rst0 and <= Soi or 1)
            {
                at += 2;
                continue;
            }
            int length = file.Length - at < 4 ? 0 : BinaryPrimitives.ReadUInt16BigEndian(file[(at + 2)..]);
            if (length < 2 || length > file.Length - at - 2)
            {
                if (head.Scans > 0) break; // cut amid the segments between two scans
                throw new InvalidDataException($"JPEG segment of {length} bytes at byte {at}; expected 2 or more, inside the file.");
            }
            int end = at + 2 + length;
            Segment(head, marker, file[(at + 4)..end]);
            if (marker == Sos)
            {
                if (head.Width == 0) throw new InvalidDataException("JPEG scan before the frame that tells its size.");
                end = EndOfScan(file, end, out int restarts);
                if (restarts != head.Restarts && end < file.Length)
                    throw new InvalidDataException($"JPEG scan with {restarts} restart markers; expected {head.Restarts}.");
                head.Scans++;
            }
            if (marker < App0 || marker is App0 or App14) head.Kept.Add((at..end, marker == Sos ? head.RestartInterval : 0));
            at = end;
        }
        if (head.Width == 0 || head.Scans == 0)
            throw new InvalidDataException(
                $"JPEG ends at byte {file.Length} without a {(head.Width == 0 ? "frame" : "scan")}; expected more image data.");
        return head;
    }

    private static void Segment(Head head, int marker, ReadOnlySpan<byte> body)
    {
        switch (marker)
        {
            case 0xC0 or 0xC1 or 0xC2:
                head.Progressive = marker == 0xC2;
                Frame(head, body);
                break;
            case Dqt or Dht:
                DefineTables(head, body, marker == Dht);
                break;
            case Dri when body.Length >= 2:
                head.RestartInterval = BinaryPrimitives.ReadUInt16BigEndian(body);
                break;
            case 0xC3 or >= 0xC5 and <= 0xC7 or >= 0xC9 and <= 0xCB or >= 0xCD and <= 0xCF:
                throw new InvalidDataException(
                    $"JPEG with {(marker >= 0xC9 ? "arithmetic codes" : "lossless or hierarchical coding")}, which is not read; "
                        + ImageFile.Convert("jpg", "png"));
            case 0xDC:
                throw new InvalidDataException(
                    "JPEG that tells its height after its pixels, which is not read; " + ImageFile.Convert("jpg", "png"));
            case Sos:
                Scan(head, body);
                break;
            case App1 when body.StartsWith("Exif\0\0"u8):
                head.Orientation = Exif.Orientation(body);
                break;
        }
    }

    private static void Frame(Head head, ReadOnlySpan<byte> body)
    {
        if (head.Width > 0) throw new InvalidDataException("JPEG with two frames; expected one.");
        if (body.Length < 6 || body.Length < 6 + 3 * body[5])
            throw new InvalidDataException($"JPEG frame of {body.Length} bytes; expected 6, and 3 a component.");
        int height = BinaryPrimitives.ReadUInt16BigEndian(body[1..]), width = BinaryPrimitives.ReadUInt16BigEndian(body[3..]);
        int components = body[5];
        ImageFile.CheckSize("JPEG", width, height);
        if (body[0] != 8) throw new InvalidDataException($"JPEG of {body[0]} bits, which is not read; " + ImageFile.Convert("jpg", "png"));
        if (components is not (1 or 3))
            throw new InvalidDataException(
                $"JPEG of {components} channels{(components == 4 ? " (CMYK)" : "")}, which is not read; expected gray or RGB. "
                    + ImageFile.Convert("jpg", "png", "-colorspace sRGB"));
        (head.Width, head.Height, head.Components) = (width, height, components);
        int across = 1, down = 1;
        for (int i = 0; i < components; i++)
        {
            (int h, int v) = (body[7 + 3 * i] >> 4, body[7 + 3 * i] & 15);
            if (h is < 1 or > 4 || v is < 1 or > 4)
                throw new InvalidDataException($"JPEG component {body[6 + 3 * i]} sampled {h} x {v}; expected 1 to 4 each way.");
            (across, down) = (Math.Max(across, h), Math.Max(down, v));
        }
        for (int i = 0; i < components; i++)
        {
            (int h, int v) = (body[7 + 3 * i] >> 4, body[7 + 3 * i] & 15);
            long blocks = (long)h * CeilDiv(width, 8 * across) * v * CeilDiv(height, 8 * down);
            if (!head.Blocks.TryAdd(body[6 + 3 * i], blocks)) throw new InvalidDataException($"JPEG component {body[6 + 3 * i]} twice.");
            head.BlocksAlone.Add(body[6 + 3 * i], (long)CeilDiv(CeilDiv(width * h, across), 8) * CeilDiv(CeilDiv(height * v, down), 8));
            head.NeededQuantization |= 1 << Math.Min(body[8 + 3 * i], (byte)31);
        }
        if (head.Blocks.Values.Sum() is var sum && sum > (long)MaxBlocksPerByte * head.FileBytes)
            throw new InvalidDataException($"JPEG of {sum} blocks in {head.FileBytes} bytes; expected more image data.");
        head.McuRows = 8 * down;
        head.Mcus = (long)CeilDiv(width, 8 * across) * CeilDiv(height, 8 * down);

        static int CeilDiv(int value, int by) => (value + by - 1) / by;
    }

    private static void Scan(Head head, ReadOnlySpan<byte> body)
    {
        if (body.Length < 1 || body[0] is < 1 or > 4 || body.Length < 4 + 2 * body[0])
            throw new InvalidDataException($"JPEG scan header of {body.Length} bytes; expected 1 to 4 components.");
        if ((head.NeededQuantization & ~head.QuantizationTables) != 0)
            throw new InvalidDataException("JPEG scan without its quantization table.");
        int first = body[1 + 2 * body[0]], refined = body[3 + 2 * body[0]] >> 4;
        for (int i = 0; i < body[0]; i++)
        {
            if (!head.Blocks.TryGetValue(body[1 + 2 * i], out long blocks))
                throw new InvalidDataException($"JPEG scan of component {body[1 + 2 * i]}, which the frame before it lacks.");
            head.Visits += blocks;
            (int dc, int ac) = (body[2 + 2 * i] >> 4, 4 + (body[2 + 2 * i] & 15));
            bool needsDc = first == 0 && refined == 0, needsAc = !head.Progressive || first > 0;
            if ((needsDc && (dc > 3 || (head.HuffmanTables >> dc & 1) == 0))
                || (needsAc && (ac > 7 || (head.HuffmanTables >> ac & 1) == 0)))
                throw new InvalidDataException("JPEG scan without its Huffman table.");
        }
        if (head.Visits > (long)MaxVisitsPerByte * head.FileBytes)
            throw new InvalidDataException(
                $"JPEG whose scans visit {head.Visits} blocks; expected at most {MaxVisitsPerByte} blocks for a byte.");
        long steps = body[0] == 1 ? head.BlocksAlone[body[1]] : head.Mcus;
        head.Restarts = head.RestartInterval == 0 ? 0 : (steps - 1) / head.RestartInterval;
    }

    private static void DefineTables(Head head, ReadOnlySpan<byte> body, bool huffman)
    {
        while (body.Length > 0)
        {
            (int kind, int number) = (body[0] >> 4, body[0] & 15);
            int length = 1 + (kind == 0 ? 64 : 128);
            if (huffman && body.Length >= 17)
            {
                length = 17;
                for (int i = 1; i <= 16; i++) length += body[i];
            }
            if (number > 3 || kind > 1 || length > body.Length)
                throw new InvalidDataException(
                    $"JPEG {(huffman ? "Huffman" : "quantization")} table {number} of {body.Length} bytes; expected "
                        + $"tables 0 to 3, of {length} bytes.");
            if (huffman) head.HuffmanTables |= 1 << 4 * kind + number;
            else head.QuantizationTables |= 1 << number;
            body = body[length..];
        }
    }

    /// <summary>The next marker that is no restart: 0xFF in the codes of a scan is followed by 0.</summary>
    private static int EndOfScan(ReadOnlySpan<byte> file, int at, out int restarts)
    {
        restarts = 0;
        while (true)
        {
            int found = file[at..].IndexOf((byte)0xFF);
            if (found < 0 || at + found + 1 >= file.Length) return file.Length;
            at += found;
            if (file[at + 1] is not (0 or 0xFF or (>= Rst0 and <= Rst7))) return at;
            if (file[at + 1] is >= Rst0 and <= Rst7) restarts++;
            at += file[at + 1] == 0xFF ? 1 : 2;
        }
    }

    /// <summary>
    /// The decoder counts on from one scan to the next towards a restart marker, which is wrong where several have them. It begins anew at
    /// each definition of the interval, so each scan gets one.
    /// </summary>
    private static byte[] Bare(byte[] file, Head head, byte[] filler)
    {
        int length = 4 + filler.Length;
        foreach ((Range range, int restart) in head.Kept) length += range.GetOffsetAndLength(file.Length).Length + (restart > 0 ? 6 : 0);
        byte[] bare = new byte[length];
        (bare[0], bare[1], bare[^2], bare[^1]) = (0xFF, Soi, 0xFF, Eoi);
        Span<byte> to = bare.AsSpan(2);
        foreach ((Range range, int restart) in head.Kept)
        {
            if (restart > 0)
            {
                ReadOnlySpan<byte> interval = [0xFF, Dri, 0, 4, (byte)(restart >> 8), (byte)restart];
                interval.CopyTo(to);
                to = to[6..];
            }
            ReadOnlySpan<byte> part = file.AsSpan(range);
            part.CopyTo(to);
            to = to[part.Length..];
        }
        filler.CopyTo(to);
        return bare;
    }
}
