namespace Mamba.Core.Memory;

/// <summary>Pooled, uninitialised floats for the time of one operator.</summary>
internal readonly unsafe ref struct Scratch(nint length)
{
    private readonly Buffer _buffer = BufferPool.Rent(checked((int)length));

    public float* Pointer => _buffer.Pointer;

    public void Dispose() => BufferPool.Return(_buffer);
}
