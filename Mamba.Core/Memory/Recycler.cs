using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Mamba.Core.Memory;

/// <summary>
/// Objects for reuse. Each thread has a stack of its own. A full stack gives a batch to a store that all threads share, and an empty one
/// takes a batch from there. So objects that one thread makes and another gives back circulate, and their number is bounded.
/// </summary>
/// <remarks>The thread's stack is a thread-static field of the caller: such fields of a generic class take longer to find.</remarks>
internal sealed class Recycler<T> where T : class
{
    private const int Batch = 32;

    /// <summary>The most objects on a thread's stack: few, so that objects given back on another thread soon return.</summary>
    public const int MaxPerThread = 2 * Batch;

    /// <summary>The most objects in the shared store; the rest is left to the garbage collector.</summary>
    public const int MaxShared = 1 << 16;

    private readonly Lock _gate = new();
    private readonly Stack<T> _shared = [];

    /// <summary>Takes one that waits.</summary>
    /// <param name="own">The stack of this thread.</param>
    /// <param name="item">The object.</param>
    /// <returns>False if there is none.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryTake(Stack<T> own, [NotNullWhen(true)] out T? item) => own.TryPop(out item) || TryTakeShared(own, out item);

    /// <summary>Puts one back.</summary>
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
        if (_shared.Count == 0) return false; // a stale answer costs a new object, no more
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
