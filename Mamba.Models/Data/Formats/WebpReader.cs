using System.Buffers.Binary;
using System.Text;

namespace Mamba.Models.Data.Formats;

/// <summary>WebP, lossy or lossless. The chunks are checked here; the decoder sees pixels and opacity alone.</summary>
internal static class WebpReader
{
    private readonly record struct Chunk(string Type, int At, int Length)
    {
        public Range Body => (At + 8)..(At + 8 + Length);

        /// <summary>With its head, and padded to an even number of bytes.</summary>
        public int End => At + 8 + Length + (Length & 1);
    }

    public static Raster Read(byte[] file)
    {
        List<Chunk> chunks = Chunks(file, 12, file.Length);
        List<string> notes = [];
        int exif = chunks.FindIndex(c => c.Type == "EXIF"), orientation = exif < 0 ? 1 : Exif.Orientation(file.AsSpan(chunks[exif].Body));
        int frames = chunks.Count(c => c.Type == "ANMF");
        if (frames > 0)
        {
            Chunk frame = chunks.Find(c => c.Type == "ANMF");
            if (frame.Length < 16) throw new InvalidDataException($"WebP frame of {frame.Length} bytes; expected 16 or more.");
            if (frames > 1) notes.Add($"an animation; the first of {frames} frames is taken");
            chunks = Chunks(file, frame.At + 24, frame.At + 8 + frame.Length);
        }
        int at = chunks.FindIndex(c => c.Type is "VP8 " or "VP8L");
        if (at < 0) throw new InvalidDataException($"WebP ends at byte {file.Length} without a picture; expected more image data.");
        Chunk picture = chunks[at], opacity = chunks.Find(c => c.Type == "ALPH");
        (int Width, int Height) size = Size(file.AsSpan(picture.Body), picture.Type);
        ImageFile.CheckSize("WebP", size.Width, size.Height);
        bool alpha = opacity.Type is not null && picture.Type == "VP8 ";
        byte[] rgba = Codec.Rgba8<Codec.Webp>(Bare(file, picture, alpha ? opacity : default, size), size);
        (byte[] colors, byte[] opacities) = Opacity.Split(rgba, 4);
        bool seen = opacities.AsSpan().ContainsAnyExcept((byte)255);
        return new Raster(size.Width, size.Height, 3)
        {
            Bytes = colors,
            Alpha = seen ? opacities : null,
            Orientation = orientation,
            Lossy = picture.Type == "VP8 ",
            Notes = notes,
            Pages = Math.Max(1, frames),
        };
    }

    private static List<Chunk> Chunks(byte[] file, int at, int end)
    {
        List<Chunk> chunks = [];
        while (at + 8 <= end)
        {
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 4));
            if (length > end - at - 8)
                throw new InvalidDataException(
                    $"WebP chunk of {length} bytes at byte {at}; expected it inside the {file.Length} bytes of the file.");
            chunks.Add(new Chunk(Encoding.Latin1.GetString(file, at, 4), at, (int)length));
            at = chunks[^1].End;
        }
        return chunks;
    }

    private static (int Width, int Height) Size(ReadOnlySpan<byte> body, string type)
    {
        if (type == "VP8L")
        {
            if (body.Length < 5 || body[0] != 0x2F) throw new InvalidDataException("WebP with a damaged lossless header.");
            uint bits = BinaryPrimitives.ReadUInt32LittleEndian(body[1..]);
            return ((int)(bits & 0x3FFF) + 1, (int)(bits >> 14 & 0x3FFF) + 1);
        }
        if (body.Length < 10 || (body[0] & 1) != 0 || body[3] != 0x9D || body[4] != 1 || body[5] != 0x2A)
            throw new InvalidDataException("WebP with a damaged lossy header.");
        return (BinaryPrimitives.ReadUInt16LittleEndian(body[6..]) & 0x3FFF, BinaryPrimitives.ReadUInt16LittleEndian(body[8..]) & 0x3FFF);
    }

    private static byte[] Bare(byte[] file, Chunk picture, Chunk opacity, (int Width, int Height) size)
    {
        List<byte> bare = [.. "RIFF\0\0\0\0WEBP"u8];
        if (opacity.Type is not null)
        {
            (int w, int h) = (size.Width - 1, size.Height - 1);
            byte[] canvas = [(byte)w, (byte)(w >> 8), (byte)(w >> 16), (byte)h, (byte)(h >> 8), (byte)(h >> 16)];
            bare.AddRange([.. "VP8X"u8, 10, 0, 0, 0, 0x10, 0, 0, 0, .. canvas]);
            Add(opacity);
        }
        Add(picture);
        byte[] result = [.. bare];
        BinaryPrimitives.WriteInt32LittleEndian(result.AsSpan(4), result.Length - 8);
        return result;

        void Add(Chunk chunk)
        {
            bare.AddRange(file.AsSpan(chunk.At, chunk.Length + 8));
            if ((chunk.Length & 1) != 0) bare.Add(0);
        }
    }
}
