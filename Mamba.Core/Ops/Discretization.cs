using Mamba.Core.Kernels.StateSpace;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>
/// How x' = A x + B u with step dt becomes x_l = Abar x_(l-1) + Bbar u_l (Gu et al. 2021, "Combining recurrent, convolutional and
/// continuous-time models with linear state space layers", section 2 and appendix B.3).
/// </summary>
public enum DiscretizationMethod
{
    /// <summary>
    /// Exact for an input that is constant over a step: Abar = e^(dt A), Bbar = A^-1 (e^(dt A) - I) B; also for singular A.
    /// </summary>
    ZeroOrderHold,

    /// <summary>Abar = I + dt A, Bbar = dt B.</summary>
    ForwardEuler,

    /// <summary>Abar = (I - dt A)^-1, Bbar = (I - dt A)^-1 dt B.</summary>
    BackwardEuler,

    /// <summary>The trapezoid (Tustin): Abar = (I - dt/2 A)^-1 (I + dt/2 A), Bbar = (I - dt/2 A)^-1 dt B.</summary>
    Bilinear,

    /// <summary>Abar = (I - alpha dt A)^-1 (I + (1 - alpha) dt A), Bbar = (I - alpha dt A)^-1 dt B.</summary>
    GeneralizedBilinear,

    /// <summary>Mamba's simplification: Abar = e^(dt A), Bbar = dt B (Gu and Dao 2023, section 3.6).</summary>
    Mamba,
}

public static unsafe partial class Ops
{
    /// <summary>Discretizes diagonal systems. Complex numbers are (re, im) in the last dimension.</summary>
    /// <param name="a">(H, N, 2), or (N, 2) where all H channels share it.</param>
    /// <param name="b">The shape of a.</param>
    /// <param name="dt">(H), the step of each channel.</param>
    /// <param name="method">The rule.</param>
    /// <param name="alpha">For <see cref="DiscretizationMethod.GeneralizedBilinear"/>.</param>
    /// <returns>Abar and Bbar, (H, N, 2) each. Gradients flow into both.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The method is unknown, or alpha is not from 0 to 1.</exception>
    public static (Tensor A, Tensor B) DiscretizeDiagonal(
        Tensor a, Tensor b, Tensor dt, DiscretizationMethod method = DiscretizationMethod.ZeroOrderHold, float alpha = 0.5f)
    {
        DiscretizationRule rule = RuleOf("DiscretizeDiagonal", method, alpha);
        bool shared = a.Shape.Rank == 2;
        int channels = dt.Shape.Rank == 1 ? dt.Shape[0] : -1, states = a.Shape.Rank >= 2 ? a.Shape[-2] : 0;
        bool fits = a.Shape.Rank is 2 or 3 && a.Shape[-1] == 2 && b.Shape == a.Shape && channels >= 0 && (shared || a.Shape[0] == channels);
        Check.That(fits, "DiscretizeDiagonal", $"A {a.Shape}, B {b.Shape}, dt {dt.Shape}; expected (N, 2) or (H, N, 2) twice, and (H)");
        Tensor abar = Tensor.Empty(channels, states, 2), bbar = Tensor.Empty(channels, states, 2);
        if (abar.Count == 0) return IndependentPair(abar, bbar, a, b, dt);
        DiagonalDiscretization kernel = Kernel(a, b, dt, rule) with { ABar = abar.Pointer, BBar = bbar.Pointer };
        Launch.Run(kernel, channels, GrainOf(states));
        MultiplyAdds.Add(0, 2L * channels * states);
        if (Tape.Needs(a, b, dt))
            Tape.Record([abar, bbar], (a, b, dt, rule), static (context, outputs) =>
            {
                (Tensor a, Tensor b, Tensor dt, DiscretizationRule rule) = context.Values;
                int channels = dt.Count, row = outputs[0].Count / channels;
                using Scratch da = Scratch.OfDoubles(outputs[0].Count), db = Scratch.OfDoubles(outputs[0].Count),
                    ddt = Scratch.OfDoubles(channels);
                DiagonalDiscretizationBackward kernel = new()
                {
                    Forward = Kernel(a, b, dt, rule),
                    GradientABar = outputs[0].Grad.Pointer,
                    GradientBBar = outputs[1].Grad.Pointer,
                    GradientA = da.Doubles,
                    GradientB = db.Doubles,
                    GradientDt = ddt.Doubles,
                };
                Launch.Run(kernel, channels, GrainOf(row / 2));
                if (a.Shape.Rank == 2) // shared by all channels
                    foreach (nint sums in (ReadOnlySpan<nint>)[(nint)da.Doubles, (nint)db.Doubles])
                        AddUp((double*)sums, channels, row);
                Contribute(a, da.Doubles);
                Contribute(b, db.Doubles);
                Contribute(dt, ddt.Doubles);
            }, a, b, dt);
        return (abar, bbar);

        static DiagonalDiscretization Kernel(Tensor a, Tensor b, Tensor dt, DiscretizationRule rule) => new()
        {
            Rule = rule,
            States = a.Shape[-2],
            ChannelStride = a.Shape.Rank == 2 ? 0 : 2 * a.Shape[-2],
            A = a.Pointer,
            B = b.Pointer,
            Dt = dt.Pointer,
        };

        static nint GrainOf(nint states) => Math.Max(1, 256 / states);
    }

