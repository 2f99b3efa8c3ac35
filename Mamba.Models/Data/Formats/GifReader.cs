using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// The first picture of a GIF. The blocks are followed here. The decoder sees that picture alone, with a gray palette, so that the indices
/// stay exact.
/// </summary>
internal static class GifReader
{
    private const int Head = 13, Extension = 0x21, Picture = 0x2C, Trailer = 0x3B;

    private readonly record struct Frame(int X, int Y, int Width, int Height, bool Interlaced, int Palette, int Colors, int Data, int End);

    public static Raster Read(byte[] file)
    {
        if (file.Length < Head) throw new InvalidDataException($"GIF of {file.Length} bytes; expected a header of {Head}.");
        int width = UInt16(file, 6), height = UInt16(file, 8), colors = file[10] >> 7 == 0 ? 0 : 2 << (file[10] & 7);
        List<Frame> frames = Frames(file, Head + 3 * colors);
        if (frames.Count == 0)
            throw new InvalidDataException($"GIF ends at byte {file.Length} without a picture; expected more image data.");
        Frame first = frames[0];
        if (width == 0 || height == 0) (width, height) = (first.X + first.Width, first.Y + first.Height);
        ImageFile.CheckSize("GIF", width, height);
        ImageFile.CheckSize("GIF", first.Width, first.Height);
        if (first.X + first.Width > width || first.Y + first.Height > height)
            throw new InvalidDataException(
                $"GIF picture at {first.X}, {first.Y} of {first.Width} x {first.Height}; expected it inside {width} x {height}.");
        if ((long)width * height > 16L * first.Width * first.Height + 65_536)
            throw new InvalidDataException(
                $"GIF of {width} x {height} whose picture has {first.Width} x {first.Height}; expected one that fills it.");
        int[] palette = first.Colors > 0 ? Palette(file, first.Palette, first.Colors) : Palette(file, Head, colors);
        if (palette.Length == 0) throw new InvalidDataException("GIF without a palette.");
        byte[] rgb = Codec.Rgb8<Codec.Gif>(Bare(file, first), (first.Width, first.Height));
        byte[] indices = new byte[width * height];
        Array.Fill(indices, file[11] < palette.Length ? file[11] : (byte)0);
        for (int y = 0, from = 0; y < first.Height; y++)
            for (int x = 0; x < first.Width; x++, from += 3) indices[(first.Y + y) * width + first.X + x] = rgb[from];
        return new Raster(width, height, 1)
        {
            Bytes = indices,
            Palette = palette,
            Notes = frames.Count > 1 ? [$"an animation; the first of {frames.Count} frames is taken"] : [],
            Pages = frames.Count,
        };
    }

    private static List<Frame> Frames(byte[] file, int at)
    {
        List<Frame> frames = [];
        while (at < file.Length && file[at] != Trailer)
        {
            if (file[at] == Extension) at = EndOfBlocks(file, at + 2);
            else if (file[at] != Picture || at + 11 > file.Length) break;
            else
            {
                int colors = file[at + 9] >> 7 == 0 ? 0 : 2 << (file[at + 9] & 7), data = at + 10 + 3 * colors;
                if (data >= file.Length) break;
                int end = EndOfBlocks(file, data + 1);
                frames.Add(new Frame(
                    UInt16(file, at + 1), UInt16(file, at + 3), UInt16(file, at + 5), UInt16(file, at + 7), (file[at + 9] & 0x40) != 0,
                    at + 10, colors, data, end));
                at = end;
            }
        }
        return frames;
    }

    /// <summary>Blocks have their length before them; a length of 0 ends them.</summary>
    private static int EndOfBlocks(byte[] file, int at)
    {
        while (at < file.Length && file[at] != 0) at += 1 + file[at];
        return Math.Min(at + 1, file.Length);
    }

    private static int[] Palette(byte[] file, int at, int colors)
    {
        if (at + 3 * colors > file.Length) throw new InvalidDataException($"GIF palette of {colors} colors; expected it inside the file.");
        int[] palette = new int[colors];
        for (int i = 0; i < colors; i++) palette[i] = file[at + 3 * i] << 16 | file[at + 3 * i + 1] << 8 | file[at + 3 * i + 2];
        return palette;
    }

    private static byte[] Bare(byte[] file, Frame frame)
    {
        int bits = file[frame.Data];
        if (bits is < 1 or > 8) throw new InvalidDataException($"GIF of codes for {bits} bits; expected 1 to 8.");
        List<byte> codes = [];
        for (int at = frame.Data + 1; at < file.Length && file[at] != 0; at += 1 + file[at])
            codes.AddRange(file.AsSpan(at + 1, Math.Min(file[at], file.Length - at - 1)));
        // A code of 12 bits may stand for 4096 pixels.
        if ((long)frame.Width * frame.Height > 2731L * codes.Count + 4096)
            throw new InvalidDataException("GIF with fewer codes than pixels; expected more image data.");
        Packed.CheckLzw("GIF", [.. codes], bits, (long)frame.Width * frame.Height);
        List<byte> bare =
        [
            .. "GIF89a"u8, (byte)frame.Width, (byte)(frame.Width >> 8), (byte)frame.Height, (byte)(frame.Height >> 8), 0xF7, 0, 0,
            .. Enumerable.Range(0, 256).SelectMany(v => Enumerable.Repeat((byte)v, 3)), Picture, 0, 0, 0, 0,
            (byte)frame.Width, (byte)(frame.Width >> 8), (byte)frame.Height, (byte)(frame.Height >> 8),
            (byte)(frame.Interlaced ? 0x40 : 0),
            (byte)bits,
        ];
        for (int at = 0; at < codes.Count; at += 255)
        {
            int count = Math.Min(255, codes.Count - at);
            bare.Add((byte)count);
            bare.AddRange(codes.GetRange(at, count));
        }
        return [.. bare, 0, Trailer];
    }

    private static int UInt16(byte[] file, int at) => BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(at));
}
