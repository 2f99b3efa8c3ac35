namespace Mamba.Core.Memory;

/// <summary>Pooled, uninitialised numbers for the time of one operator.</summary>
internal readonly unsafe ref struct Scratch(nint length)
{
    private readonly Buffer _buffer = BufferPool.Rent(checked((int)length));

    public float* Pointer => _buffer.Pointer;

    public double* Doubles => (double*)_buffer.Pointer;

    /// <summary>Room for so many doubles.</summary>
    public static Scratch OfDoubles(nint length) => new(2 * length);

    public void Dispose() => BufferPool.Return(_buffer);
}
