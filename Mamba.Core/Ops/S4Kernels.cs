using Mamba.Core.Kernels.StateSpace;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>Options of an S4D kernel. By default: zero-order hold, real A and C, B = 1.</summary>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct S4dKernelOptions
{
    /// <summary>The rule; the published layers use zero-order hold and bilinear.</summary>
    public DiscretizationMethod Method { get; init; }

    /// <summary>Whether each state also represents its complex conjugate: then the kernel is doubled.</summary>
    public bool ConjugatePairs { get; init; }

    /// <summary>(H, N), the imaginary part of A; null where A and C are real.</summary>
    public Tensor? AImag { get; init; }

    /// <summary>The shape of C; 1 if null.</summary>
    public Tensor? B { get; init; }
}

public static unsafe partial class Ops
{
    /// <summary>
    /// The convolution kernel of S4D (Gu et al. 2022, "On the parameterization and initialization of diagonal state space models", equation
    /// 6): K_l = Re sum_n C_n Bbar_n Abar_n^l with A = -exp(logAReal) + i AImag and dt = exp(logDt), discretized. Complex numbers are (re,
    /// im) in the last dimension. Powers are computed in double precision. Neither pass allocates an array of H N L numbers.
    /// </summary>
    /// <param name="logDt">(H).</param>
    /// <param name="logAReal">(H, N).</param>
    /// <param name="c">(H, N, 2); (H, N) without <see cref="S4dKernelOptions.AImag"/>.</param>
    /// <param name="length">L.</param>
    /// <param name="options">The imaginary part of A, B, the rule and pairs.</param>
    /// <returns>(H, L), the kernel for <see cref="LongConv"/>.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is not positive, or the method is unknown.</exception>
    public static Tensor S4dKernel(Tensor logDt, Tensor logAReal, Tensor c, int length, in S4dKernelOptions options = default)
    {
        Check.Positive(length, "S4dKernel", nameof(length));
        DiscretizationRule rule = RuleOf("S4dKernel", options.Method, 0.5f);
        Check.Rank(logAReal, 2, "S4dKernel", "log of -Re A (H, N)");
        int channels = logAReal.Shape[0], states = logAReal.Shape[1];
        Shape numbers = options.AImag is null ? new Shape([channels, states]) : new Shape([channels, states, 2]);
        Check.That(
            states > 0 && logDt.Shape == new Shape([channels]) && c.Shape == numbers, "S4dKernel",
            $"log dt {logDt.Shape}, log of -Re A {logAReal.Shape}, C {c.Shape}; expected (H), (H, N) with N > 0, and {numbers}");
        Check.Extents(options.AImag, "S4dKernel", "Im A", channels, states);
        if (options.B is { } b && b.Shape != numbers) throw new ShapeException("S4dKernel", $"B is {b.Shape}, expected {numbers}");
        Tensor kernel = Tensor.Empty(channels, length);
        if (kernel.Count == 0) return Independent(kernel, logDt, logAReal, c, options.AImag, options.B);
        S4dStep step = new(logDt, logAReal, c, options, rule, length);
        Launch.Run(new DiagonalKernelForward { Inputs = step.Inputs(), Kernel = kernel.Pointer }, channels, 1);
        MultiplyAdds.Add((long)kernel.Count * step.Shape.States);
        if (Tape.Needs(logDt, logAReal, c, options.AImag, options.B))
            Tape.Record(kernel, step, static (step, dk) => step.Values.Backward(dk), logDt, logAReal, c, options.AImag, options.B);
        return kernel;
    }

    private readonly record struct S4dStep(
        Tensor LogDt, Tensor LogAReal, Tensor C, S4dKernelOptions Options, DiscretizationRule Rule, int Length)
    {
        public VandermondeShape Shape => new(LogAReal.Shape[0], LogAReal.Shape[1] * (Options.AImag is null ? 1 : 2), Length);

        public DiagonalKernelInputs Inputs() => new()
        {
            Shape = Shape,
            Rule = Rule,
            Factor = Options.ConjugatePairs ? 2 : 1,
            LogDt = LogDt.Pointer,
            LogAReal = LogAReal.Pointer,
            AImag = Options.AImag.Pointer,
            C = C.Pointer,
            B = Options.B.Pointer,
        };

        public void Backward(Tensor dk)
        {
            int channels = LogDt.Count;
            using Scratch ddt = Scratch.OfDoubles(channels), dar = Scratch.OfDoubles(LogAReal.Count);
            using Scratch dai = Scratch.OfDoubles(LogAReal.Count), dc = Scratch.OfDoubles(C.Count);
            using Scratch db = Scratch.OfDoubles(Options.B is null ? 0 : C.Count);
            DiagonalKernelBackward kernel = new()
            {
                Inputs = Inputs(),
                Dk = dk.Pointer,
                LogDt = ddt.Doubles,
                LogAReal = dar.Doubles,
                AImag = dai.Doubles,
                C = dc.Doubles,
                B = db.Doubles,
            };
            Launch.Run(kernel, channels, 1);
            Contribute(LogDt, ddt.Doubles);
            Contribute(LogAReal, dar.Doubles);
            Contribute(C, dc.Doubles);
            Contribute(Options.AImag, dai.Doubles);
            Contribute(Options.B, db.Doubles);
        }
    }
}
