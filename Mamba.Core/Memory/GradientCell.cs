namespace Mamba.Core.Memory;

/// <summary>The gradient of a tensor and of all its reshapes. The cell of a leaf stays with it. Those of results are reused.</summary>
internal sealed class GradientCell
{
    private static readonly Recycler<GradientCell> s_recycler = new();

    [ThreadStatic]
    private static Stack<GradientCell>? s_spare;

    /// <summary>
    /// The leaves to which the backward pass of this thread has written so far, and how many passes are under way, one inside the other.
    /// </summary>
    [ThreadStatic]
    private static List<GradientCell>? s_claimed;

    [ThreadStatic]
    private static int s_passes;

    private int _holders;

    /// <summary>The thread whose backward pass is writing to this leaf; 0 for none.</summary>
    private int _writer;

    /// <summary>The shape of the tensor that was there before its reshapes.</summary>
    public Shape Shape { get; private set; }

    public bool IsLeaf { get; private init; }

    /// <summary>The tape whose step made the tensor, as long as that step has not been walked; null for a leaf.</summary>
    public Recording? Recording { get; private set; }

    /// <summary>Whether the step that made the tensor was walked and released: a gradient that came now would go nowhere.</summary>
    public bool IsSpent => !IsLeaf && Recording is null;

    public Tensor? Value { get; private set; }

    /// <summary>Whether <see cref="Value"/> holds a sum of contributions; if not, its elements are undefined.</summary>
    public bool HasValue { get; private set; }

    /// <summary>Whether the gradient of this leaf was called complete in the backward pass that is under way.</summary>
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

    /// <summary>The place of the next contribution.</summary>
    /// <exception cref="InvalidOperationException">
    /// The step that made the tensor was walked already, or somebody was told that the gradient is complete.
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

    /// <summary>Makes a gradient, which nobody else reads any more, the first contribution, in the shape of this.</summary>
    /// <returns>False if there is a contribution already, or if the gradient stays beyond the backward pass.</returns>
    /// <exception cref="InvalidOperationException">The step that made the tensor was walked already.</exception>
    public bool TryTake(Tensor gradient)
    {
        ThrowIfSpent();
        if (IsLeaf || Value is not null || (SeparateGradients.Current is { } separate && separate.Takes(this))) return false;
        using MemoryScope _ = MemoryScope.Suspend();
        (Value, HasValue) = (gradient.Shape == Shape ? gradient.Retain() : gradient.Reshape(Shape), true);
        return true;
    }

    /// <summary>Forgets the contributions; the memory is kept for the next ones.</summary>
    public void Clear() => HasValue = false;

    /// <summary>Counts a tensor that refers to this. A leaf may be reshaped on several threads, and is not counted.</summary>
    public void Hold()
    {
        if (!IsLeaf) _holders++;
    }

    /// <summary>Takes back a <see cref="Hold"/>; when none is left, this is free for another result.</summary>
    public void LetGo()
    {
        if (IsLeaf || --_holders > 0) return;
        Finish();
        s_recycler.Put(s_spare ??= [], this);
    }

    /// <summary>
    /// Makes this thread's backward pass the only one that writes to this leaf until <see cref="EndPass"/>. Two threads over one leaf would
    /// silently lose contributions.
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

    /// <summary>A backward pass begins on this thread.</summary>
    public static void BeginPass() => s_passes++;

    /// <summary>The backward pass of this thread is over; other threads may write to its leaves.</summary>
    public static void EndPass()
    {
        if (--s_passes > 0 || s_claimed is not { } claimed) return;
        foreach (GradientCell cell in claimed) Volatile.Write(ref cell._writer, 0);
        claimed.Clear();
    }

    /// <summary>Gives the gradient of a result back.</summary>
    public void Drop()
    {
        if (IsLeaf) return;
        Value?.Release();
        (Value, HasValue) = (null, false);
    }

    /// <summary>Gives the gradient of a result back, and takes no other: the step that made the result is released.</summary>
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
