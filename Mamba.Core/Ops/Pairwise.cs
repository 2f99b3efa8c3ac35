using Mamba.Core.Kernels;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

// Broadcast functions of two operands; sums and products are in Elementwise.cs.
public static unsafe partial class Ops
{
    /// <summary>a / b with NumPy's broadcasting (torch.div).</summary>
    /// <inheritdoc cref="Add(Tensor, Tensor)"/>
    public static Tensor Divide(Tensor a, Tensor b) => Pairwise<Quotient>("Divide", a, b);

    /// <summary>
    /// The larger of a and b with NumPy's broadcasting; NaN if either is (torch.maximum). Ties split the gradient in half.
    /// </summary>
    /// <inheritdoc cref="Add(Tensor, Tensor)"/>
    public static Tensor Maximum(Tensor a, Tensor b) => Pairwise<Larger>("Maximum", a, b);

    /// <summary>
    /// The smaller of a and b with NumPy's broadcasting; NaN if either is (torch.minimum). Ties split the gradient in half.
    /// </summary>
    /// <inheritdoc cref="Add(Tensor, Tensor)"/>
    public static Tensor Minimum(Tensor a, Tensor b) => Pairwise<Smaller>("Minimum", a, b);

    /// <summary>x for x &gt; 0, weight x elsewhere (torch.nn.functional.prelu; He et al. 2015).</summary>
    /// <param name="x">(..., C).</param>
    /// <param name="weight">(C), or (1) for all channels.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The weight has neither shape.</exception>
    public static Tensor PRelu(Tensor x, Tensor weight)
    {
        bool fits = weight.Shape.Rank == 1 && (weight.Count == 1 || x.Shape.Rank > 0 && weight.Count == x.Shape[-1]);
        Check.That(fits, "PRelu", $"weight {weight.Shape} for input {x.Shape}; expected (1) or one a channel");
        return Pairwise<LearnedSlope>("PRelu", x, weight);
    }

    /// <summary>a sigmoid(b), where a and b are the two halves of a dimension (torch.nn.functional.glu; Dauphin et al. 2017).</summary>
    /// <param name="x">Any shape whose dimension has an even extent.</param>
    /// <param name="axis">The dimension; -1 is the last.</param>
    /// <returns>The shape of x with half that extent.</returns>
    /// <exception cref="ShapeException">The extent is odd.</exception>
    public static Tensor Glu(Tensor x, int axis = -1) => Halves<Gated<Logistic>>("Glu", x, axis);

    /// <summary>a silu(b), where a and b are the two halves of a dimension (Shazeer 2020).</summary>
    /// <inheritdoc cref="Glu"/>
    public static Tensor SwiGlu(Tensor x, int axis = -1) => Halves<Gated<Silu>>("SwiGlu", x, axis);

    /// <summary>a where the condition is not 0, b elsewhere, with NumPy's broadcasting of all three (torch.where).</summary>
    /// <param name="condition">Any values, usually 0 and 1; it gets no gradient.</param>
    /// <param name="a">Values where the condition is not 0.</param>
    /// <param name="b">Values elsewhere.</param>
    /// <returns>The broadcast shape.</returns>
    /// <exception cref="ShapeException">The shapes do not broadcast.</exception>
    public static Tensor Where(Tensor condition, Tensor a, Tensor b)
    {
        Shape shape = default;
        bool fits = BroadcastWalk.TryShape("Where", a.Shape, b.Shape, out Shape values)
            && BroadcastWalk.TryShape("Where", condition.Shape, values, out shape);
        Check.That(fits, "Where", $"condition {condition.Shape}, {a.Shape} and {b.Shape} do not broadcast");
        return Choose(condition, a, b, shape);
    }

