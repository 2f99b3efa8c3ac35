using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Mamba.Core.Memory;

/// <summary>
/// Pooled objects. Each thread has its own stack. A full stack moves a batch to a shared store, and an empty one takes a batch from there.
/// So objects created on one thread and returned on another circulate, and their number is bounded.
/// </summary>
/// <remarks>The thread's stack is a thread-static field of the caller: in a generic class such a field is slower to access.</remarks>
internal sealed class Recycler<T> where T : class
{
    private const int Batch = 32;

    /// <summary>The capacity of a thread's stack: small, so that objects returned on another thread soon circulate.</summary>
    public const int MaxPerThread = 2 * Batch;

    /// <summary>The capacity of the shared store; further objects are left to the garbage collector.</summary>
    public const int MaxShared = 1 << 16;

    private readonly Lock _gate = new();
    private readonly Stack<T> _shared = [];

    /// <summary>Takes an object.</summary>
    /// <param name="own">The stack of this thread.</param>
    /// <param name="item">The object.</param>
    /// <returns>False if there is none.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTake(Stack<T> own, [NotNullWhen(true)] out T? item) => own.TryPop(out item) || TryTakeShared(own, out item);

    /// <summary>Returns an object.</summary>
    /// <param name="own">The stack of this thread.</param>
    /// <param name="item">The object.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Put(Stack<T> own, T item)
    {
        if (own.Count >= MaxPerThread) Share(own);
        own.Push(item);
    }

    private bool TryTakeShared(Stack<T> own, [NotNullWhen(true)] out T? item)
    {
        item = null;
        if (_shared.Count == 0) return false; // a stale read only costs a new object
        lock (_gate)
            while (own.Count < Batch && _shared.TryPop(out T? waiting)) own.Push(waiting);
        return own.TryPop(out item);
    }

    private void Share(Stack<T> own)
    {
        lock (_gate)
            for (int i = 0; i < Batch; i++)
            {
                T item = own.Pop();
                if (_shared.Count < MaxShared) _shared.Push(item);
            }
    }
}
