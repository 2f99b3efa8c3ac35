using System.Runtime.InteropServices;

namespace Mamba.Core.Memory;

/// <summary>
/// Owns the tensors that this thread creates until it is disposed, and then returns their memory to the pool. Exceptions are tensors handed
/// to the enclosing scope, and those that a <see cref="Tape"/> keeps for its backward pass. A block of a model opens a scope around its
/// temporaries.
/// </summary>
/// <remarks>A scope is an index into a list of its thread, so that opening one allocates nothing.</remarks>
/// <example><code>
/// using MemoryScope scope = new();
/// Tensor h = Ops.Silu(Ops.Linear(x, weight));
/// return scope.Return(Ops.Linear(h, weight2));
/// </code></example>
public readonly struct MemoryScope : IDisposable
{
    [ThreadStatic]
    private static Ownership? s_current;

    private readonly Ownership _ownership;
    private readonly int _depth;
    private readonly long _serial;

    /// <summary>Opens a scope on this thread, inside the current one.</summary>
    public MemoryScope()
        : this(owns: true)
    {
    }

    private MemoryScope(bool owns)
    {
        _ownership = s_current ??= new Ownership();
        (_depth, _serial) = _ownership.Open(owns);
    }

    /// <summary>Hands a tensor of this scope to the enclosing one, or to the garbage collector if there is none.</summary>
    /// <param name="tensor">The block's result; a tensor of another owner is returned unchanged.</param>
    /// <returns>The same tensor.</returns>
    /// <exception cref="InvalidOperationException">The scope was opened on another thread.</exception>
    public Tensor Return(Tensor tensor)
    {
        if (!IsOpen) return tensor;
        if (_ownership != s_current) throw new InvalidOperationException("MemoryScope.Return: the scope was opened on another thread.");
        _ownership.Return(_depth, tensor);
        return tensor;
    }

    /// <summary>Returns the memory of all tensors that this scope still owns.</summary>
    /// <exception cref="InvalidOperationException">A scope opened later, or on another thread, is still open.</exception>
    public void Dispose()
    {
        if (!IsOpen) return;
        if (_ownership != s_current || _depth != _ownership.Depth)
            throw new InvalidOperationException(
                "MemoryScope: scopes close in the reverse of the order in which they were opened, on their own thread.");
        _ownership.Close();
    }

    /// <summary>
    /// Releases pooled memory to the system, and the memory of unreachable tensors. For programs that keep running after their largest
    /// work.
    /// </summary>
    public static void Trim()
    {
        BufferPool.Clear();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive);
    }

    /// <summary>Makes the innermost scope of this thread, if there is one, the owner of a new tensor.</summary>
    internal static void Own(Tensor tensor) => s_current?.Own(tensor);

    /// <summary>The number of scopes open on this thread, including those of tapes.</summary>
    internal static int Depth => s_current?.Depth ?? 0;

    /// <summary>Closes the scopes of this thread beyond a depth, innermost first; those of tapes, too.</summary>
    internal static void CloseTo(int depth)
    {
        while (Depth > depth) s_current!.Close();
    }

    /// <summary>Until disposed, new tensors of this thread belong to no scope: parameters, caches, saved state.</summary>
    internal static MemoryScope Suspend() => new(owns: false);

    private bool IsOpen => _ownership is not null && _ownership.IsOpen(_depth, _serial);

    /// <summary>The open scopes of a thread, outermost first, and their tensors in the same order.</summary>
    private sealed class Ownership
    {
        private readonly List<Scope> _scopes = [];
        private readonly List<Tensor> _tensors = [];
        private long _opened;

        public int Depth => _scopes.Count;

        public (int Depth, long Serial) Open(bool owns)
        {
            _scopes.Add(new Scope(++_opened, _tensors.Count, owns));
            return (_scopes.Count, _opened);
        }

        /// <summary>Whether the scope at this depth has this serial number, and is not a later one.</summary>
        public bool IsOpen(int depth, long serial) => depth <= _scopes.Count && _scopes[depth - 1].Serial == serial;

        public void Own(Tensor tensor)
        {
            if (_scopes.Count > 0 && _scopes[^1].Owns) _tensors.Add(tensor);
        }

        public void Return(int depth, Tensor tensor)
        {
            Span<Scope> scopes = CollectionsMarshal.AsSpan(_scopes);
            int first = scopes[depth - 1].First, end = depth < scopes.Length ? scopes[depth].First : _tensors.Count;
            int index = first + CollectionsMarshal.AsSpan(_tensors)[first..end].LastIndexOf(tensor);
            if (index < first) return;
            if (depth > 1 && scopes[depth - 2].Owns)
            {
                // The tensors of the enclosing scope end where those of this scope start.
                (_tensors[first], _tensors[index]) = (_tensors[index], _tensors[first]);
                scopes[depth - 1].First++;
                return;
            }
            _tensors.RemoveAt(index);
            foreach (ref Scope inner in scopes[depth..]) inner.First--;
        }

        public void Close()
        {
            int first = _scopes[^1].First;
            _scopes.RemoveAt(_scopes.Count - 1);
            for (int i = first; i < _tensors.Count; i++) _tensors[i].Dispose();
            _tensors.RemoveRange(first, _tensors.Count - first);
        }

        private struct Scope(long serial, int first, bool owns)
        {
            public readonly long Serial = serial;

            /// <summary>The index of its first tensor.</summary>
            public int First = first;

            /// <summary>Whether it owns the tensors created in it, or leaves them to the caller.</summary>
            public readonly bool Owns = owns;
        }
    }
}
