namespace Mamba.Core.Memory;

/// <summary>The gradient of a tensor and of all its reshapes. A leaf keeps its cell; cells of results are reused.</summary>
internal sealed class GradientCell
{
    private static readonly Recycler<GradientCell> s_recycler = new();

    [ThreadStatic]
    private static Stack<GradientCell>? s_spare;

    /// <summary>The leaves that this thread's backward pass has written to so far, and the number of nested passes.</summary>
    [ThreadStatic]
    private static List<GradientCell>? s_claimed;

    [ThreadStatic]
    private static int s_passes;

    private int _holders;

    /// <summary>The thread whose backward pass is writing to this leaf; 0 for none.</summary>
    private int _writer;

    /// <summary>The shape of the original tensor, before its reshapes.</summary>
    public Shape Shape { get; private set; }

    public bool IsLeaf { get; private init; }

    /// <summary>The tape whose step computed the tensor, until that step is processed; null for a leaf.</summary>
    public Recording? Recording { get; private set; }

    /// <summary>Whether the step that computed the tensor was processed and released: a later gradient would be lost.</summary>
    public bool IsSpent => !IsLeaf && Recording is null;

    public Tensor? Value { get; private set; }

    /// <summary>Whether <see cref="Value"/> holds a sum of contributions; if not, its elements are undefined.</summary>
    public bool HasValue { get; private set; }

    /// <summary>Whether the gradient of this leaf was reported complete in the current backward pass.</summary>
    public bool IsComplete { get; set; }

    public static GradientCell OfLeaf(Shape shape) => new() { Shape = shape, IsLeaf = true };

    public static GradientCell OfResult(Shape shape, Recording recording)
    {
        if (!s_recycler.TryTake(s_spare ??= [], out GradientCell? cell)) cell = new GradientCell();
        (cell.Shape, cell.Recording) = (shape, recording);
        return cell;
    }

    /// <summary>A gradient of this shape that no scope owns; its elements are undefined.</summary>
    public static Tensor Allocate(Shape shape)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        return Tensor.Empty(shape);
    }

    /// <summary>The destination of the next contribution.</summary>
    /// <exception cref="InvalidOperationException">
    /// The step that computed the tensor was already processed, or the gradient was reported complete.
    /// </exception>
    public GradSlot Open()
    {
        ThrowIfSpent();
        if (SeparateGradients.Current is { } separate && separate.Takes(this)) return separate.Open(this);
        if (IsComplete)
            throw new InvalidOperationException(
                $"Tape: a step writes to the gradient of a leaf {Shape} that its operator has not named; pass all inputs to Tape.Needs.");
        Claim();
        Tensor gradient = Value ?? Allocate(Shape);
        GradSlot slot = new(gradient, accumulate: HasValue);
        (Value, HasValue) = (gradient, true);
        return slot;
    }

    /// <summary>Uses a gradient that is no longer read as the first contribution, in this shape.</summary>
    /// <returns>False if there is a contribution already, or if the gradient outlives the backward pass.</returns>
    /// <exception cref="InvalidOperationException">The step that computed the tensor was already processed.</exception>
    public bool TryTake(Tensor gradient)
    {
        ThrowIfSpent();
        if (IsLeaf || Value is not null || (SeparateGradients.Current is { } separate && separate.Takes(this))) return false;
        using MemoryScope _ = MemoryScope.Suspend();
        (Value, HasValue) = (gradient.Shape == Shape ? gradient.Retain() : gradient.Reshape(Shape), true);
        return true;
    }

    /// <summary>Discards the contributions; the memory is kept for the next ones.</summary>
    public void Clear() => HasValue = false;

    /// <summary>Adds a reference from a tensor. A leaf may be reshaped on several threads, and is not counted.</summary>
    public void Hold()
    {
        if (!IsLeaf) _holders++;
    }

    /// <summary>Removes a reference; without any, the cell is free for another result.</summary>
    public void LetGo()
    {
        if (IsLeaf || --_holders > 0) return;
        Finish();
        s_recycler.Put(s_spare ??= [], this);
    }

    /// <summary>
    /// Claims this leaf for this thread's backward pass until <see cref="EndPass"/>. Two threads writing to one leaf would silently lose
    /// contributions.
    /// </summary>
    /// <exception cref="InvalidOperationException">The backward pass of another thread is writing to it.</exception>
    private void Claim()
    {
        if (!IsLeaf || s_passes == 0) return;
        int thread = Environment.CurrentManagedThreadId, writer = Volatile.Read(ref _writer);
        if (writer == thread) return;
        if (writer != 0 || Interlocked.CompareExchange(ref _writer, thread, 0) != 0)
            throw new InvalidOperationException(
                $"The backward pass of another thread is writing to the gradient of a leaf {Shape}. "
                + "Give each thread leaves of its own and add their gradients up, or take turns.");
        (s_claimed ??= []).Add(this);
    }

    /// <summary>Called at the start of a backward pass on this thread.</summary>
    public static void BeginPass() => s_passes++;

    /// <summary>Called at the end of a backward pass on this thread; other threads may then write to its leaves.</summary>
    public static void EndPass()
    {
        if (--s_passes > 0 || s_claimed is not { } claimed) return;
        foreach (GradientCell cell in claimed) Volatile.Write(ref cell._writer, 0);
        claimed.Clear();
    }

    /// <summary>Returns the gradient of a result.</summary>
    public void Drop()
    {
        if (IsLeaf) return;
        Value?.Release();
        (Value, HasValue) = (null, false);
    }

    /// <summary>Returns the gradient of a result and accepts no other: the step that computed the result is released.</summary>
    public void Finish()
    {
        Drop();
        Recording = null;
    }

    private void ThrowIfSpent()
    {
        if (IsSpent)
            throw new InvalidOperationException(
                $"Tape: a gradient flows into a result of shape {Shape} whose step was walked back and released before. "
                + "Differentiate all losses in one call, Backward([a, b], [da, db]), or cut the gradient with Tensor.Detach.");
    }
}
