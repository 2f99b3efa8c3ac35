using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// Windows bitmaps of 1 to 32 bits. The header is checked here. Files with a palette are handed to the decoder with a gray one, so that
/// the indices stay exact.
/// </summary>
internal static class BmpReader
{
    private const int FileHeader = 14, Uncompressed = 0, Rle8 = 1, Rle4 = 2, BitFields = 3, AlphaBitFields = 6;

    public static Raster Read(byte[] file)
    {
        if (file.Length < FileHeader + 12)
            throw new InvalidDataException($"BMP of {file.Length} bytes; expected a header of at least {FileHeader + 12}.");
        int dataOffset = Int32(file, 10), headerSize = Int32(file, FileHeader);
        bool core = headerSize == 12;
        if (!core && (headerSize < 40 || headerSize > file.Length - FileHeader))
            throw new InvalidDataException(
                $"BMP with an information header of {headerSize} bytes; expected 12, or 40 or more inside the file.");
        int width = core ? UInt16(file, 18) : Int32(file, 18), signedHeight = core ? UInt16(file, 20) : Int32(file, 22);
        int bits = UInt16(file, core ? 24 : 28), compression = core ? Uncompressed : Int32(file, 30);
        ImageFile.CheckSize("BMP", width, Math.Abs((long)signedHeight));
        (int Width, int Height) size = (width, Math.Abs(signedHeight));
        CheckPixels(file, size, bits, compression, dataOffset, FileHeader + headerSize);
        if (bits > 8) return new Raster(size.Width, size.Height, 3) { Bytes = Codec.Rgb8<Codec.Bmp>(file, size) };

        int entry = core ? 3 : 4, colors = core || Int32(file, 46) == 0 ? 1 << bits : Int32(file, 46);
        colors = Math.Min(colors, (dataOffset - FileHeader - headerSize) / entry);
        if (colors < 1 || colors > 1 << bits)
            throw new InvalidDataException($"BMP with {colors} colors in its palette; expected 1 to {1 << bits}, before the pixels.");
        ReadOnlySpan<byte> table = file.AsSpan(FileHeader + headerSize);
        int[] palette = new int[colors];
        for (int i = 0; i < colors; i++) palette[i] = table[entry * i + 2] << 16 | table[entry * i + 1] << 8 | table[entry * i];
        byte[] rgb = Codec.Rgb8<Codec.Bmp>(WithGrayPalette(file.AsSpan(dataOffset), width, signedHeight, bits, compression), size);
        byte[] indices = new byte[rgb.Length / 3];
        for (int i = 0; i < indices.Length; i++) indices[i] = rgb[3 * i];
        return new Raster(size.Width, size.Height, 1) { Bytes = indices, Palette = palette };
    }

    private static void CheckPixels(byte[] file, (int Width, int Height) size, int bits, int compression, int dataOffset, int headers)
    {
        bool known = compression switch
        {
            Uncompressed => bits is 1 or 4 or 8 or 16 or 24 or 32,
            Rle8 => bits == 8,
            Rle4 => bits == 4,
            BitFields or AlphaBitFields => bits is 16 or 32,
            _ => false,
        };
        if (!known)
            throw new InvalidDataException(
                $"BMP of {bits} bits a pixel with compression {compression}, which is not read; {ImageFile.Convert("bmp", "png")}");
        if (compression is BitFields or AlphaBitFields && file.Length < FileHeader + 52)
            throw new InvalidDataException("BMP without its color masks.");
        long stride = ((long)size.Width * bits + 31) / 32 * 4, need = compression is Rle8 or Rle4 ? 2 : stride * size.Height;
        if (dataOffset < headers || dataOffset + need > file.Length)
            throw new InvalidDataException(
                $"BMP of {file.Length} bytes with {size.Height} rows of {stride} bytes from byte {dataOffset}; expected them "
                    + "inside the file.");
        // Two bytes of runs cover up to 255 pixels, or end a row that is black from there on.
        if (need == 2 && (long)size.Width * size.Height > 4096L * (file.Length - dataOffset))
            throw new InvalidDataException($"BMP of {size.Width} x {size.Height} pixels in {file.Length} bytes; expected more image data.");
    }

    private static byte[] WithGrayPalette(ReadOnlySpan<byte> pixels, int width, int height, int bits, int compression)
    {
        int colors = 1 << bits, offset = FileHeader + 40 + 4 * colors;
        byte[] file = new byte[offset + pixels.Length];
        "BM"u8.CopyTo(file);
        Write(2, file.Length);
        Write(10, offset);
        Write(14, 40);
        Write(18, width);
        Write(22, height);
        Write(26, 1 | bits << 16);
        Write(30, compression);
        Write(46, colors);
        for (int i = 0; i < colors; i++) Write(FileHeader + 40 + 4 * i, i | i << 8 | i << 16);
        pixels.CopyTo(file.AsSpan(offset));
        return file;

        void Write(int at, int value) => BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(at), value);
    }

    private static int Int32(ReadOnlySpan<byte> file, int offset) => BinaryPrimitives.ReadInt32LittleEndian(file[offset..]);

    private static int UInt16(ReadOnlySpan<byte> file, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(file[offset..]);
}
