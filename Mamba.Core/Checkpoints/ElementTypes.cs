using System.Buffers.Binary;

namespace Mamba.Core.Checkpoints;

/// <summary>The element types of weight files, under safetensors' names; numbers are little-endian.</summary>
internal static class ElementTypes
{
    /// <summary>Bytes of an element; 0 for a type that is not known.</summary>
    public static int SizeOf(string type) => type switch
    {
        "F64" or "I64" or "U64" => 8,
        "F32" or "I32" or "U32" => 4,
        "F16" or "BF16" or "I16" or "U16" => 2,
        "I8" or "U8" or "BOOL" => 1,
        _ => 0,
    };

    /// <summary>Converts elements to float32.</summary>
    public static void ToFloats(string type, ReadOnlySpan<byte> bytes, Span<float> values)
    {
        int size = SizeOf(type);
        for (int i = 0; i < values.Length; i++) values[i] = ToFloat(type, bytes[(i * size)..]);
    }

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
        _ => bytes[0], // U8, BOOL
    };
}