    /// <summary>x where the mask is 0, a constant elsewhere (torch.masked_fill).</summary>
    /// <param name="x">Any shape.</param>
    /// <param name="mask">A shape that broadcasts to x's; it gets no gradient.</param>
    /// <param name="value">The constant.</param>
    /// <returns>The shape of x.</returns>
    /// <exception cref="ShapeException">The mask does not broadcast to x.</exception>
    public static Tensor MaskedFill(Tensor x, Tensor mask, float value)
    {
        bool fits = BroadcastWalk.TryShape("MaskedFill", mask.Shape, x.Shape, out Shape shape) && shape == x.Shape;
        Check.That(fits, "MaskedFill", $"mask {mask.Shape} does not broadcast to {x.Shape}");
        return Choose(mask, Tensor.Full(value), x, shape);
    }

    private static Tensor Pairwise<TBinary>(string name, Tensor a, Tensor b) where TBinary : unmanaged, IDifferentiableBinary
    {
        Tensor y = Combine<TBinary>(name, a, b);
        if (Tape.Needs(a, b))
            Tape.Record(y, (a, b, shape: y.Shape), static (context, dy) =>
            {
                (Tensor a, Tensor b, Shape shape) = context.Values;
                if (a.NeedsGrad) Contribute(a, new TowardsA<TBinary>(), shape, Of(a), Of(b), Of(dy));
                if (b.NeedsGrad) Contribute(b, new TowardsB<TBinary>(), shape, Of(a), Of(b), Of(dy));
            }, a, b);
        return y;
    }

    private static Tensor Choose(Tensor condition, Tensor a, Tensor b, Shape shape)
    {
        Tensor y = Tensor.Empty(shape);
        BroadcastTernary<Choice>.Run(default, shape, Of(condition), Of(a), Of(b), y.Pointer);
        if (Tape.Needs(a, b))
            Tape.Record(y, (condition, a, b, shape), static (context, dy) =>
            {
                (Tensor condition, Tensor a, Tensor b, Shape shape) = context.Values;
                float zero = 0f;
                Operand nothing = new(&zero, new Shape());
                if (a.NeedsGrad) Contribute(a, default(Choice), shape, Of(condition), Of(dy), nothing);
                if (b.NeedsGrad) Contribute(b, default(Choice), shape, Of(condition), nothing, Of(dy));
            }, condition);
        _ = Tape.Needs(condition); // keeps it reachable until here
        return y;
    }

    private static Operand Of(Tensor tensor) => new(tensor.Pointer, tensor.Shape);

    /// <summary>Adds f(a, b, c), summed over the dimensions that x broadcasts, to the gradient of x.</summary>
    private static void Contribute<TFunction>(Tensor x, TFunction function, Shape result, Operand a, Operand b, Operand c)
        where TFunction : unmanaged, ITernary
    {
        GradientTarget dx = x.OpenGrad().Target;
        if (x.Count == result.Count)
        {
            BroadcastTernary<TFunction>.Run(function, result, a, b, c, dx);
            return;
        }
        using Scratch terms = new(result.Count);
        BroadcastTernary<TFunction>.Run(function, result, a, b, c, terms.Pointer);
        BroadcastGradient.Run(result, x.Shape, terms.Pointer, null, new Shape(), 1f, dx);
    }

    private static Tensor Halves<TBinary>(string name, Tensor x, int axis) where TBinary : unmanaged, IDifferentiableBinary
    {
        int dimension = Axis(x.Shape, axis, name), extent = x.Shape[dimension];
        Check.That(extent % 2 == 0, name, $"dimension {dimension} of {x.Shape}; expected an even extent");
        Tensor y = Tensor.Empty(x.Shape.With(dimension, extent / 2));
        (_, nint inner) = Around(x.Shape, dimension);
        nint half = extent / 2 * inner;
        Launch.Run(new HalvesForward<TBinary> { X = x.Pointer, Y = y.Pointer, Half = half }, y.Count, Launch.ElementGrain);
        if (Tape.Needs(x))
            Tape.Record(y, (x, half), static (context, dy) =>
            {
                (Tensor x, nint half) = context.Values;
                Launch.Run(
                    new HalvesBackward<TBinary> { X = x.Pointer, Dy = dy.Pointer, Dx = x.OpenGrad().Target, Half = half },
                    dy.Count, Launch.ElementGrain);
            }, x);
        return y;
    }
}
