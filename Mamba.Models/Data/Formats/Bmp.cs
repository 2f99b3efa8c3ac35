using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>Windows bitmaps without compression: 1, 4 or 8 bits with a palette, 24 and 32 bits, rows from the bottom or the top.</summary>
internal static class Bmp
{
    private const int FileHeader = 14, Uncompressed = 0, BitFields = 3;

    public static Image Read(ReadOnlySpan<byte> file)
    {
        if (file.Length < FileHeader + 12)
            throw new InvalidDataException($"BMP of {file.Length} bytes; expected a header of at least {FileHeader + 12}.");
        int dataOffset = Int32(file, 10), headerSize = Int32(file, FileHeader);
        bool core = headerSize == 12;
        if (!core && (headerSize < 40 || headerSize > file.Length - FileHeader))
            throw new InvalidDataException(
                $"BMP with an information header of {headerSize} bytes; expected 12, or 40 or more inside the file.");

        long width = core ? UInt16(file, 18) : Int32(file, 18), signedHeight = core ? UInt16(file, 20) : Int32(file, 22);
        long height = Math.Abs(signedHeight);
        int bits = UInt16(file, core ? 24 : 28), compression = core ? Uncompressed : Int32(file, 30);
        ImageFile.CheckSize("BMP", width, height);
        if (bits is not (1 or 4 or 8 or 24 or 32))
            throw new InvalidDataException($"BMP with {bits} bits a pixel; expected 1, 4, 8, 24 or 32.");
        if (compression == BitFields && bits == 32) CheckFields(file);
        else if (compression != Uncompressed) throw new InvalidDataException($"BMP with compression {compression}; expected none.");
        long stride = (width * bits + 31) / 32 * 4;
        if (dataOffset < FileHeader + headerSize || dataOffset + stride * height > file.Length)
            throw new InvalidDataException(
                $"BMP of {file.Length} bytes with {height} rows of {stride} bytes from byte {dataOffset}; expected them inside the file.");

        ReadOnlySpan<byte> palette = [];
        int entry = core ? 3 : 4;
        if (bits <= 8)
        {
            int colors = core || Int32(file, 46) == 0 ? 1 << bits : Int32(file, 46);
            if (colors < 0 || colors > 1 << bits || FileHeader + headerSize + colors * entry > dataOffset)
                throw new InvalidDataException(
                    $"BMP with {colors} colors in its palette; expected at most {1 << bits}, before the pixels.");
            palette = file.Slice(FileHeader + headerSize, colors * entry);
        }
        bool gray = bits <= 8;
        for (int i = 0; i < palette.Length; i += entry) gray &= palette[i] == palette[i + 1] && palette[i] == palette[i + 2];

        Image image = new((int)width, (int)height, gray ? 1 : 3);
        Span<byte> to = image.Pixels;
        for (int y = 0; y < height; y++)
        {
            ReadOnlySpan<byte> row = file.Slice((int)(dataOffset + stride * (signedHeight < 0 ? y : height - 1 - y)), (int)stride);
            for (int x = 0; x < width; x++, to = to[image.Channels..])
            {
                ReadOnlySpan<byte> color = row[(bits / 8 * x)..];
                if (bits <= 8)
                {
                    int index = row[x * bits / 8] >> (8 - bits - x * bits % 8) & ((1 << bits) - 1);
                    if (index >= palette.Length / entry)
                        throw new InvalidDataException(
                            $"BMP: color {index} at column {x}, row {y}; expected less than {palette.Length / entry}.");
                    color = palette[(index * entry)..];
                }
                to[0] = color[gray ? 0 : 2];
                if (!gray) (to[1], to[2]) = (color[1], color[0]);
            }
        }
        return image;
    }

    /// <summary>Accepts the usual masks of red, green and blue only. They follow the first 40 bytes of the information header.</summary>
    private static void CheckFields(ReadOnlySpan<byte> file)
    {
        const int masks = FileHeader + 40;
        if (file.Length < masks + 12
            || Int32(file, masks) != 0xFF0000 || Int32(file, masks + 4) != 0xFF00 || Int32(file, masks + 8) != 0xFF)
            throw new InvalidDataException("BMP with unusual color masks; expected blue, green, red in the three low bytes.");
    }

    private static int Int32(ReadOnlySpan<byte> file, int offset) => BinaryPrimitives.ReadInt32LittleEndian(file[offset..]);

    private static int UInt16(ReadOnlySpan<byte> file, int offset) => BinaryPrimitives.ReadUInt16LittleEndian(file[offset..]);
}
