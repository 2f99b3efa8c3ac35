namespace Mamba.Core.Memory;

/// <summary>The gradient of a tensor and of all its reshapes. A leaf's stays with it; those of results are used again.</summary>
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

    public Tensor? Value { get; set; }

    /// <summary>Whether <see cref="Value"/> holds a sum of contributions; if not, its elements are undefined.</summary>
    public bool HasValue { get; set; }

    public static GradientCell OfLeaf(Shape shape) => new() { Shape = shape, IsLeaf = true };

    public static GradientCell OfResult(Shape shape)
    {
        if (!s_recycler.TryTake(s_spare ??= [], out GradientCell? cell)) cell = new GradientCell();
        cell.Shape = shape;
        return cell;
    }

    /// <summary>Counts a tensor that refers to this. A leaf may be reshaped on several threads, and is not counted.</summary>
    public void Hold()
    {
        if (!IsLeaf) _holders++;
    }

    /// <summary>Takes back a <see cref="Hold"/>; when none is left, this is free for another result.</summary>
    public void LetGo()
    {
        if (IsLeaf || --_holders > 0) return;
        Drop();
        s_recycler.Put(s_spare ??= [], this);
    }

    /// <summary>
    /// Makes this thread's backward pass the only one that writes to this leaf until <see cref="EndPass"/>. The passes of two threads over
    /// one leaf would lose
    /// contributions, without a word.
    /// </summary>
    /// <exception cref="InvalidOperationException">The backward pass of another thread is writing to it.</exception>
    public void Claim()
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

    /// <summary>Gives the gradient of a result back, once the step that made the result has used it.</summary>
    public void Drop()
    {
        if (IsLeaf) return;
        Value?.Release();
        Value = null;
        HasValue = false;
    }
}
