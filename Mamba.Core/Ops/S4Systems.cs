using Mamba.Core.Kernels.StateSpace;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>
/// The systems of an S4 layer, diagonal plus low rank: A = diag(Lambda) - P P^* over N states and their complex conjugates. Complex numbers
/// are (re, im) in the last dimension.
/// </summary>
/// <param name="Lambda">(H, N, 2).</param>
/// <param name="P">(H, N, 2).</param>
/// <param name="B">(H, N, 2).</param>
/// <param name="C">(H, N, 2).</param>
/// <param name="LogDt">(H), the logarithm of the step.</param>
/// <remarks>A value, so that a call allocates nothing.</remarks>
public readonly record struct S4System(Tensor Lambda, Tensor P, Tensor B, Tensor C, Tensor LogDt)
{
    /// <summary>
    /// If positive, C holds C (I - Abar^StoredLength), the form of S4's checkpoints for the training length. If 0, C itself.
    /// </summary>
    public int StoredLength { get; init; }
}

public static unsafe partial class Ops
{
    /// <summary>
    /// The convolution kernel of S4 (Gu, Goel and Re 2022, section 3): K_l = C Abar^l Bbar, with the bilinear rule and the conjugate states
    /// included; C is not conjugated. Powers are computed in double precision.
    /// </summary>
    /// <param name="system">Lambda, P, B, C and dt.</param>
    /// <param name="length">L.</param>
    /// <returns>(H, L).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is not positive, or the stored length is negative.</exception>
    public static Tensor S4Kernel(in S4System system, int length)
    {
        Check.Positive(length, "S4Kernel", nameof(length));
        (int channels, int pairs) = CheckS4("S4Kernel", system);
        Tensor kernel = Tensor.Empty(channels, length);
        if (kernel.Count == 0) return Independent(kernel, system.Lambda, system.P, system.B, system.C, system.LogDt);
        VandermondeShape shape = new(channels, 2 * pairs, length);
        Launch.Run(new DplrKernelForward { Inputs = Inputs(system), Shape = shape, Kernel = kernel.Pointer }, channels, 1);
        MultiplyAdds.Add(kernel.Count * 2L * pairs);
        if (Tape.Needs(system.Lambda, system.P, system.B, system.C, system.LogDt))
            Tape.Record(kernel, (system, shape), static (context, dk) =>
            {
                (S4System system, VandermondeShape shape) = context.Values;
                using S4Gradients gradients = new(system);
                DplrKernelBackward back = new()
                {
                    Inputs = Inputs(system),
                    Shape = shape,
                    Dk = dk.Pointer,
                    Gradients = gradients.Target,
                };
                Launch.Run(back, shape.Channels, 1);
                gradients.Give(system);
            }, system.Lambda, system.P, system.B, system.C, system.LogDt);
        return kernel;
    }

    /// <summary>
    /// Discretizes diagonal plus low-rank systems by the bilinear rule to dense systems over the N states, followed by their conjugates.
    /// </summary>
    /// <param name="lambda">(H, N, 2).</param>
    /// <param name="p">(H, N, 2).</param>
    /// <param name="b">(H, N, 2).</param>
    /// <param name="logDt">(H), the logarithm of the step.</param>
    /// <returns>Abar (H, 2N, 2N, 2) and Bbar (H, 2N, 2). Gradients flow into both.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static (Tensor A, Tensor B) DiscretizeDplr(Tensor lambda, Tensor p, Tensor b, Tensor logDt)
    {
        S4System system = new(lambda, p, b, b, logDt);
        (int channels, int pairs) = CheckS4("DiscretizeDplr", system);
        int n = 2 * pairs;
        Tensor abar = Tensor.Empty(channels, n, n, 2), bbar = Tensor.Empty(channels, n, 2);
        if (abar.Count == 0) return IndependentPair(abar, bbar, lambda, p, b, logDt);
        Launch.Run(
            new DplrDiscretization { Inputs = WithoutC(system), IsComplex = true, ABar = abar.Pointer, BBar = bbar.Pointer }, channels, 1);
        if (Tape.Needs(lambda, p, b, logDt))
            Tape.Record([abar, bbar], system, static (step, outputs) =>
            {
                S4System system = step.Values;
                using S4Gradients gradients = new(system);
                DplrDiscretizationBackward back = new()
                {
                    Inputs = WithoutC(system),
                    IsComplex = true,
                    ABar = outputs[0].Grad.Pointer,
                    BBar = outputs[1].Grad.Pointer,
                    Gradients = gradients.Target with { C = null },
                };
                Launch.Run(back, system.LogDt.Count, 1);
                gradients.Give(system, withC: false);
            }, lambda, p, b, logDt);
        return (abar, bbar);

        static DplrInputs WithoutC(in S4System system) => Inputs(system) with { C = null };
    }

