namespace Mamba.Core.Checkpoints;

/// <summary>NumPy's element type as a pickle describes it: <c>f8</c>, and the byte order that its state gives.</summary>
internal sealed class NumpyType(string code)
{
    /// <summary>safetensors' name of the elements; null for text, objects, dates and complex numbers.</summary>
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
/// Bytes that a pickle holds itself. Protocol 2 writes them as the text that Latin-1 would decode. The text is kept as it is, since a few
/// bytes of pickle could ask for the same text to be encoded repeatedly.
/// </summary>
internal sealed record PickledBytes(string? Latin1, byte[]? Bytes)
{
    public long Length => Latin1?.Length ?? Bytes!.Length;

    /// <summary>Whether Latin-1 has all characters of the text. It looks at each of them.</summary>
    public bool IsByteText => Latin1 is null || !Latin1.AsSpan().ContainsAnyExceptInRange('\0', '\u00FF');

    /// <summary>The value on the stack as bytes; null where it is none.</summary>
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

/// <summary>A NumPy array whose elements the pickle holds. Its state comes after it, so that it is empty at first.</summary>
internal sealed class NumpyArray
{
    public string Element { get; private set; } = "U8";

    public long[] Shape { get; private set; } = [0];

    public bool IsColumnMajor { get; private set; }

    public PickledBytes Content { get; private set; } = new(null, []);

    /// <summary>Sets shape, type and elements. Throws <see cref="FormatException"/> where they do not fit together.</summary>
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
    /// The value of a scalar: a double, long, BigInteger or bool. Throws <see cref="FormatException"/> where bytes and type do not fit.
    /// </summary>
    public static object Scalar(NumpyType type, PickledBytes content)
    {
        if (type.Element is null) return new PickledObject("numpy.generic"); // not its code: the memo could repeat a long one
        int size = ElementTypes.SizeOf(type.Element);
        if (type.IsBigEndian || content.Length != size || !content.IsByteText)
            throw new FormatException($"a NumPy scalar of type '{type.Code}' has {content.Length} bytes, expected {size}, little-endian");
        Span<byte> bytes = stackalloc byte[size];
        content.CopyTo(0, bytes);
        return ElementTypes.ToValue(type.Element, bytes);
    }
}
