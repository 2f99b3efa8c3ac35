namespace Mamba.Core.Memory;

/// <summary>Pooled, uninitialized working memory of one operator. Of length zero it has a null pointer.</summary>
internal readonly unsafe ref struct Scratch(nint length)
{
    private readonly Buffer? _buffer = length == 0 ? null : BufferPool.Rent(Shape.Checked(length, "Scratch", "working memory"));

    public float* Pointer => _buffer is { } buffer ? buffer.Pointer : null;

    public double* Doubles => (double*)Pointer;

    /// <summary>Room for so many doubles.</summary>
    public static Scratch OfDoubles(nint length) => new(2 * length);

    public void Dispose()
    {
        if (_buffer is { } buffer) BufferPool.Return(buffer);
    }
}
