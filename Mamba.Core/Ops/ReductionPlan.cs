using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Reductions;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// A reduction over any dimensions, as one over the middle of three. Source is x, permuted if the reduced dimensions are not adjacent.
    /// </summary>
    private readonly record struct ReductionPlan(Tensor Source, ReduceShape Sizes, Shape Result)
    {
        private Shape Rows => new(Extent(Sizes.Outer), Extent(Sizes.Count), Extent(Sizes.Inner));

        /// <summary>
        /// The elements to reduce, as an operand of <see cref="Spread"/>. A method, since a record's ToString prints properties and cannot
        /// print a pointer.
        /// </summary>
        public Operand Elements() => new(Source.Pointer, Rows);

        /// <summary>Reduces the source; the shift is the result of an earlier pass.</summary>
        public Tensor Run<TReduction>(TReduction reduction, Tensor? shift = null) where TReduction : unmanaged, IReduction
        {
            Tensor y = Tensor.Empty(Result);
            Reduce<TReduction>.Run(reduction, Sizes, Source.Pointer, shift.Pointer, y.Pointer);
            return y;
        }

        /// <summary>One number per row, as an operand of <see cref="Spread"/>.</summary>
        public Operand PerRow(float* numbers) => new(numbers, new Shape(Extent(Sizes.Outer), 1, Extent(Sizes.Inner)));

        /// <inheritdoc cref="PerRow(float*)"/>
        public Operand PerRow(Tensor numbers) => PerRow(numbers.Pointer);

        /// <summary>A product of extents. If another extent is 0 it may exceed int.MaxValue; its value is then irrelevant.</summary>
        private static int Extent(nint product) => (int)Math.Min(product, int.MaxValue);

        /// <summary>Adds f(a, b, c) to the gradient of the source; operands with one number per row broadcast.</summary>
        public void Spread<TFunction>(TFunction function, Operand a, Operand b, Operand c) where TFunction : unmanaged, ITernary
        {
            BroadcastTernary<TFunction>.Run(function, Rows, a, b, c, Source.OpenGrad().Target);
        }
    }

    /// <param name="name">The operator.</param>
    /// <param name="x">Its input.</param>
    /// <param name="axes">The dimensions to reduce; none for all.</param>
    /// <param name="keepDim">Whether they stay with extent 1.</param>
    private static ReductionPlan Plan(string name, Tensor x, ReadOnlySpan<int> axes, bool keepDim)
    {
        Shape shape = x.Shape;
        int rank = shape.Rank;
        Span<bool> reduced = stackalloc bool[Shape.MaxRank];
        reduced[..rank].Fill(axes.Length == 0);
        foreach (int axis in axes)
        {
            int dimension = AxisOrScalar(shape, axis, name);
            Check.That(!reduced[dimension], name, $"dimension {axis} of {shape} comes twice");
            reduced[dimension] = true;
        }

        // Find kept, reduced, kept dimensions: then the reduced ones are adjacent. A dimension of extent 1 fits anywhere.
        int stretches = 0;
        bool last = false;
        for (int i = 0; i < rank; i++)
        {
            if (shape[i] == 1 || reduced[i] == last) continue;
            last = reduced[i];
            if (last) stretches++;
        }
        Tensor source = stretches > 1 ? Permute(x, KeptFirst(reduced[..rank], stackalloc int[Shape.MaxRank])) : x;

        Span<int> result = stackalloc int[Shape.MaxRank];
        nint outer = 1, count = 1, inner = 1;
        int dimensions = 0;
        bool inside = false;
        for (int i = 0; i < rank; i++)
        {
            if (keepDim || !reduced[i]) result[dimensions++] = reduced[i] ? 1 : shape[i];
            if (reduced[i]) count *= shape[i];
            else if (inside && stretches <= 1) inner *= shape[i];
            else outer *= shape[i];
            inside |= reduced[i] && shape[i] != 1;
        }
        return new ReductionPlan(source, new ReduceShape(outer, count, inner), new Shape(result[..dimensions]));
    }

    /// <summary>The order of dimensions with the kept ones first.</summary>
    private static ReadOnlySpan<int> KeptFirst(ReadOnlySpan<bool> reduced, Span<int> order)
    {
        int n = 0;
        for (int i = 0; i < reduced.Length; i++)
            if (!reduced[i]) order[n++] = i;
        for (int i = 0; i < reduced.Length; i++)
            if (reduced[i]) order[n++] = i;
        return order[..n];
    }

    /// <summary>A shape without one of its dimensions.</summary>
    private static Shape Reduced(Shape shape, int dimension)
    {
        Span<int> extents = stackalloc int[Shape.MaxRank];
        shape.CopyTo(extents);
        extents[(dimension + 1)..shape.Rank].CopyTo(extents[dimension..]);
        return new Shape(extents[..(shape.Rank - 1)]);
    }
}
