namespace Mamba.Core.Memory;

/// <summary>
/// Owns the tensors that this thread creates until it is disposed, and then gives their memory back, save for those that were returned to the
/// enclosing scope and those that a <see cref="Tape"/> has kept for its backward pass. A block of a model opens one around its temporaries.
/// </summary>
/// <example><code>
/// using MemoryScope scope = new();
/// Tensor h = Ops.Silu(Ops.Linear(x, weight));
/// return scope.Return(Ops.Linear(h, weight2));
/// </code></example>
public sealed class MemoryScope : IDisposable
{
    [ThreadStatic]
    private static MemoryScope? s_current;

    private readonly MemoryScope? _outer = s_current;
    private readonly List<Tensor> _tensors = [];
    private bool _disposed;

    /// <summary>Opens a scope on this thread, inside the one that is open.</summary>
    public MemoryScope() => s_current = this;

    /// <summary>Hands a tensor of this scope to the enclosing one, or to the garbage collector where there is none.</summary>
    /// <param name="tensor">The block's result; one that this scope does not own is passed through.</param>
    /// <returns>The same tensor.</returns>
    public Tensor Return(Tensor tensor)
    {
        int index = _tensors.LastIndexOf(tensor);
        if (index < 0) return tensor;
        _tensors.RemoveAt(index);
        _outer?._tensors.Add(tensor);
        return tensor;
    }

    /// <summary>Gives back everything this scope still owns.</summary>
    /// <exception cref="InvalidOperationException">A scope opened later, or on another thread, is still open.</exception>
    public void Dispose()
    {
        if (_disposed) return;
        if (s_current != this) throw new InvalidOperationException("MemoryScope: scopes close in the reverse of the order in which they were opened, on their own thread.");
        _disposed = true;
        s_current = _outer;
        foreach (Tensor tensor in _tensors) tensor.Dispose();
        _tensors.Clear();
    }

    /// <summary>
    /// Gives memory that waits to be used again back to the system, and that of tensors which nobody holds any more: for a program that goes on after
    /// its largest work.
    /// </summary>
    public static void Trim()
    {
        BufferPool.Clear();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive);
    }

    /// <summary>Makes the innermost scope of this thread, if there is one, the owner of a new tensor.</summary>
    internal static void Own(Tensor tensor) => s_current?._tensors.Add(tensor);

    /// <summary>Until disposed, new tensors of this thread belong to no scope: parameters, caches, saved state.</summary>
    internal static Suspension Suspend() => new();

    internal readonly ref struct Suspension
    {
        private readonly MemoryScope? _suspended = s_current;

        public Suspension() => s_current = null;

        public void Dispose() => s_current = _suspended;
    }
}
