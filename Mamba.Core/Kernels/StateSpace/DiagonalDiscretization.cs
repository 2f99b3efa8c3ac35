using System.Numerics;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// Discretizes diagonal systems. A and B are complex (re, im) pairs of N states per channel, or shared by all H channels. One item is a
/// channel. Scalar and in double: each element costs one exponential, and no loop over time is involved.
/// </summary>
internal unsafe struct DiagonalDiscretization : IKernel
{
    public DiscretizationRule Rule;
    public nint States;

    /// <summary>Channel stride of A and B in floats; 0 if the channels share them.</summary>
    public nint ChannelStride;
    public float* A, B, Dt;

    /// <summary>(H, N, 2): the results.</summary>
    public float* ABar, BBar;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        for (nint h = begin; h < end; h++)
            for (nint n = 0; n < States; n++)
            {
                double dt = Dt[h];
                nint from = h * ChannelStride + 2 * n, to = 2 * (h * States + n);
                RuleValues rule = Rule.At(dt * At(A, from));
                Store(rule.A, ABar, to);
                Store(dt * rule.B * At(B, from), BBar, to);
            }
    }

    /// <summary>Reads a complex number from an array of pairs.</summary>
    public static Complex At(float* pairs, nint index) => new(pairs[index], pairs[index + 1]);

    /// <inheritdoc cref="At"/>
    public static void Store(Complex value, float* pairs, nint index) =>
        (pairs[index], pairs[index + 1]) = ((float)value.Real, (float)value.Imaginary);
}

/// <summary>
/// The gradients of <see cref="DiagonalDiscretization"/>. The gradient of a complex number holds the derivatives with respect to its two
/// parts, so through an analytic function f it becomes g conj(f').
/// </summary>
internal unsafe struct DiagonalDiscretizationBackward : IKernel
{
    public DiagonalDiscretization Forward;

    /// <summary>(H, N, 2): the gradients of the results; null for zeros.</summary>
    public float* GradientABar, GradientBBar;

    /// <summary>(H, N, 2), (H, N, 2) and (H): one row per channel; the caller sums them if channels share A and B.</summary>
    public double* GradientA, GradientB, GradientDt;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        DiagonalDiscretization f = Forward;
        for (nint h = begin; h < end; h++)
        {
            double dt = f.Dt[h], gdt = 0;
            for (nint n = 0; n < f.States; n++)
            {
                nint from = h * f.ChannelStride + 2 * n, to = 2 * (h * f.States + n);
                Complex a = DiagonalDiscretization.At(f.A, from), b = DiagonalDiscretization.At(f.B, from);
                Complex ga = GradientABar == null ? default : DiagonalDiscretization.At(GradientABar, to);
                Complex gb = GradientBBar == null ? default : DiagonalDiscretization.At(GradientBBar, to);
                RuleValues rule = f.Rule.At(dt * a);
                Complex gz = ga * Complex.Conjugate(rule.ASlope) + gb * Complex.Conjugate(dt * rule.BSlope * b);
                gdt += RealProduct(gz, a) + RealProduct(gb, rule.B * b);
                (ga, gb) = (dt * gz, gb * Complex.Conjugate(dt * rule.B));
                (GradientA[to], GradientA[to + 1]) = (ga.Real, ga.Imaginary);
                (GradientB[to], GradientB[to + 1]) = (gb.Real, gb.Imaginary);
            }
            GradientDt[h] = gdt;
        }
    }

    /// <summary>The gradient of a real number that is multiplied by x: Re(conj(g) x).</summary>
    public static double RealProduct(Complex g, Complex x) => g.Real * x.Real + g.Imaginary * x.Imaginary;
}
