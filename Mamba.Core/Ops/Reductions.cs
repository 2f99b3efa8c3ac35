using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Reductions;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

// Sums, means and derived statistics over any dimensions. Elements are summed in blocks, and block sums in double precision. The
// order depends only on the shape.
public static unsafe partial class Ops
{
    /// <summary>The sum over dimensions (torch.sum).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axes">The dimensions; none for all, -1 is the last.</param>
    /// <param name="keepDim">Whether they stay with extent 1.</param>
    /// <returns>x without those dimensions, or with extent 1 there; 0 where there is nothing to sum.</returns>
    /// <exception cref="ShapeException">There is no such dimension, or it occurs twice.</exception>
    public static Tensor Sum(Tensor x, ReadOnlySpan<int> axes = default, bool keepDim = false) =>
        SumOrMean("Sum", x, axes, keepDim, mean: false);

    /// <summary>The mean over dimensions (torch.mean).</summary>
    /// <inheritdoc cref="Sum" path="/param"/>
    /// <returns>x without those dimensions, or with extent 1 there; NaN where there is nothing to average.</returns>
    /// <inheritdoc cref="Sum" path="/exception"/>
    public static Tensor Mean(Tensor x, ReadOnlySpan<int> axes = default, bool keepDim = false) =>
        SumOrMean("Mean", x, axes, keepDim, mean: true);

    /// <summary>The variance over dimensions (torch.var).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axes">The dimensions; none for all, -1 is the last.</param>
    /// <param name="keepDim">Whether they stay with extent 1.</param>
    /// <param name="unbiased">Whether to divide the sum of squares by n - 1 (Bessel), PyTorch's default, or by n.</param>
    /// <returns>x without those dimensions, or with extent 1 there; NaN where there are too few elements.</returns>
    /// <inheritdoc cref="Sum" path="/exception"/>
    public static Tensor Var(Tensor x, ReadOnlySpan<int> axes = default, bool keepDim = false, bool unbiased = true) =>
        Deviation("Var", x, axes, keepDim, unbiased, root: false);

    /// <summary>The standard deviation over dimensions; where it is 0, so is the gradient (torch.std).</summary>
    /// <inheritdoc cref="Var"/>
    public static Tensor Std(Tensor x, ReadOnlySpan<int> axes = default, bool keepDim = false, bool unbiased = true) =>
        Deviation("Std", x, axes, keepDim, unbiased, root: true);

    /// <summary>log(sum(e^x)) over dimensions, with the maximum subtracted first to avoid overflow (torch.logsumexp).</summary>
    /// <inheritdoc cref="Sum" path="/param"/>
    /// <returns>x without those dimensions, or with extent 1 there; -infinity where there is nothing to sum.</returns>
    /// <inheritdoc cref="Sum" path="/exception"/>
    public static Tensor LogSumExp(Tensor x, ReadOnlySpan<int> axes = default, bool keepDim = false)
    {
        ReductionPlan r = Plan("LogSumExp", x, axes, keepDim);
        Tensor largest = r.Run(default(Extreme<LargestFirst>));
        foreach (ref float shift in largest.Span)
            if (float.IsInfinity(shift)) shift = 0f; // infinity - infinity is NaN
        Tensor y = r.Run(new SumOf<ShiftedExponential>(default), largest);
        if (Tape.Needs(r.Source))
            Tape.Record(y, (r, y), static (context, dy) =>
            {
                (ReductionPlan r, Tensor y) = context.Values;
                r.Spread(default(ExponentialGradient), r.Elements(), r.PerRow(dy), r.PerRow(y));
            }, r.Source, y);
        return y;
    }

    /// <summary>The p-norm over dimensions, (sum |x|^p)^(1/p); where it is 0, so is the gradient (torch.linalg.vector_norm).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="p">Above 0; 1 and 2 are fast, infinity gives the largest magnitude.</param>
    /// <param name="axes">The dimensions; none for all, -1 is the last.</param>
    /// <param name="keepDim">Whether they stay with extent 1.</param>
    /// <returns>x without those dimensions, or with extent 1 there.</returns>
    /// <exception cref="ArgumentOutOfRangeException">p is not above 0.</exception>
    /// <inheritdoc cref="Sum" path="/exception"/>
    public static Tensor Norm(Tensor x, float p = 2f, ReadOnlySpan<int> axes = default, bool keepDim = false)
    {
        if (!(p > 0f)) throw new ArgumentOutOfRangeException(nameof(p), p, "Norm: expected a number above 0.");
        if (float.IsPositiveInfinity(p)) return Extreme<LargestFirst>("Norm", Abs(x), axes, keepDim);
        ReductionPlan r = Plan("Norm", x, axes, keepDim);
        Tensor y = p is 1f or 2f
            ? r.Run(new SumOf<Magnitude>(new Magnitude(p == 2f)))
            : r.Run(new SumOf<PowerOfMagnitude>(new PowerOfMagnitude(p)));
        if (Tape.Needs(r.Source))
            Tape.Record(y, (r, y, p), static (context, dy) =>
            {
                (ReductionPlan r, Tensor y, float p) = context.Values;
                if (p == 2f) r.Spread(default(EuclideanGradient), r.Elements(), r.PerRow(dy), r.PerRow(y));
                else r.Spread(new NormGradient(p), r.Elements(), r.PerRow(dy), r.PerRow(y));
            }, r.Source, y);
        return y;
    }

