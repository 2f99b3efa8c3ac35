using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// PNG (W3C recommendation, second edition): every color type and depth, interlaced or not. Alpha and transparency are dropped. It exists
/// because the managed packages misread gray images below 8 bits, and inflate without limit.
/// </summary>
internal static class Png
{
    private static ReadOnlySpan<byte> Signature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

    /// <summary>The pixels of one pass: the whole image, or one of the seven of Adam7.</summary>
    private readonly record struct Pass(int X, int Y, int StepX, int StepY)
    {
        public int Columns(int width) => (width - X + StepX - 1) / StepX;

        public int Rows(int height) => (height - Y + StepY - 1) / StepY;
    }

    private static readonly Pass[] s_whole = [new(0, 0, 1, 1)];
    private static readonly Pass[] s_adam7 =
        [new(0, 0, 8, 8), new(4, 0, 8, 8), new(0, 4, 4, 8), new(2, 0, 4, 4), new(0, 2, 2, 4), new(1, 0, 2, 2), new(0, 1, 1, 2)];

    private readonly record struct Header(int Width, int Height, int Depth, int ColorType, bool Interlaced)
    {
        public bool Palette => ColorType == 3;

        public int Samples => ColorType switch { 2 => 3, 4 => 2, 6 => 4, _ => 1 };

        public int RowBytes(int columns) => (int)(((long)columns * Samples * Depth + 7) / 8);
    }

    public static Image Read(ReadOnlySpan<byte> file)
    {
        if (!file.StartsWith(Signature)) throw new InvalidDataException("PNG with a damaged signature; was the file transferred as text?");
        Header header = default;
        ReadOnlySpan<byte> palette = [];
        using MemoryStream packed = new();
        for (int at = Signature.Length, chunk = 0; ; chunk++)
        {
            if (file.Length - at < 12) throw new InvalidDataException($"PNG ends at byte {file.Length} without its end chunk.");
            uint length = BinaryPrimitives.ReadUInt32BigEndian(file[at..]);
            if (length > file.Length - at - 12)
                throw new InvalidDataException(
                    $"PNG chunk of {length} bytes at byte {at}; expected it inside the {file.Length} bytes of the file.");
            ReadOnlySpan<byte> type = file.Slice(at + 4, 4), body = file.Slice(at + 8, (int)length);
            uint checksum = BinaryPrimitives.ReadUInt32BigEndian(file[(at + 8 + (int)length)..]);
            if (Crc32.HashToUInt32(file.Slice(at + 4, (int)length + 4)) != checksum)
                throw new InvalidDataException($"PNG chunk at byte {at} does not match its checksum.");
            if (chunk == 0 != type.SequenceEqual("IHDR"u8))
                throw new InvalidDataException($"PNG header at chunk {chunk}; expected it first, and once.");
            at += 12 + (int)length;

            if (chunk == 0) header = ReadHeader(body);
            else if (type.SequenceEqual("PLTE"u8)) palette = body.Length % 3 == 0 && body.Length <= 768 ? body
                : throw new InvalidDataException($"PNG palette of {body.Length} bytes; expected 3 for each of up to 256 colors.");
            else if (type.SequenceEqual("IDAT"u8)) packed.Write(body);
            else if (type.SequenceEqual("IEND"u8)) break;
            else if ((type[0] & 0x20) == 0)
                throw new InvalidDataException($"PNG with the unknown critical chunk '{System.Text.Encoding.ASCII.GetString(type)}'.");
        }
        if (header.Palette && palette.IsEmpty) throw new InvalidDataException("PNG with color indices but no palette.");
        return Unpack(header, Inflate(header, packed), palette);
    }

