using System.Buffers.Binary;
using System.IO.Compression;
using System.Numerics;

namespace Mamba.Models.Data.Formats;

/// <summary>Writes gray pages of 8 or 16 bits as a TIFF file, each packed as one strip.</summary>
internal static class TiffWriter
{
    private const int Short = 3, Long = 4, Entries = 10;
    private const int DirectoryBytes = 2 + 12 * Entries + 4;

    /// <summary>Writes pages of one size.</summary>
    /// <exception cref="IOException">The file would be larger than 4 GB, which a TIFF cannot be.</exception>
    public static void Write<T>(Stream to, int width, int height, IReadOnlyList<T[]> pages) where T : unmanaged, IBinaryInteger<T>
    {
        int bits = 8 * T.Zero.GetByteCount();
        byte[] head = [(byte)'I', (byte)'I', 42, 0, 8, 0, 0, 0];
        to.Write(head);
        long at = head.Length;
        for (int i = 0; i < pages.Count; i++)
        {
            byte[] strip = Pack(pages[i]);
            long end = at + DirectoryBytes + strip.Length;
            if (end > uint.MaxValue)
                throw new IOException($"TIFF of more than {uint.MaxValue} bytes at page {i}; expected a smaller stack.");
            end += end & 1; // directories begin at even places
            to.Write(Directory((width, height, bits), at + DirectoryBytes, strip.Length, next: i + 1 < pages.Count ? end : 0));
            to.Write(strip);
            if (((at + strip.Length) & 1) != 0) to.WriteByte(0);
            at = end;
        }
    }

    private static byte[] Pack<T>(T[] pixels) where T : unmanaged, IBinaryInteger<T>
    {
        int size = T.Zero.GetByteCount();
        byte[] bytes = new byte[pixels.Length * size];
        for (int i = 0; i < pixels.Length; i++) pixels[i].WriteLittleEndian(bytes.AsSpan(i * size));
        using MemoryStream packed = new();
        using (ZLibStream zlib = new(packed, CompressionLevel.Optimal)) zlib.Write(bytes);
        return packed.ToArray();
    }

    private static byte[] Directory((int Width, int Height, int Bits) page, long strip, int stripBytes, long next)
    {
        const int ZLib = 8, BlackIsZero = 1, Page = 2;
        byte[] bytes = new byte[DirectoryBytes];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, Entries);
        int at = 2;
        Put(TiffEntry.NewSubfileType, Long, Page);
        Put(TiffEntry.Width, Long, page.Width);
        Put(TiffEntry.Height, Long, page.Height);
        Put(TiffEntry.Bits, Short, page.Bits);
        Put(TiffEntry.Compression, Short, ZLib);
        Put(TiffEntry.Photometric, Short, BlackIsZero);
        Put(TiffEntry.StripOffsets, Long, strip);
        Put(TiffEntry.Samples, Short, 1);
        Put(TiffEntry.RowsPerStrip, Long, page.Height);
        Put(TiffEntry.StripCounts, Long, stripBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), (uint)next);
        return bytes;

        void Put(TiffEntry tag, int type, long value)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at), (ushort)tag);
            BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(at + 2), (ushort)type);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at + 4), 1);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at + 8), (uint)value);
            at += 12;
        }
    }
}