    /// <summary>The equivalent real systems over (Re z, Im z): Abar (H, 2N, 2N), Bbar (H, 2N) and C (H, 2N), so that y = C x.</summary>
    internal static (Tensor A, Tensor B, Tensor C) DiscretizeS4(in S4System system)
    {
        (int channels, int pairs) = CheckS4("S4", system);
        int n = 2 * pairs;
        Tensor abar = Tensor.Empty(channels, n, n), bbar = Tensor.Empty(channels, n), c = Tensor.Empty(channels, n);
        DplrDiscretization kernel = new() { Inputs = Inputs(system), ABar = abar.Pointer, BBar = bbar.Pointer, C = c.Pointer };
        Launch.Run(kernel, channels, 1);
        if (Tape.Needs(system.Lambda, system.P, system.B, system.C, system.LogDt))
            Tape.Record([abar, bbar, c], system, static (step, outputs) =>
            {
                S4System system = step.Values;
                using S4Gradients gradients = new(system);
                DplrDiscretizationBackward back = new()
                {
                    Inputs = Inputs(system),
                    ABar = outputs[0].Grad.Pointer,
                    BBar = outputs[1].Grad.Pointer,
                    C = outputs[2].Grad.Pointer,
                    Gradients = gradients.Target,
                };
                Launch.Run(back, system.LogDt.Count, 1);
                gradients.Give(system);
            }, system.Lambda, system.P, system.B, system.C, system.LogDt);
        return (abar, bbar, c);
    }

    /// <summary>Replaces C by C (I - Abar^StoredLength), in place and without a record.</summary>
    internal static void StoreS4C(in S4System system)
    {
        (int channels, _) = CheckS4("S4", system);
        DplrStoredC kernel = new() { Inputs = Inputs(system) with { StoredLength = 0 }, Length = system.StoredLength };
        Launch.Run(kernel, channels, 1);
        // As with recorded operators: the inputs stay reachable while the kernel holds only their addresses.
        Tape.Needs(system.Lambda, system.P, system.B, system.C, system.LogDt);
    }

    private static DplrInputs Inputs(in S4System system) => new()
    {
        Pairs = system.Lambda.Shape[1],
        Lambda = system.Lambda.Pointer,
        P = system.P.Pointer,
        B = system.B.Pointer,
        C = system.C.Pointer,
        LogDt = system.LogDt.Pointer,
        StoredLength = system.StoredLength,
    };

    private static (int Channels, int Pairs) CheckS4(string name, in S4System system)
    {
        Shape s = system.Lambda.Shape;
        bool fits = s.Rank == 3 && s[1] > 0 && s[2] == 2 && system.P.Shape == s && system.B.Shape == s && system.C.Shape == s
            && system.LogDt.Shape.Rank == 1 && system.LogDt.Shape[0] == s[0];
        Check.That(
            fits, name,
            $"Lambda {s}, P {system.P.Shape}, B {system.B.Shape}, C {system.C.Shape}, log dt {system.LogDt.Shape}; "
            + $"expected (H, N, 2) with N > 0 four times, and (H)");
        if (system.StoredLength < 0)
            throw new ArgumentOutOfRangeException(
                nameof(system), system.StoredLength, $"{name}: stored length is {system.StoredLength}; expected at least 0.");
        return (s[0], s[1]);
    }

    /// <summary>Buffers for the gradients of a system in double precision.</summary>
    private readonly ref struct S4Gradients : IDisposable
    {
        private readonly Scratch _memory;
        private readonly nint _count;

        public S4Gradients(in S4System system)
        {
            _count = system.Lambda.Count;
            _memory = Scratch.OfDoubles(4 * _count + system.LogDt.Count);
        }

        public DplrGradients Target => new()
        {
            Lambda = _memory.Doubles,
            P = _memory.Doubles + _count,
            B = _memory.Doubles + 2 * _count,
            C = _memory.Doubles + 3 * _count,
            LogDt = _memory.Doubles + 4 * _count,
        };

        public void Give(in S4System system, bool withC = true)
        {
            DplrGradients from = Target;
            Contribute(system.Lambda, from.Lambda);
            Contribute(system.P, from.P);
            Contribute(system.B, from.B);
            if (withC) Contribute(system.C, from.C);
            Contribute(system.LogDt, from.LogDt);
        }

        public void Dispose() => _memory.Dispose();
    }
}
