using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Indexing;
using Mamba.Core.Kernels.Reductions;
using Mamba.Core.Simd;

namespace Mamba.Core;

// Maximum, minimum, argmax, sort; products and cumulative sums.
public static unsafe partial class Ops
{
    /// <summary>The maximum over dimensions; NaN if any element is (torch.max). On ties the gradient goes to the first.</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axes">The dimensions; none for all, -1 is the last.</param>
    /// <param name="keepDim">Whether they stay with extent 1.</param>
    /// <returns>x without those dimensions, or with extent 1 there.</returns>
    /// <exception cref="ShapeException">There is no such dimension, it occurs twice, or a maximum would be over no elements.</exception>
    public static Tensor Max(Tensor x, ReadOnlySpan<int> axes = default, bool keepDim = false) =>
        Extreme<LargestFirst>("Max", x, axes, keepDim);

    /// <summary>The minimum over dimensions; NaN if any element is (torch.min). On ties the gradient goes to the first.</summary>
    /// <inheritdoc cref="Max"/>
    public static Tensor Min(Tensor x, ReadOnlySpan<int> axes = default, bool keepDim = false) =>
        Extreme<SmallestFirst>("Min", x, axes, keepDim);

    /// <summary>The product over dimensions; gradients are also right where factors are 0 (torch.prod).</summary>
    /// <inheritdoc cref="Sum" path="/param"/>
    /// <returns>x without those dimensions, or with extent 1 there; 1 where there is nothing to multiply.</returns>
    /// <inheritdoc cref="Sum" path="/exception"/>
    public static Tensor Prod(Tensor x, ReadOnlySpan<int> axes = default, bool keepDim = false)
    {
        ReductionPlan r = Plan("Prod", x, axes, keepDim);
        Tensor y = r.Run(default(ProductOfAll));
        if (Tape.Needs(r.Source))
            Tape.Record(y, r, static (step, dy) =>
            {
                ReductionPlan r = step.Values;
                ProductGradient kernel = new() { Shape = r.Sizes, X = r.Source.Pointer, Dy = dy.Pointer, Dx = r.Source.OpenGrad().Target };
                Launch.Run(kernel, dy.Count, Math.Max(1, Launch.ElementGrain / Math.Max(1, r.Sizes.Count)));
            }, r.Source);
        return y;
    }

    /// <summary>
    /// The index of the maximum along a dimension, as a float: the first on ties; NaN counts as the largest (torch.argmax).
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension, of extent 1 to 2^24; -1 is the last.</param>
    /// <param name="keepDim">Whether it stays with extent 1.</param>
    /// <returns>Integers; no gradient flows through them.</returns>
    /// <exception cref="ShapeException">There is no such dimension, or its extent is out of range.</exception>
    public static Tensor ArgMax(Tensor x, int axis = -1, bool keepDim = false) => Place<LargestFirst>("ArgMax", x, axis, keepDim);

    /// <summary>
    /// The index of the minimum along a dimension, as a float: the first on ties; NaN counts as the smallest (torch.argmin).
    /// </summary>
    /// <inheritdoc cref="ArgMax"/>
    public static Tensor ArgMin(Tensor x, int axis = -1, bool keepDim = false) => Place<SmallestFirst>("ArgMin", x, axis, keepDim);

    /// <summary>
    /// The k largest, or smallest, elements along a dimension, sorted (torch.topk). Ties keep their order; NaN counts as the largest.
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="k">The number of elements; from 0 to the extent.</param>
    /// <param name="axis">The dimension, of at most 2^24; -1 is the last.</param>
    /// <param name="largest">Whether to return the largest; otherwise the smallest.</param>
    /// <returns>Values, and their indices as integers without gradient: both of x's shape with extent k.</returns>
    /// <exception cref="ShapeException">There is no such dimension, it is too long, or k exceeds it.</exception>
    public static (Tensor Values, Tensor Indices) TopK(Tensor x, int k, int axis = -1, bool largest = true) =>
        InOrder("TopK", x, axis, k, largest);

    /// <summary>
    /// The elements along a dimension in ascending order; ties keep their order, NaN counts as the largest (torch.sort, stable).
    /// </summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension, of at most 2^24; -1 is the last.</param>
    /// <param name="descending">Whether the largest come first.</param>
    /// <returns>Values, and their indices as integers without gradient: both of x's shape.</returns>
    /// <exception cref="ShapeException">There is no such dimension, or it is too long.</exception>
    public static (Tensor Values, Tensor Indices) Sort(Tensor x, int axis = -1, bool descending = false) =>
        InOrder("Sort", x, axis, null, descending);

