namespace Mamba.Core.Memory;

/// <summary>Pooled, uninitialized working memory of one operator. With length zero its pointer is null.</summary>
internal readonly unsafe ref struct Scratch(nint length)
{
    private readonly Buffer? _buffer = length == 0 ? null : BufferPool.Rent(Shape.Checked(length, "Scratch", "working memory"));

    public float* Pointer => _buffer is { } buffer ? buffer.Pointer : null;

    public double* Doubles => (double*)Pointer;

    /// <summary>Scratch for this many doubles.</summary>
    public static Scratch OfDoubles(nint length) => new(2 * length);

    public void Dispose()
    {
        if (_buffer is { } buffer) BufferPool.Return(buffer);
    }
}
