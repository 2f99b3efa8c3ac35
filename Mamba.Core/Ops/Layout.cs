using Mamba.Core.Kernels.Layout;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Joins tensors along a dimension (torch.cat).</summary>
    /// <param name="parts">At least one; equal shapes except along that dimension.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <returns>The joined tensor.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor Concat(ReadOnlySpan<Tensor> parts, int axis = -1)
    {
        Check.That(parts.Length > 0, "Concat", $"no tensors given");
        Shape first = parts[0].Shape;
        int dimension = Axis(first, axis, "Concat");
        long total = 0;
        foreach (Tensor part in parts)
        {
            Check.That(
                part.Shape.Rank == first.Rank && part.Shape.With(dimension, 1) == first.With(dimension, 1), "Concat",
                $"shapes {first} and {part.Shape} differ outside dimension {dimension}");
            total += part.Shape[dimension];
        }
        Tensor y = Tensor.Empty(first.With(dimension, Shape.Checked(total, "Concat", "an extent"), "Concat"));
        (nint outer, nint inner) = Around(first, dimension);
        JoinStep join = new(new TensorList(parts), dimension, outer, inner, (nint)total * inner);
        join.Forward(y);
        if (!Tape.Needs(parts)) return y;
        bool recomputable = false;
        foreach (Tensor part in parts) recomputable |= Tape.CanRecompute(part);
        if (!recomputable)
        {
            Tape.Record(y, join, static (join, dy) => join.Values.Backward(dy));
            return y;
        }
        // A concatenation, such as a skip connection, only copies tensors that are kept anyway: recomputing it is cheap.
        Tape.RecordRecomputable(y, join, static (join, dy) => join.Values.Backward(dy), static (join, y) => join.Values.Recompute(y));
        foreach (Tensor part in parts)
            if (!Tape.CanRecompute(part)) Tape.Keep(part);
        return y;
    }

    /// <summary>
    /// A concatenation. Each index of the outer dimensions has one row, in which the rows of the parts follow each other.
    /// </summary>
    private readonly record struct JoinStep(TensorList Parts, int Dimension, nint Outer, nint Inner, nint Row)
    {
        public void Forward(Tensor y)
        {
            nint offset = 0;
            foreach (Tensor part in Parts.AsSpan())
            {
                nint length = part.Shape[Dimension] * Inner;
                StridedCopy.Run(part.Pointer, length, y.Pointer + offset, Row, length, Outer);
                offset += length;
            }
        }

        public void Recompute(Tensor y)
        {
            foreach (Tensor part in Parts.AsSpan()) part.Recompute();
            Forward(y);
            foreach (Tensor part in Parts.AsSpan()) part.Release();
        }

        public void Backward(Tensor dy)
        {
            nint offset = 0;
            foreach (Tensor part in Parts.AsSpan())
            {
                nint length = part.Shape[Dimension] * Inner;
                if (part.NeedsGrad)
                {
                    GradSlot dx = part.OpenGrad();
                    StridedCopy.Run(dy.Pointer + offset, Row, dx.Pointer, length, length, Outer, dx.Accumulate);
                }
                offset += length;
            }
        }
    }

    /// <summary>
    /// Elements [start, start + count) of a dimension: a view along the first dimension, a copy along any other. Gradients flow through it;
    /// those of <see cref="Tensor.Rows"/> do not.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <param name="start">The first index.</param>
    /// <param name="count">The number of elements.</param>
    /// <returns>The shape of x with that extent.</returns>
    /// <exception cref="ShapeException">The range is not inside the dimension.</exception>
    public static Tensor Slice(Tensor x, int axis, int start, int count)
    {
        int dimension = Axis(x.Shape, axis, "Slice"), extent = x.Shape[dimension];
        Check.That(
            start >= 0 && count >= 0 && start <= extent - count, "Slice",
            $"[{start}, {(long)start + count}) of dimension {dimension} of {x.Shape}");
        (nint outer, nint inner) = Around(x.Shape, dimension);
        nint row = extent * inner, length = count * inner, offset = start * inner;
        Tensor y = dimension == 0 ? x.Rows(start, count) : Tensor.Empty(x.Shape.With(dimension, count));
        if (dimension > 0) StridedCopy.Run(x.Pointer + offset, row, y.Pointer, length, length, outer);
        if (Tape.Needs(x))
            Tape.Record(y, (x, row, length, offset, outer), static (context, dy) =>
            {
                (Tensor x, nint row, nint length, nint offset, nint outer) = context.Values;
                GradSlot dx = x.OpenGrad();
                if (!dx.Accumulate) dx.Span.Clear();
                StridedCopy.Run(dy.Pointer, length, dx.Pointer + offset, row, length, outer, add: true);
            });
        return y;
    }

    /// <summary>
    /// Splits the last dimension into parts, copied. Where all parts are used, this is cheaper than one <see cref="Slice"/> each.
    /// </summary>
    /// <param name="x">(..., sum of the extents).</param>
    /// <param name="extents">The last extents of the parts; they may be 0.</param>
    /// <returns>(..., extent) for each.</returns>
    /// <exception cref="ShapeException">The extents do not add up to x's last.</exception>
    public static TensorList Split(Tensor x, params ReadOnlySpan<int> extents)
    {
        int row = x.Shape[Axis(x.Shape, -1, "Split")];
        long sum = 0;
        foreach (int extent in extents) sum += extent;
        Check.That(
            sum == row && extents.Length > 0 && !extents.ContainsAnyInRange(int.MinValue, -1), "Split",
            $"{x.Shape} into ({string.Join(", ", extents.ToArray())}); expected extents of at least 0 that add up to the last");
        int rows = row == 0 ? 0 : x.Count / row;
        TensorList parts = default;
        for (int i = 0, from = 0; i < extents.Length; from += extents[i++])
        {
            Tensor part = Tensor.Empty(x.Shape.With(-1, extents[i]));
            StridedCopy.Run(x.Pointer + from, row, part.Pointer, extents[i], extents[i], rows);
            parts = parts.Append(part);
        }
        if (Tape.Needs(x))
            Tape.Record(parts.AsSpan(), (x, row, rows), static (context, parts) =>
            {
                (Tensor x, int row, int rows) = context.Values;
                GradSlot dx = x.OpenGrad();
                bool all = true;
                foreach (Tensor part in parts) all &= part.Grad is not null;
                if (!dx.Accumulate && !all) dx.Span.Clear();
                int from = 0;
                foreach (Tensor part in parts)
                {
                    int extent = part.Shape[-1];
                    if (part.Grad is { } dy) StridedCopy.Run(dy.Pointer, extent, dx.Pointer + from, row, extent, rows, dx.Accumulate);
                    from += extent;
                }
            });
        return parts;
    }

    /// <summary>Reorders dimensions: dimension i of the result is dimension order[i] of x (torch.permute).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="order">A permutation of 0 to Rank - 1; negative values count from the end.</param>
    /// <returns>The reordered tensor, copied.</returns>
    /// <exception cref="ShapeException">The order is not a permutation of x's dimensions.</exception>
    public static Tensor Permute(Tensor x, params ReadOnlySpan<int> order)
    {
        Shape from = x.Shape;
        int rank = from.Rank;
        Span<int> inverse = stackalloc int[rank], extents = stackalloc int[rank], positive = stackalloc int[rank];
        inverse.Fill(-1);
        bool valid = order.Length == rank && rank > 0;
        for (int i = 0; valid && i < rank; i++)
        {
            int dimension = positive[i] = order[i] < 0 ? order[i] + rank : order[i];
            valid = (uint)dimension < (uint)rank && inverse[dimension] < 0;
            if (valid) (inverse[dimension], extents[i]) = (i, from[dimension]);
        }
        Check.That(valid, "Permute", $"order ({string.Join(", ", order.ToArray())}) for {from}; expected a permutation of its dimensions");
        Tensor y = Tensor.Empty(extents);
        RunPermute(Permutation(from, positive), x, y, add: false);
        if (Tape.Needs(x))
            Tape.Record(y, (x, back: new AxisOrder(inverse)), static (context, dy) =>
            {
                (Tensor x, AxisOrder back) = context.Values;
                GradSlot dx = x.OpenGrad();
                RunPermute(Permutation(dy.Shape, back.AsSpan()), dy, dx.Tensor, dx.Accumulate);
            });
        return y;
    }

    /// <summary>Reverses a dimension (torch.flip).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">There is no such dimension.</exception>
    public static Tensor Flip(Tensor x, int axis)
    {
        int dimension = Axis(x.Shape, axis, "Flip");
        Tensor y = Tensor.Empty(x.Shape);
        RunFlip(x.Shape, dimension, x.Pointer, y.Pointer, add: false);
        if (Tape.Needs(x))
            Tape.Record(y, (x, dimension), static (context, dy) =>
            {
                (Tensor x, int dimension) = context.Values;
                GradSlot dx = x.OpenGrad();
                RunFlip(x.Shape, dimension, dy.Pointer, dx.Pointer, dx.Accumulate);
            });
        return y;
    }

    private static void RunFlip(Shape shape, int dimension, float* from, float* to, bool add)
    {
        (nint outer, nint inner) = Around(shape, dimension);
        nint extent = shape[dimension], block = extent * inner;
        for (nint o = 0; o < outer; o++)
            StridedCopy.Run(from + o * block + (extent - 1) * inner, -inner, to + o * block, inner, inner, extent, add);
    }

    private static PermuteCopy Permutation(Shape from, ReadOnlySpan<int> order)
    {
        PermuteCopy kernel = new() { Rank = order.Length };
        Span<int> strides = stackalloc int[order.Length];
        for (int i = order.Length - 1, stride = 1; i >= 0; stride *= from[i--]) strides[i] = stride;
        for (int i = 0; i < order.Length; i++)
        {
            kernel.Extent[i] = from[order[i]];
            kernel.Stride[i] = strides[order[i]];
        }
        return kernel;
    }

    private static void RunPermute(PermuteCopy kernel, Tensor x, Tensor y, bool add)
    {
        kernel.X = x.Pointer;
        kernel.Y = y.Pointer;
        kernel.Add = add;
        nint inner = kernel.Extent[kernel.Rank - 1];
        if (x.Count > 0) Launch.Run(kernel, x.Count / inner, Math.Max(1, Launch.ElementGrain / inner));
    }

    private static int Axis(Shape shape, int axis, string name)
    {
        int dimension = axis < 0 ? axis + shape.Rank : axis;
        Check.That((uint)dimension < (uint)shape.Rank, name, $"no dimension {axis} in {shape}");
        return dimension;
    }

    /// <summary>As <see cref="Axis"/>; a scalar counts as a vector of one element, as in PyTorch's reductions, sorts and softmax.</summary>
    private static int AxisOrScalar(Shape shape, int axis, string name) => shape.Rank > 0
        ? Axis(shape, axis, name)
        : Axis(new Shape(1), axis, name);

    /// <summary>The numbers of elements outside and inside one dimension.</summary>
    private static (nint Outer, nint Inner) Around(Shape shape, int dimension)
    {
        nint outer = 1, inner = 1;
        for (int i = 0; i < dimension; i++) outer *= shape[i];
        for (int i = dimension + 1; i < shape.Rank; i++) inner *= shape[i];
        return (outer, inner);
    }
}