    /// <summary>The cumulative sum along a dimension (torch.cumsum).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <param name="reverse">Whether to sum from the end.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">There is no such dimension.</exception>
    public static Tensor CumSum(Tensor x, int axis = -1, bool reverse = false)
    {
        ReduceShape sizes = Along(x.Shape, axis, "CumSum");
        Tensor y = Tensor.Empty(x.Shape);
        CumulativeSum.Run(sizes, x.Pointer, y.Pointer, reverse);
        if (Tape.Needs(x))
            Tape.Record(y, (x, sizes, reverse), static (context, dy) =>
                CumulativeSum.Run(context.Values.sizes, dy.Pointer, context.Values.x.OpenGrad().Target, !context.Values.reverse));
        return y;
    }

    private static Tensor Extreme<TOrder>(string name, Tensor x, ReadOnlySpan<int> axes, bool keepDim) where TOrder : unmanaged, IOrder
    {
        ReductionPlan r = Plan(name, x, axes, keepDim);
        Check.That(r.Sizes.Count > 0 || r.Result.Count == 0, name, $"input {x.Shape} has nothing to choose from");
        Tensor y = r.Run(default(Extreme<TOrder>));
        if (Tape.Needs(r.Source))
            Tape.Record(y, (r, y), static (context, dy) =>
            {
                (ReductionPlan r, Tensor y) = context.Values;
                ExtremeGradient.Run(r.Sizes, r.Source.Pointer, y.Pointer, dy.Pointer, r.Source.OpenGrad().Target);
            }, r.Source, y);
        return y;
    }

    private static Tensor Place<TOrder>(string name, Tensor x, int axis, bool keepDim) where TOrder : unmanaged, IOrder
    {
        ReduceShape sizes = Along(x.Shape, axis, name);
        Check.That(sizes.Count is > 0 and <= MaxIndex, name, $"dimension {axis} of {x.Shape}; expected an extent of 1 to {MaxIndex}");
        int dimension = AxisOrScalar(x.Shape, axis, name);
        bool scalar = x.Shape.Rank == 0;
        Tensor y = Tensor.Empty(scalar ? x.Shape : keepDim ? x.Shape.With(dimension, 1) : Reduced(x.Shape, dimension));
        ExtremePlace<TOrder> kernel = new() { Shape = sizes, X = x.Pointer, Y = y.Pointer };
        Launch.Run(kernel, y.Count, Math.Max(1, Launch.ElementGrain / sizes.Count));
        _ = Tape.Needs(x); // keeps x reachable while the kernel holds only its address
        return y;
    }

    private static (Tensor Values, Tensor Indices) InOrder(string name, Tensor x, int axis, int? count, bool largestFirst)
    {
        ReduceShape sizes = Along(x.Shape, axis, name);
        int k = count ?? (int)sizes.Count;
        Check.That(
            sizes.Count <= MaxIndex && k >= 0 && k <= sizes.Count, name,
            $"{k} of dimension {axis} of {x.Shape}; expected at most its extent, and {MaxIndex}");
        Check.That(x.Shape.Rank > 0 || k == 1, name, $"{k} of a scalar; expected 1");
        Shape shape = x.Shape.Rank == 0 ? x.Shape : x.Shape.With(Axis(x.Shape, axis, name), k);
        Tensor values = Tensor.Empty(shape), indices = Tensor.Empty(shape);
        FirstInOrder kernel = new()
        {
            Shape = sizes,
            X = x.Pointer,
            Values = values.Pointer,
            Places = indices.Pointer,
            K = k,
            LargestFirst = largestFirst,
        };
        // Sorting takes about log(n) steps per element.
        if (k > 0) Launch.Run(kernel, sizes.Outer * sizes.Inner, Math.Max(1, Launch.ElementGrain / (8 * sizes.Count)));
        if (Tape.Needs(x))
            Tape.Record(values, (x, indices, sizes, k), static (context, dy) =>
            {
                (Tensor x, Tensor indices, ReduceShape sizes, int k) = context.Values;
                GradSlot dx = x.OpenGrad();
                if (!dx.Accumulate) dx.Span.Clear();
                LineIndexing.ScatterAdd(sizes, k, dx.Pointer, indices.Pointer, dy.Pointer);
            }, indices);
        return (values, indices);
    }

    /// <summary>A dimension as the middle of three; a scalar counts as a vector of one element.</summary>
    private static ReduceShape Along(Shape shape, int axis, string name)
    {
        int dimension = AxisOrScalar(shape, axis, name);
        if (shape.Rank == 0) return new ReduceShape(1, 1, 1);
        (nint outer, nint inner) = Around(shape, dimension);
        return new ReduceShape(outer, shape[dimension], inner);
    }
}
