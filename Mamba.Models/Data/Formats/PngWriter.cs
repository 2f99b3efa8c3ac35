using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;
using System.Numerics.Tensors;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// Writes PNG: gray or RGB of 8 or 16 bits, masks of one bit, or indices with a palette. The same pixels give the same bytes. It exists
/// because ImageSharp's encoder chooses the indices of a palette itself, where they have to be the classes.
/// </summary>
internal static class PngWriter
{
    private const int Gray = 0, Rgb = 2, Indexed = 3;

    /// <summary>The color of ignored pixels, and of classes that have none.</summary>
    private const int White = 0xFFFFFF;

    public static void Write(Stream to, Image image)
    {
        int bytes = image.Is16Bit ? 2 : 1;
        byte[] samples = image.Is16Bit ? new byte[2 * image.Samples16.Length] : image.Pixels;
        if (image.Is16Bit)
            for (int i = 0; i < image.Samples16.Length; i++)
                BinaryPrimitives.WriteUInt16BigEndian(samples.AsSpan(2 * i), image.Samples16[i]);
        Start(to, image.Width, image.Height, 8 * bytes, image.Channels == 1 ? Gray : Rgb);
        // Filter 2, the difference to the row above, suits masks and smooth pictures.
        Pixels(to, samples, image.Width * image.Channels * bytes, filter: 2);
    }

    public static void Write(Stream to, LabelMap map, IReadOnlyList<int> colors)
    {
        int most = 0;
        foreach (byte index in map.Classes) most = Math.Max(most, index);
        byte[] palette = new byte[3 * (Math.Max(most, Math.Min(255, colors.Count - 1)) + 1)];
        for (int i = 0; i < palette.Length / 3; i++)
        {
            int color = i < colors.Count && i != LabelMap.Ignored ? colors[i] : White;
            (palette[3 * i], palette[3 * i + 1], palette[3 * i + 2]) = ((byte)(color >> 16), (byte)(color >> 8), (byte)color);
        }
        Start(to, map.Width, map.Height, 8, Indexed);
        Chunk(to, "PLTE"u8, palette);
        Pixels(to, map.Classes, map.Width, filter: 0);
    }

    /// <summary>Writes a mask, a bit for each pixel: white where its value is not 0.</summary>
    public static void WriteMask(Stream to, int width, int height, ReadOnlySpan<byte> mask)
    {
        int stride = (width + 7) / 8;
        byte[] bits = new byte[stride * height];
        for (int y = 0; y < height; y++)
            for (int x = 0; x < width; x++)
                if (mask[y * width + x] != 0) bits[y * stride + x / 8] |= (byte)(0x80 >> x % 8);
        Start(to, width, height, 1, Gray);
        Pixels(to, bits, stride, filter: 2);
    }

    private static void Start(Stream to, int width, int height, int depth, int colorType)
    {
        Span<byte> header = stackalloc byte[13];
        header.Clear();
        BinaryPrimitives.WriteInt32BigEndian(header, width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], height);
        (header[8], header[9]) = ((byte)depth, (byte)colorType);
        to.Write(PngReader.Signature);
        Chunk(to, "IHDR"u8, header);
    }

    private static void Pixels(Stream to, byte[] samples, int stride, int filter)
    {
        int rows = samples.Length / stride;
        byte[] filtered = new byte[samples.Length + rows]; // a byte before each row names its filter
        for (int y = 0; y < rows; y++)
        {
            Span<byte> row = filtered.AsSpan(y * (stride + 1), stride + 1);
            row[0] = (byte)filter;
            ReadOnlySpan<byte> own = samples.AsSpan(y * stride, stride);
            if (filter == 0 || y == 0) own.CopyTo(row[1..]);
            else TensorPrimitives.Subtract(own, samples.AsSpan((y - 1) * stride, stride), row[1..]);
        }
        using MemoryStream packed = new(samples.Length / 2);
        using (ZLibStream zlib = new(packed, CompressionLevel.Fastest, leaveOpen: true)) zlib.Write(filtered);
        Chunk(to, "IDAT"u8, packed.GetBuffer().AsSpan(0, (int)packed.Length));
        Chunk(to, "IEND"u8, []);
    }

    private static void Chunk(Stream to, ReadOnlySpan<byte> type, ReadOnlySpan<byte> body)
    {
        Span<byte> number = stackalloc byte[4];
        Crc32 sum = new();
        BinaryPrimitives.WriteInt32BigEndian(number, body.Length);
        to.Write(number);
        Summed(type);
        Summed(body);
        BinaryPrimitives.WriteUInt32BigEndian(number, sum.GetCurrentHashAsUInt32());
        to.Write(number);

        void Summed(ReadOnlySpan<byte> bytes)
        {
            sum.Append(bytes);
            to.Write(bytes);
        }
    }
}
