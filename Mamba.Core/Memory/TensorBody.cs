namespace Mamba.Core.Memory;

/// <summary>
/// The body of a <see cref="Tensor"/>: shape, memory, gradient. Bodies are reused, so that creating a tensor allocates nothing. Each use
/// has its own lease number; a handle with an older number throws instead of reading another tensor.
/// </summary>
internal sealed class TensorBody
{
    private static readonly Recycler<TensorBody> s_spare = new();

    [ThreadStatic]
    private static Recycling? s_recycling;

    private Buffer? _buffer;
    private int _references;
    private bool _disposed;
    private bool _waits;

    /// <summary>The number of this use; it increases when the body is returned.</summary>
    public int Lease { get; private set; }

    public Shape Shape { get; private set; }

    /// <summary>The offset of the elements in <see cref="Buffer"/>.</summary>
    public int Offset { get; private set; }

    public Buffer Buffer => (_references > 0 ? _buffer : null) ?? throw Missing();

    /// <summary>
    /// The row-major form of a frozen weight, for products of few rows; null for other tensors. If it is in fewer bits, there is no float32
    /// <see cref="Buffer"/>.
    /// </summary>
    public StoredWeight? Stored { get; set; }

    public GradientCell? Gradient
    {
        get;
        set
        {
            value?.Hold();
            field?.LetGo();
            field = value;
        }
    }

    /// <summary>The recorded step that can recompute the values, or null. Set and cleared by its <see cref="Tape"/>.</summary>
    public BackwardStep? Source { get; set; }

    /// <summary>A body for a tensor of this thread.</summary>
    public static TensorBody Rent(Shape shape, Buffer? buffer, int offset)
    {
        if (!s_spare.TryTake((s_recycling ??= new Recycling()).Spare, out TensorBody? body)) body = new TensorBody();
        (body.Shape, body._buffer, body.Offset) = (shape, buffer, offset);
        (body._references, body._disposed) = (1, false);
        return body;
    }

    /// <summary>
    /// Until <see cref="Resume"/>, bodies returned on this thread keep their lease: the steps of a tape read shape and gradient of tensors
    /// whose memory was returned.
    /// </summary>
    public static void Defer() => (s_recycling ??= new Recycling()).Deferrals++;

    /// <summary>Ends one <see cref="Defer"/>. The last one frees the waiting bodies.</summary>
    public static void Resume()
    {
        Recycling recycling = s_recycling!;
        if (--recycling.Deferrals > 0) return;
        foreach (TensorBody body in recycling.Waiting) body.Recycle(recycling);
        recycling.Waiting.Clear();
    }

    /// <summary>Replaces the memory unless it is shared.</summary>
    public bool TryMove(Buffer buffer)
    {
        if (Buffer.IsShared || _references > 1) return false;
        _buffer!.Release();
        (_buffer, Offset) = (buffer, 0);
        return true;
    }

    /// <summary>Releases the float32 memory after encoding, unless it is shared.</summary>
    public bool TryStore(StoredWeight weight)
    {
        if (weight.Format != WeightFormat.Float32)
        {
            if (Buffer.IsShared || _references > 1) return false;
            _buffer!.Release();
            _buffer = null;
        }
        Stored = weight;
        return true;
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Release();
    }

    public void Retain()
    {
        if (_references <= 0) throw Missing();
        Interlocked.Increment(ref _references);
    }

    /// <summary>Retains the memory; if it was returned, recomputes the values.</summary>
    public void Recompute(Tensor self)
    {
        if (_references > 0)
        {
            Retain();
            return;
        }
        (_buffer, Offset, _references) = (BufferPool.Rent(Shape.Count), 0, 1);
        Source!.Recompute(self);
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _references) > 0) return;
        _buffer?.Release();
        (_buffer, Stored) = (null, null);
        if (_waits) return; // already waiting since its memory was first returned
        Recycling recycling = s_recycling ??= new Recycling();
        if (recycling.Deferrals > 0)
        {
            _waits = true;
            recycling.Waiting.Add(this);
        }
        else Recycle(recycling);
    }

    private Exception Missing() => _references > 0
        ? new InvalidOperationException(
            $"This weight {Shape} is stored as {Stored?.Format}; linear layers and embeddings of a frozen model alone read it.")
        : new ObjectDisposedException(nameof(Tensor), $"The memory of this tensor {Shape} was given back.");

    private void Recycle(Recycling recycling)
    {
        Lease++;
        _waits = false;
        (Gradient, Source) = (null, null);
        s_spare.Put(recycling.Spare, this);
    }

    /// <summary>A thread's free bodies, and those that become free when no tape is open.</summary>
    private sealed class Recycling
    {
        public readonly Stack<TensorBody> Spare = [];
        public readonly List<TensorBody> Waiting = [];
        public int Deferrals;
    }
}
