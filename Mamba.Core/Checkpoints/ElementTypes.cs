using System.Buffers.Binary;
using System.Numerics;

namespace Mamba.Core.Checkpoints;

/// <summary>The element types of weight files, by safetensors' names; values are little-endian.</summary>
internal static class ElementTypes
{
    /// <summary>Bytes per element; 0 for an unknown type.</summary>
    public static int SizeOf(string type) => type switch
    {
        "F64" or "I64" or "U64" => 8,
        "F32" or "I32" or "U32" => 4,
        "F16" or "BF16" or "I16" or "U16" => 2,
        "I8" or "U8" or "BOOL" or "F8_E4M3" or "F8_E5M2" => 1,
        _ => 0,
    };

    /// <summary>Converts elements to float32.</summary>
    public static void ToFloats(string type, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        int size = SizeOf(type);
        for (int i = 0; i < values.Length; i++) values[i] = ToFloat(type, bytes[(i * size)..]);
    }

    /// <summary>One element as a double, a long (a BigInteger if that is too small) or a bool.</summary>
    public static object ToValue(string type, ReadOnlySpan<byte> bytes) => type switch
    {
        "BOOL" => bytes[0] != 0,
        "F64" => BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        "I64" => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        "U64" => BinaryPrimitives.ReadUInt64LittleEndian(bytes) is <= long.MaxValue and var whole
            ? (object)(long)whole
            : new BigInteger(BinaryPrimitives.ReadUInt64LittleEndian(bytes)),
        "I32" or "U32" or "I16" or "U16" or "I8" or "U8" => (long)ToFloat64(type, bytes),
        _ => ToFloat64(type, bytes),
    };

    private static double ToFloat64(string type, ReadOnlySpan<byte> bytes) => type switch
    {
        "I32" => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        "U32" => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        _ => ToFloat(type, bytes),
    };

    private static float ToFloat(string type, ReadOnlySpan<byte> bytes) => type switch
    {
        "F64" => (float)BinaryPrimitives.ReadDoubleLittleEndian(bytes),
        "F32" => BinaryPrimitives.ReadSingleLittleEndian(bytes),
        "F16" => (float)BinaryPrimitives.ReadHalfLittleEndian(bytes),
        "BF16" => BitConverter.Int32BitsToSingle(BinaryPrimitives.ReadUInt16LittleEndian(bytes) << 16),
        "I64" => BinaryPrimitives.ReadInt64LittleEndian(bytes),
        "U64" => BinaryPrimitives.ReadUInt64LittleEndian(bytes),
        "I32" => BinaryPrimitives.ReadInt32LittleEndian(bytes),
        "U32" => BinaryPrimitives.ReadUInt32LittleEndian(bytes),
        "I16" => BinaryPrimitives.ReadInt16LittleEndian(bytes),
        "U16" => BinaryPrimitives.ReadUInt16LittleEndian(bytes),
        "I8" => (sbyte)bytes[0],
        "F8_E4M3" => Float8(bytes[0]),
        "F8_E5M2" => (float)BitConverter.UInt16BitsToHalf((ushort)(bytes[0] << 8)), // the upper half of a float16
        _ => bytes[0], // U8, BOOL
    };

    /// <summary>
    /// A sign, four bits of exponent with bias 7, three bits of mantissa; no infinities, and all ones are NaN (Micikevicius et al. 2022).
    /// </summary>
    private static float Float8(byte bits)
    {
        int exponent = (bits >> 3) & 15, mantissa = bits & 7;
        float magnitude = (bits & 0x7F) == 0x7F ? float.NaN
            : exponent == 0 ? MathF.ScaleB(mantissa, -9)
            : MathF.ScaleB(8 + mantissa, exponent - 10);
        return bits >= 0x80 ? -magnitude : magnitude;
    }
}