    /// <summary>x / max(norm, eps), with the Euclidean norm along a dimension (torch.nn.functional.normalize).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <param name="eps">The smallest divisor.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">There is no such dimension.</exception>
    public static Tensor Normalize(Tensor x, int axis = -1, float eps = 1e-12f)
    {
        int dimension = AxisOrScalar(x.Shape, axis, "Normalize");
        return Divide(x, Clamp(Norm(x, 2f, [dimension], keepDim: true), min: eps));
    }

    /// <summary>
    /// The dot product of a and b along a dimension over the product of their Euclidean norms (torch.nn.functional.cosine_similarity).
    /// Norms are at least eps. The other dimensions broadcast as in NumPy.
    /// </summary>
    /// <param name="a">Any shape.</param>
    /// <param name="b">A shape that broadcasts with a's and has the same extent along the dimension.</param>
    /// <param name="axis">The dimension of the broadcast shape; -1 is the last.</param>
    /// <param name="eps">The smallest norm.</param>
    /// <returns>The broadcast shape without that dimension.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor CosineSimilarity(Tensor a, Tensor b, int axis = -1, float eps = 1e-8f)
    {
        bool fits = BroadcastWalk.TryShape("CosineSimilarity", a.Shape, b.Shape, out Shape shape);
        Check.That(fits, "CosineSimilarity", $"shapes {a.Shape} and {b.Shape} do not broadcast");
        int fromEnd = Axis(shape, axis, "CosineSimilarity") - shape.Rank; // the same dimension in both
        bool both = a.Shape.Rank >= -fromEnd && b.Shape.Rank >= -fromEnd && a.Shape[fromEnd] == b.Shape[fromEnd];
        Check.That(both, "CosineSimilarity", $"shapes {a.Shape} and {b.Shape}; expected equal extents along dimension {axis}");
        Tensor normA = Clamp(Norm(a, 2f, [fromEnd], keepDim: true), min: eps);
        Tensor normB = Clamp(Norm(b, 2f, [fromEnd], keepDim: true), min: eps);
        Tensor product = Sum(Multiply(a, b), [fromEnd], keepDim: true);
        return Divide(product, Multiply(normA, normB)).Reshape(Reduced(shape, fromEnd + shape.Rank));
    }

    private static Tensor SumOrMean(string name, Tensor x, ReadOnlySpan<int> axes, bool keepDim, bool mean)
    {
        ReductionPlan r = Plan(name, x, axes, keepDim);
        (float divisor, float factor) = !mean ? (1f, 1f) : r.Sizes.Inner == 1 ? (r.Sizes.Count, 1f) : (1f, 1f / r.Sizes.Count);
        Tensor y = r.Run(new SumOf<Itself>(new Itself(divisor, factor)));
        if (Tape.Needs(r.Source))
            Tape.Record(y, (r, divisor, factor), static (context, dy) =>
            {
                (ReductionPlan r, float divisor, float factor) = context.Values;
                float zero = 0f;
                Operand unused = new(&zero, new Shape());
                r.Spread(new SpreadGradient(divisor, factor), unused, r.PerRow(dy), unused);
            });
        return y;
    }

    private static Tensor Deviation(string name, Tensor x, ReadOnlySpan<int> axes, bool keepDim, bool unbiased, bool root)
    {
        ReductionPlan r = Plan(name, x, axes, keepDim);
        double divisor = Math.Max(0, r.Sizes.Count - (unbiased ? 1 : 0));
        Tensor mean = r.Run(new SumOf<Itself>(new Itself(r.Sizes.Count, 1f)));
        Tensor y = r.Run(new SumOf<SquaredDeviation>(new SquaredDeviation(divisor, root)), mean);
        if (Tape.Needs(r.Source))
            Tape.Record(y, (r, mean, y, divisor, root), static (context, dy) =>
            {
                (ReductionPlan r, Tensor mean, Tensor y, double divisor, bool root) = context.Values;
                using Scratch weights = new(dy.Count);
                ReadOnlySpan<float> gradient = dy.Span, deviation = y.Span;
                for (int i = 0; i < gradient.Length; i++)
                {
                    double weight = !root ? 2 * gradient[i] / divisor : deviation[i] == 0f ? 0 : gradient[i] / (divisor * deviation[i]);
                    weights.Pointer[i] = (float)weight;
                }
                r.Spread(default(DeviationGradient), r.Elements(), r.PerRow(weights.Pointer), r.PerRow(mean));
            }, r.Source, mean, root ? y : null);
        return y;
    }
}
