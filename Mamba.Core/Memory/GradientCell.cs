namespace Mamba.Core.Memory;

/// <summary>The gradient of a tensor and of all its reshapes. A leaf's stays with it; those of results are used again.</summary>
internal sealed class GradientCell
{
    [ThreadStatic]
    private static Stack<GradientCell>? s_spare;

    private int _holders;

    /// <summary>The shape of the tensor that was there before its reshapes.</summary>
    public Shape Shape { get; private set; }

    public bool IsLeaf { get; private init; }

    public Tensor? Value { get; set; }

    /// <summary>Whether <see cref="Value"/> holds a sum of contributions; if not, its elements are undefined.</summary>
    public bool HasValue { get; set; }

    public static GradientCell OfLeaf(Shape shape) => new() { Shape = shape, IsLeaf = true };

    public static GradientCell OfResult(Shape shape)
    {
        if (s_spare is null || !s_spare.TryPop(out GradientCell? cell)) cell = new GradientCell();
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
        (s_spare ??= []).Push(this);
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