    /// <summary>Discretizes a dense system for H steps.</summary>
    /// <param name="a">(N, N).</param>
    /// <param name="b">(N, P).</param>
    /// <param name="dt">(H), the steps.</param>
    /// <param name="method">The rule.</param>
    /// <param name="alpha">For <see cref="DiscretizationMethod.GeneralizedBilinear"/>.</param>
    /// <returns>Abar (H, N, N) and Bbar (H, N, P), computed in double. Gradients flow into both.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The method is unknown, or alpha is not from 0 to 1.</exception>
    public static (Tensor A, Tensor B) DiscretizeDense(
        Tensor a, Tensor b, Tensor dt, DiscretizationMethod method = DiscretizationMethod.ZeroOrderHold, float alpha = 0.5f)
    {
        DiscretizationRule rule = RuleOf("DiscretizeDense", method, alpha);
        bool fits = a.Shape.Rank == 2 && b.Shape.Rank == 2 && dt.Shape.Rank == 1 && a.Shape[0] == a.Shape[1] && b.Shape[0] == a.Shape[0];
        Check.That(fits, "DiscretizeDense", $"A {a.Shape}, B {b.Shape}, dt {dt.Shape}; expected (N, N), (N, P) and (H)");
        int steps = dt.Shape[0], states = a.Shape[0];
        Tensor abar = Tensor.Empty(steps, states, states), bbar = Tensor.Empty(steps, states, b.Shape[1]);
        if (abar.Count == 0) return IndependentPair(abar, bbar, a, b, dt);
        Launch.Run(Kernel(a, b, dt, rule) with { ABar = abar.Pointer, BBar = bbar.Pointer }, steps, 1);
        if (Tape.Needs(a, b, dt))
            Tape.Record([abar, bbar], (a, b, dt, rule), static (context, outputs) =>
            {
                (Tensor a, Tensor b, Tensor dt, DiscretizationRule rule) = context.Values;
                int steps = dt.Count;
                using Scratch da = Scratch.OfDoubles((nint)steps * a.Count), db = Scratch.OfDoubles((nint)steps * b.Count),
                    ddt = Scratch.OfDoubles(steps);
                DenseDiscretizationBackward kernel = new()
                {
                    Forward = Kernel(a, b, dt, rule),
                    GradientABar = outputs[0].Grad.Pointer,
                    GradientBBar = outputs[1].Grad.Pointer,
                    GradientA = da.Doubles,
                    GradientB = db.Doubles,
                    GradientDt = ddt.Doubles,
                };
                Launch.Run(kernel, steps, 1);
                AddUp(da.Doubles, steps, a.Count);
                AddUp(db.Doubles, steps, b.Count);
                Contribute(a, da.Doubles);
                Contribute(b, db.Doubles);
                Contribute(dt, ddt.Doubles);
            }, a, b, dt);
        return (abar, bbar);

        static DenseDiscretization Kernel(Tensor a, Tensor b, Tensor dt, DiscretizationRule rule) => new()
        {
            Rule = rule,
            States = a.Shape[0],
            Inputs = b.Shape[1],
            A = a.Pointer,
            B = b.Pointer,
            Dt = dt.Pointer,
        };
    }

    /// <summary>Adds rows 1, 2, ... to row 0, in order.</summary>
    private static void AddUp(double* rows, nint count, nint size)
    {
        for (nint i = 1; i < count; i++)
            for (nint j = 0; j < size; j++) rows[j] += rows[i * size + j];
    }

    private static DiscretizationRule RuleOf(string name, DiscretizationMethod method, float alpha)
    {
        if (method == DiscretizationMethod.GeneralizedBilinear && alpha is not (>= 0 and <= 1))
            throw new ArgumentOutOfRangeException(nameof(alpha), alpha, $"{name}: alpha is {alpha}; expected from 0 to 1.");
        return method switch
        {
            DiscretizationMethod.ForwardEuler => new(RuleKind.Bilinear, 0),
            DiscretizationMethod.BackwardEuler => new(RuleKind.Bilinear, 1),
            DiscretizationMethod.Bilinear => new(RuleKind.Bilinear, 0.5),
            DiscretizationMethod.GeneralizedBilinear => new(RuleKind.Bilinear, alpha),
            DiscretizationMethod.ZeroOrderHold => new(RuleKind.ZeroOrderHold),
            DiscretizationMethod.Mamba => new(RuleKind.Mamba),
            _ => throw new ArgumentOutOfRangeException(nameof(method), method, $"{name}: unknown method {method}."),
        };
    }
}