    public static void Write(Stream to, Image image)
    {
        Span<byte> header = stackalloc byte[13];
        BinaryPrimitives.WriteInt32BigEndian(header, image.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], image.Height);
        header[8] = 8;
        header[9] = image.Channels == 1 ? (byte)0 : (byte)2;
        header[10..].Clear();
        using MemoryStream packed = new();
        using (ZLibStream zlib = new(packed, CompressionLevel.Optimal, leaveOpen: true))
        {
            // Filter 2, the difference to the row above, suits masks and smooth pictures.
            int stride = image.Width * image.Channels;
            byte[] row = new byte[stride + 1];
            row[0] = 2;
            for (int y = 0; y < image.Height; y++)
            {
                for (int i = 0, at = y * stride; i < stride; i++, at++)
                    row[i + 1] = (byte)(image.Pixels[at] - (y == 0 ? 0 : image.Pixels[at - stride]));
                zlib.Write(row);
            }
        }
        to.Write(Signature);
        WriteChunk(to, "IHDR"u8, header);
        WriteChunk(to, "IDAT"u8, packed.GetBuffer().AsSpan(0, (int)packed.Length));
        WriteChunk(to, "IEND"u8, []);
    }

    private static void WriteChunk(Stream to, ReadOnlySpan<byte> type, ReadOnlySpan<byte> body)
    {
        byte[] chunk = new byte[body.Length + 12];
        BinaryPrimitives.WriteInt32BigEndian(chunk, body.Length);
        type.CopyTo(chunk.AsSpan(4));
        body.CopyTo(chunk.AsSpan(8));
        BinaryPrimitives.WriteUInt32BigEndian(chunk.AsSpan(body.Length + 8), Crc32.HashToUInt32(chunk.AsSpan(4, body.Length + 4)));
        to.Write(chunk);
    }

    private static Header ReadHeader(ReadOnlySpan<byte> body)
    {
        if (body.Length != 13) throw new InvalidDataException($"PNG header of {body.Length} bytes; expected 13.");
        uint width = BinaryPrimitives.ReadUInt32BigEndian(body), height = BinaryPrimitives.ReadUInt32BigEndian(body[4..]);
        ImageFile.CheckSize("PNG", width, height);
        int depth = body[8], colorType = body[9];
        bool known = colorType switch
        {
            0 => depth is 1 or 2 or 4 or 8 or 16,
            3 => depth is 1 or 2 or 4 or 8,
            2 or 4 or 6 => depth is 8 or 16,
            _ => false,
        };
        if (!known || body[10] != 0 || body[11] != 0 || body[12] > 1)
            throw new InvalidDataException(
                $"PNG of color type {colorType}, {depth} bits, methods {body[10]}, {body[11]}, {body[12]}; expected a combination that "
                    + "the standard knows.");
        return new Header((int)width, (int)height, depth, colorType, body[12] == 1);
    }

    private static byte[] Inflate(Header header, MemoryStream packed)
    {
        long length = 0;
        foreach (Pass pass in header.Interlaced ? s_adam7 : s_whole)
        {
            int columns = pass.Columns(header.Width);
            if (columns > 0) length += pass.Rows(header.Height) * (header.RowBytes(columns) + 1L);
        }
        // Deflate reaches at most 1032 : 1, so that a short file cannot allocate a large picture.
        if (length > 1032 * (packed.Length + 1) || length > Array.MaxLength)
            throw new InvalidDataException(
                $"PNG of {header.Width} x {header.Height} pixels in {packed.Length} bytes; expected more image data.");
        byte[] rows = new byte[length];
        packed.Position = 0;
        using ZLibStream zlib = new(packed, CompressionMode.Decompress);
        int read = zlib.ReadAtLeast(rows, rows.Length, throwOnEndOfStream: false);
        if (read < rows.Length) throw new InvalidDataException($"PNG image data ends after {read} bytes; expected {rows.Length}.");
        return rows;
    }

    private static Image Unpack(Header header, Span<byte> rows, ReadOnlySpan<byte> palette)
    {
        bool gray = header.ColorType is 0 or 4 || header.Palette;
        for (int i = 0; header.Palette && i < palette.Length; i += 3) gray &= palette[i] == palette[i + 1] && palette[i] == palette[i + 2];
        Image image = new(header.Width, header.Height, gray ? 1 : 3);
        foreach (Pass pass in header.Interlaced ? s_adam7 : s_whole)
        {
            int columns = pass.Columns(header.Width), stride = header.RowBytes(columns);
            if (columns == 0) continue;
            ReadOnlySpan<byte> above = new byte[stride];
            for (int y = pass.Y; y < header.Height; y += pass.StepY)
            {
                Span<byte> row = rows.Slice(1, stride);
                Unfilter(rows[0], row, above, Math.Max(1, header.Samples * header.Depth / 8));
                Expand(header, row, palette, image, pass, columns, y);
                above = row;
                rows = rows[(stride + 1)..];
            }
        }
        return image;
    }

    private static void Unfilter(int filter, Span<byte> row, ReadOnlySpan<byte> above, int step)
    {
        switch (filter)
        {
            case 0:
                break;
            case 1:
                for (int i = step; i < row.Length; i++) row[i] += row[i - step];
                break;
            case 2:
                for (int i = 0; i < row.Length; i++) row[i] += above[i];
                break;
            case 3:
                for (int i = 0; i < row.Length; i++) row[i] += (byte)(((i < step ? 0 : row[i - step]) + above[i]) >> 1);
                break;
            case 4:
                for (int i = 0; i < row.Length; i++) row[i] += i < step ? above[i] : Paeth(row[i - step], above[i], above[i - step]);
                break;
            default:
                throw new InvalidDataException($"PNG row with filter {filter}; expected 0 to 4.");
        }
    }

    private static byte Paeth(int left, int above, int corner)
    {
        int toLeft = Math.Abs(above - corner), toAbove = Math.Abs(left - corner), toCorner = Math.Abs(left + above - 2 * corner);
        return (byte)(toLeft <= toAbove && toLeft <= toCorner ? left : toAbove <= toCorner ? above : corner);
    }

    /// <summary>Expands one row of samples of any depth to the image's bytes.</summary>
    private static void Expand(
        Header header, ReadOnlySpan<byte> row, ReadOnlySpan<byte> palette, Image image, Pass pass, int columns, int y)
    {
        int depth = header.Depth, samples = header.Samples, channels = image.Channels, top = (1 << depth) - 1;
        Span<byte> to = image.Pixels.AsSpan(y * image.Width * channels, image.Width * channels);
        if (depth == 8 && samples == channels && pass.StepX == 1 && !header.Palette)
        {
            row.CopyTo(to);
            return;
        }
        for (int column = 0; column < columns; column++)
        {
            Span<byte> pixel = to.Slice((pass.X + column * pass.StepX) * channels, channels);
            for (int c = 0; c < channels; c++)
            {
                int sample = column * samples + (header.Palette ? 0 : c), bit = sample * depth;
                int value = depth switch
                {
                    16 => BinaryPrimitives.ReadUInt16BigEndian(row[(2 * sample)..]),
                    8 => row[sample],
                    _ => row[bit >> 3] >> (8 - depth - (bit & 7)) & top,
                };
                if (header.Palette && value * 3 >= palette.Length)
                    throw new InvalidDataException($"PNG color {value} in row {y}; expected less than {palette.Length / 3}.");
                pixel[c] = header.Palette ? palette[3 * value + c] : (byte)((value * 255 + top / 2) / top);
            }
        }
    }
}
