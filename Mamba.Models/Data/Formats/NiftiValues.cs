using System.Buffers.Binary;

namespace Mamba.Models.Data.Formats;

/// <summary>The number types of NIfTI files.</summary>
internal static class NiftiValues
{
    /// <summary>Bytes of a value; 0 for a type that is not read.</summary>
    public static int SizeOf(int type) => type switch
    {
        2 or 256 => 1, // uint8, int8
        4 or 512 => 2, // int16, uint16
        8 or 16 or 768 => 4, // int32, float32, uint32
        64 or 1024 or 1280 => 8, // float64, int64, uint64
        _ => 0,
    };

    /// <summary>Converts stored numbers to values; those of more than 24 bits are rounded to float32, after the scaling.</summary>
    public static void Convert(NiftiHeader header, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        int size = SizeOf(header.Type);
        for (int i = 0; i < values.Length; i++)
        {
            ReadOnlySpan<byte> number = bytes.Slice(i * size, size);
            double stored = header.IsBigEndian ? Big(header.Type, number) : Little(header.Type, number);
            values[i] = (float)(stored * header.Slope + header.Intercept);
        }
    }

    private static double Little(int type, ReadOnlySpan<byte> number) => type switch
    {
        2 => number[0],
        256 => (sbyte)number[0],
        4 => BinaryPrimitives.ReadInt16LittleEndian(number),
        512 => BinaryPrimitives.ReadUInt16LittleEndian(number),
        8 => BinaryPrimitives.ReadInt32LittleEndian(number),
        768 => BinaryPrimitives.ReadUInt32LittleEndian(number),
        16 => BinaryPrimitives.ReadSingleLittleEndian(number),
        64 => BinaryPrimitives.ReadDoubleLittleEndian(number),
        1024 => BinaryPrimitives.ReadInt64LittleEndian(number),
        _ => BinaryPrimitives.ReadUInt64LittleEndian(number),
    };

    private static double Big(int type, ReadOnlySpan<byte> number) => type switch
    {
        2 => number[0],
        256 => (sbyte)number[0],
        4 => BinaryPrimitives.ReadInt16BigEndian(number),
        512 => BinaryPrimitives.ReadUInt16BigEndian(number),
        8 => BinaryPrimitives.ReadInt32BigEndian(number),
        768 => BinaryPrimitives.ReadUInt32BigEndian(number),
        16 => BinaryPrimitives.ReadSingleBigEndian(number),
        64 => BinaryPrimitives.ReadDoubleBigEndian(number),
        1024 => BinaryPrimitives.ReadInt64BigEndian(number),
        _ => BinaryPrimitives.ReadUInt64BigEndian(number),
    };
}
