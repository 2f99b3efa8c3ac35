using Mamba.Core.Kernels.Layout;

namespace Mamba.Core;

// More rearrangements; see Layout.cs.
public static unsafe partial class Ops
{
    /// <summary>Joins tensors of one shape along a new dimension (torch.stack).</summary>
    /// <param name="parts">At least one; equal shapes of at most five dimensions.</param>
    /// <param name="axis">The index of the new dimension; -1 puts it last.</param>
    /// <returns>The shape of one part with a new dimension of extent parts.Length.</returns>
    /// <exception cref="ShapeException">The shapes differ, there are no parts, or the axis is out of range.</exception>
    public static Tensor Stack(ReadOnlySpan<Tensor> parts, int axis = 0)
    {
        Check.That(parts.Length > 0, "Stack", $"no tensors given");
        Shape shape = parts[0].Shape;
        int rank = shape.Rank, dimension = axis < 0 ? axis + rank + 1 : axis;
        Check.That(rank < Shape.MaxRank && dimension >= 0 && dimension <= rank, "Stack", $"no place {axis} for a new dimension in {shape}");
        Span<int> extents = stackalloc int[rank + 1];
        shape.CopyTo(extents);
        extents[dimension..rank].CopyTo(extents[(dimension + 1)..]);
        extents[dimension] = 1;
        Shape raised = new(extents);
        Tensor[]? many = parts.Length > 8 ? new Tensor[parts.Length] : null;
        TensorOfEight few = default;
        Span<Tensor> views = many ?? ((Span<Tensor>)few)[..parts.Length];
        for (int i = 0; i < parts.Length; i++)
        {
            Check.That(parts[i].Shape == shape, "Stack", $"shapes {shape} and {parts[i].Shape} differ, expected equal ones");
            views[i] = parts[i].Reshape(raised);
        }
        return Concat(views, dimension);
    }

    /// <summary>Exchanges two dimensions (torch.transpose).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis1">The first dimension; -1 is the last.</param>
    /// <param name="axis2">The second dimension.</param>
    /// <returns>The reordered tensor, copied.</returns>
    /// <exception cref="ShapeException">There is no such dimension.</exception>
    public static Tensor Transpose(Tensor x, int axis1 = -2, int axis2 = -1)
    {
        int first = Axis(x.Shape, axis1, "Transpose"), second = Axis(x.Shape, axis2, "Transpose");
        Span<int> order = stackalloc int[x.Shape.Rank];
        for (int i = 0; i < order.Length; i++) order[i] = i;
        (order[first], order[second]) = (second, first);
        return Permute(x, order);
    }

    /// <summary>Shifts the elements of a dimension; those that pass its end wrap around to its start (torch.roll).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="shift">The number of places; negative shifts towards the start.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">There is no such dimension.</exception>
    public static Tensor Roll(Tensor x, int shift, int axis)
    {
        int dimension = Axis(x.Shape, axis, "Roll"), extent = x.Shape[dimension];
        int start = extent == 0 ? 0 : (shift % extent + extent) % extent;
        Tensor y = Tensor.Empty(x.Shape);
        RunRoll(x.Shape, dimension, start, x.Pointer, y.Pointer, add: false);
        if (Tape.Needs(x))
            Tape.Record(y, (x, dimension, back: extent - start), static (context, dy) =>
            {
                (Tensor x, int dimension, int back) = context.Values;
                GradSlot dx = x.OpenGrad();
                RunRoll(x.Shape, dimension, back, dy.Pointer, dx.Pointer, dx.Accumulate);
            });
        return y;
    }

    /// <summary>Shifts the elements of several dimensions (torch.roll).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="shifts">The shift of each dimension.</param>
    /// <param name="axes">The dimensions, one for each shift.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">There is no such dimension.</exception>
    /// <exception cref="ArgumentException">The numbers of shifts and of dimensions differ.</exception>
    public static Tensor Roll(Tensor x, ReadOnlySpan<int> shifts, ReadOnlySpan<int> axes)
    {
        if (shifts.Length != axes.Length)
            throw new ArgumentException($"Roll: {shifts.Length} shifts for {axes.Length} dimensions.", nameof(shifts));
        for (int i = 0; i < axes.Length; i++) x = Roll(x, shifts[i], axes[i]);
        return x;
    }

    /// <summary>Repeats each element of a dimension, copies side by side (torch.repeat_interleave).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="repeats">The number of copies; at least 0.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <returns>The shape of x with repeats times the extent.</returns>
    /// <exception cref="ShapeException">There is no such dimension, or the result has too many elements.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The number of repeats is negative.</exception>
    public static Tensor RepeatInterleave(Tensor x, int repeats, int axis)
    {
        if (repeats < 0) throw new ArgumentOutOfRangeException(nameof(repeats), repeats, "RepeatInterleave: expected at least 0.");
        int dimension = Axis(x.Shape, axis, "RepeatInterleave");
        long extent = (long)x.Shape[dimension] * repeats;
        Check.That(extent <= int.MaxValue, "RepeatInterleave", $"{repeats} times dimension {dimension} of {x.Shape} is too long");
        (nint outer, nint inner) = Around(x.Shape, dimension);
        nint rows = outer * x.Shape[dimension];
        Tensor y = Tensor.Empty(x.Shape.With(dimension, (int)extent, "RepeatInterleave"));
        if (x.Count == 0) return Independent(y, x); // no elements: independent of repeats
        for (nint r = 0; r < repeats; r++) StridedCopy.Run(x.Pointer, inner, y.Pointer + r * inner, repeats * inner, inner, rows);
        if (Tape.Needs(x))
            Tape.Record(y, (x, repeats, inner, rows), static (context, dy) =>
            {
                (Tensor x, int repeats, nint inner, nint rows) = context.Values;
                GradSlot dx = x.OpenGrad();
                if (repeats == 0 && !dx.Accumulate) dx.Span.Clear();
                for (nint r = 0; r < repeats; r++)
                    StridedCopy.Run(dy.Pointer + r * inner, repeats * inner, dx.Pointer, inner, inner, rows, dx.Accumulate || r > 0);
            });
        return y;
    }

    /// <summary>Elements [0, extent - start) go to [start, extent), the others to the front.</summary>
    private static void RunRoll(Shape shape, int dimension, int start, float* from, float* to, bool add)
    {
        (nint outer, nint inner) = Around(shape, dimension);
        nint row = shape[dimension] * inner, moved = start * inner, stay = row - moved;
        StridedCopy.Run(from, row, to + moved, row, stay, outer, add);
        StridedCopy.Run(from + stay, row, to, row, moved, outer, add);
    }

    [System.Runtime.CompilerServices.InlineArray(8)]
    private struct TensorOfEight
    {
        private Tensor _first;
    }
}
