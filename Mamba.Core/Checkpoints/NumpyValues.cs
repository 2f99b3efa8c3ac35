namespace Mamba.Core.Checkpoints;

/// <summary>A NumPy element type as pickled: a code such as <c>f8</c>, and the byte order from its state.</summary>
internal sealed class NumpyType(string code)
{
    /// <summary>The safetensors name of the type; null for text, objects, dates and complex numbers.</summary>
    public string? Element { get; } = code switch
    {
        "f2" => "F16",
        "f4" => "F32",
        "f8" => "F64",
        "i1" => "I8",
        "i2" => "I16",
        "i4" => "I32",
        "i8" => "I64",
        "u1" => "U8",
        "u2" => "U16",
        "u4" => "U32",
        "u8" => "U64",
        "b1" => "BOOL",
        _ => null,
    };

    public string Code { get; } = code;

    public bool IsBigEndian { get; set; }
}

/// <summary>
/// Bytes stored inside a pickle. Protocol 2 writes them as Latin-1 text. The text is not decoded in advance: a few bytes of pickle could
/// request the same text many times.
/// </summary>
internal sealed record PickledBytes(string? Latin1, byte[]? Bytes)
{
    public long Length => Latin1?.Length ?? Bytes!.Length;

    /// <summary>Whether all characters of the text are Latin-1. It scans the text.</summary>
    public bool IsByteText => Latin1 is null || !Latin1.AsSpan().ContainsAnyExceptInRange('\0', '\u00FF');

    /// <summary>A value on the stack as bytes; null if it has none.</summary>
    public static PickledBytes? Of(object? value) => value switch
    {
        byte[] bytes => new PickledBytes(null, bytes),
        PickledBytes bytes => bytes,
        _ => null,
    };

    /// <summary>Copies bytes [offset, offset + length of the target).</summary>
    public void CopyTo(long offset, Span<byte> target)
    {
        if (Latin1 is null) Bytes.AsSpan((int)offset, target.Length).CopyTo(target);
        else
            for (int i = 0; i < target.Length; i++) target[i] = (byte)Latin1[(int)offset + i];
    }
}

/// <summary>A NumPy array whose elements are in the pickle. It is empty until its state arrives.</summary>
internal sealed class NumpyArray
{
    public string Element { get; private set; } = "U8";

    public long[] Shape { get; private set; } = [0];

    public bool IsColumnMajor { get; private set; }

    public PickledBytes Content { get; private set; } = new(null, []);

    /// <summary>Sets shape, type and elements. Throws <see cref="FormatException"/> if they are inconsistent.</summary>
    public void Set(object?[] shape, NumpyType type, bool columnMajor, PickledBytes content)
    {
        string element = type.Element is { } known && !type.IsBigEndian
            ? known
            : throw new FormatException(
                $"a NumPy array of type '{(type.IsBigEndian ? ">" : "")}{type.Code}' is refused: expected little-endian numbers");
        if (shape.Length > WeightFile.MaxRank)
            throw new FormatException($"a NumPy array of {shape.Length} dimensions; at most {WeightFile.MaxRank} are accepted");
        long[] extents = Array.ConvertAll(shape, e => e is long and >= 0
            ? (long)e
            : throw new FormatException("the extents of a NumPy array are whole numbers"));
        Int128 bytes = ElementTypes.SizeOf(element);
        foreach (long extent in extents) bytes = Int128.Min(bytes * extent, long.MaxValue);
        if (bytes != content.Length)
            throw new FormatException($"a NumPy array ({string.Join(", ", extents)}) of {element} has {content.Length} bytes");
        (Element, Shape, IsColumnMajor, Content) = (element, extents, columnMajor, content);
    }

    /// <summary>
    /// The value of a scalar: a double, long, BigInteger or bool. Throws <see cref="FormatException"/> if bytes and type are inconsistent.
    /// </summary>
    public static object Scalar(NumpyType type, PickledBytes content)
    {
        if (type.Element is null) return new PickledObject("numpy.generic"); // without its code: the memo could repeat a long one
        int size = ElementTypes.SizeOf(type.Element);
        if (type.IsBigEndian || content.Length != size || !content.IsByteText)
            throw new FormatException($"a NumPy scalar of type '{type.Code}' has {content.Length} bytes, expected {size}, little-endian");
        Span<byte> bytes = stackalloc byte[size];
        content.CopyTo(0, bytes);
        return ElementTypes.ToValue(type.Element, bytes);
    }
}
