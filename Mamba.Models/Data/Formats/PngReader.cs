using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// PNG. The chunks are checked here. The decoder sees header and pixels alone: text, profiles and transparency are left out, and indices
/// of a palette are handed over as gray, so that they stay exact.
/// </summary>
internal static class PngReader
{
    private const int Gray = 0, Rgb = 2, Indexed = 3, GrayAlpha = 4, Rgba = 6;

    public static ReadOnlySpan<byte> Signature => [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A];

    private readonly record struct Header(int Width, int Height, int Depth, int ColorType, bool Interlaced)
    {
        public int Samples => ColorType switch { Rgb => 3, GrayAlpha => 2, Rgba => 4, _ => 1 };

        public long Bytes(int columns, int rows) => columns == 0 ? 0 : (1 + ((long)columns * Samples * Depth + 7) / 8) * rows;

        /// <summary>Unpacked bytes: a filter and the samples of each row, in one pass or the seven of Adam7.</summary>
        public long Unpacked
        {
            get
            {
                if (!Interlaced) return Bytes(Width, Height);
                long sum = 0;
                foreach ((int x, int y, int dx, int dy) in (ReadOnlySpan<(int, int, int, int)>)
                    [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)])
                    sum += Bytes((Width - x + dx - 1) / dx, (Height - y + dy - 1) / dy);
                return sum;
            }
        }
    }

    private readonly record struct Chunk(string Type, int At, int Length)
    {
        public Range Body => (At + 8)..(At + 8 + Length);
    }

    public static Raster Read(byte[] file)
    {
        if (!file.AsSpan().StartsWith(Signature))
            throw new InvalidDataException("PNG with a damaged signature; was the file transferred as text?");
        List<Chunk> chunks = Chunks(file);
        Header header = ReadHeader(file, chunks[0]);
        int[]? palette = header.ColorType == Indexed ? Palette(file, chunks) : null;
        byte[] bare = Bare(file, header, chunks);
        List<string> notes = [];
        int frames = chunks.FindIndex(c => c.Type == "acTL") is var at and >= 0 && chunks[at].Length >= 4
            ? BinaryPrimitives.ReadInt32BigEndian(file.AsSpan(chunks[at].Body)) : 1;
        if (frames > 1) notes.Add($"an animation; the first of {frames} frames is taken");
        int exif = chunks.FindIndex(c => c.Type == "eXIf"), orientation = exif < 0 ? 1 : Exif.Orientation(file.AsSpan(chunks[exif].Body));
        return Decode(header, bare) with { Palette = palette, Orientation = orientation, Notes = notes, Pages = frames };
    }

    private static Raster Decode(Header header, byte[] bare)
    {
        (int Width, int Height) size = (header.Width, header.Height);
        bool wide = header.Depth == 16;
        Raster gray = new(size.Width, size.Height, 1), color = new(size.Width, size.Height, 3);
        switch (header.ColorType)
        {
            case Gray when wide: return gray with { Words = Codec.Gray16<Codec.Png>(bare, size) };
            case Gray: return gray with { Bytes = Codec.Gray8<Codec.Png>(bare, size), Max = (1 << header.Depth) - 1 };
            case Indexed: return gray with { Bytes = Indices(Codec.Gray8<Codec.Png>(bare, size), header.Depth) };
            case Rgb when wide: return color with { Words = Codec.Rgb16<Codec.Png>(bare, size) };
            case Rgb: return color with { Bytes = Codec.Rgb8<Codec.Png>(bare, size) };
            case GrayAlpha when wide:
            case Rgba when wide:
                ushort[] words = header.ColorType == Rgba
                    ? Codec.Rgba16<Codec.Png>(bare, size) : Codec.GrayAlpha16<Codec.Png>(bare, size);
                (ushort[] samples, ushort[] opacities) = Opacity.Split(words, header.Samples);
                byte[] high = Array.ConvertAll(opacities, a => (byte)(a >> 8));
                return (header.ColorType == Rgba ? color : gray) with { Words = samples, Alpha = high };
            default:
                byte[] bytes = header.ColorType == Rgba ? Codec.Rgba8<Codec.Png>(bare, size) : Codec.GrayAlpha8<Codec.Png>(bare, size);
                (byte[] colors, byte[] alpha) = Opacity.Split(bytes, header.Samples);
                return (header.ColorType == Rgba ? color : gray) with { Bytes = colors, Alpha = alpha };
        }
    }

    /// <summary>Gray of few bits was scaled to 0 to 255: back to what is stored.</summary>
    private static byte[] Indices(byte[] gray, int depth) => depth == 8 ? gray
        : Array.ConvertAll(gray, v => (byte)(v * ((1 << depth) - 1) / 255));

    private static List<Chunk> Chunks(byte[] file)
    {
        List<Chunk> chunks = [];
        for (int at = Signature.Length; file.Length - at >= 12;)
        {
            uint length = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(at));
            if (length > file.Length - at - 12)
                throw new InvalidDataException(
                    $"PNG chunk of {length} bytes at byte {at}; expected it inside the {file.Length} bytes of the file.");
            chunks.Add(new Chunk(System.Text.Encoding.ASCII.GetString(file, at + 4, 4), at, (int)length));
            if (chunks.Count == 1 != (chunks[^1].Type == "IHDR"))
                throw new InvalidDataException($"PNG header at chunk {chunks.Count - 1}; expected it first, and once.");
            if (chunks[^1].Type == "IEND") break; // missing in files that were cut behind their pixels: those are all there
            at += 12 + (int)length;
        }
        if (chunks.Count == 0) throw new InvalidDataException($"PNG of {file.Length} bytes without a header.");
        foreach (Chunk chunk in chunks) Check(file, chunk);
        return chunks;
    }

    /// <summary>Checksums count for what pixels depend on. An unknown chunk that is marked as critical is refused.</summary>
    private static void Check(byte[] file, Chunk chunk)
    {
        if (chunk.Type[0] is >= 'a' and <= 'z') return;
        if (chunk.Type is not ("IHDR" or "PLTE" or "IDAT" or "IEND"))
            throw new InvalidDataException($"PNG with the unknown critical chunk '{chunk.Type}'.");
        uint sum = BinaryPrimitives.ReadUInt32BigEndian(file.AsSpan(chunk.Body.End.Value));
        if (Crc32.HashToUInt32(file.AsSpan(chunk.At + 4, chunk.Length + 4)) != sum)
            throw new InvalidDataException($"PNG chunk at byte {chunk.At} does not match its checksum.");
    }

    private static Header ReadHeader(byte[] file, Chunk chunk)
    {
        if (chunk.Length != 13) throw new InvalidDataException($"PNG header of {chunk.Length} bytes; expected 13.");
        ReadOnlySpan<byte> body = file.AsSpan(chunk.Body);
        uint width = BinaryPrimitives.ReadUInt32BigEndian(body), height = BinaryPrimitives.ReadUInt32BigEndian(body[4..]);
        ImageFile.CheckSize("PNG", width, height);
        int depth = body[8], colorType = body[9];
        bool known = colorType switch
        {
            Gray => depth is 1 or 2 or 4 or 8 or 16,
            Indexed => depth is 1 or 2 or 4 or 8,
            Rgb or GrayAlpha or Rgba => depth is 8 or 16,
            _ => false,
        };
        if (!known || body[10] != 0 || body[11] != 0 || body[12] > 1)
            throw new InvalidDataException(
                $"PNG of color type {colorType}, {depth} bits, methods {body[10]}, {body[11]}, {body[12]}; expected a combination that "
                    + "the standard knows.");
        // In the passes that such a picture lacks, the decoder loses its place, and may never end.
        if (body[12] == 1 && width < 5)
            throw new InvalidDataException(
                $"interlaced PNG of {width} columns, which is not read; {ImageFile.Convert("png", "png", "-interlace none")}");
        return new Header((int)width, (int)height, depth, colorType, body[12] == 1);
    }

    private static int[] Palette(byte[] file, List<Chunk> chunks)
    {
        int at = chunks.FindIndex(c => c.Type == "PLTE");
        if (at < 0) throw new InvalidDataException("PNG with color indices but no palette.");
        ReadOnlySpan<byte> body = file.AsSpan(chunks[at].Body);
        if (body.Length % 3 != 0 || body.Length is 0 or > 768)
            throw new InvalidDataException($"PNG palette of {body.Length} bytes; expected 3 for each of up to 256 colors.");
        int[] palette = new int[body.Length / 3];
        for (int i = 0; i < palette.Length; i++) palette[i] = body[3 * i] << 16 | body[3 * i + 1] << 8 | body[3 * i + 2];
        return palette;
    }

    /// <summary>
    /// The file with header and pixels alone, in one chunk each. All pixels are there: the decoder would leave some black.
    /// </summary>
    private static byte[] Bare(byte[] file, Header header, List<Chunk> chunks)
    {
        long packed = 0;
        foreach (Chunk chunk in chunks)
            if (chunk.Type == "IDAT") packed += chunk.Length;
        byte[] bare = new byte[Signature.Length + 25 + 12 + packed + 12];
        Signature.CopyTo(bare);
        int at = Signature.Length;
        Span<byte> body = Open(bare, ref at, "IHDR"u8, 13);
        file.AsSpan(chunks[0].Body).CopyTo(body);
        if (header.ColorType == Indexed) body[9] = Gray;
        Close(bare, ref at, 13);
        body = Open(bare, ref at, "IDAT"u8, (int)packed);
        int filled = 0;
        foreach (Chunk chunk in chunks)
        {
            if (chunk.Type != "IDAT") continue;
            file.AsSpan(chunk.Body).CopyTo(body[filled..]);
            filled += chunk.Length;
        }
        Packed.CheckInflates("PNG", bare, at + 8, (int)packed, header.Unpacked);
        Close(bare, ref at, (int)packed);
        Open(bare, ref at, "IEND"u8, 0);
        Close(bare, ref at, 0);
        return bare;
    }

    private static Span<byte> Open(byte[] to, ref int at, ReadOnlySpan<byte> type, int length)
    {
        BinaryPrimitives.WriteInt32BigEndian(to.AsSpan(at), length);
        type.CopyTo(to.AsSpan(at + 4));
        return to.AsSpan(at + 8, length);
    }

    private static void Close(byte[] to, ref int at, int length)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to.AsSpan(at + 8 + length), Crc32.HashToUInt32(to.AsSpan(at + 4, length + 4)));
        at += 12 + length;
    }
}
