using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>Discretizes one dense system for each of H steps. One item is a step.</summary>
internal unsafe struct DenseDiscretization : IKernel
{
    public DiscretizationRule Rule;
    public nint States, Inputs;

    /// <summary>(N, N), (N, P) and (H).</summary>
    public float* A, B, Dt;

    /// <summary>(H, N, N) and (H, N, P).</summary>
    public float* ABar, BBar;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = States * States, p = States * Inputs;
        using Scratch system = Scratch.OfDoubles(n + p), results = Scratch.OfDoubles(n + p);
        double* a = system.Doubles, b = a + n, abar = results.Doubles, bbar = abar + n;
        Widen(A, a, n);
        Widen(B, b, p);
        for (nint h = begin; h < end; h++)
        {
            new DenseSystem(Rule, a, b, Dt[h], States, Inputs).Discretize(abar, bbar);
            Narrow(abar, ABar + h * n, n);
            Narrow(bbar, BBar + h * p, p);
        }
    }

    public static void Widen(float* from, double* to, nint count)
    {
        for (nint i = 0; i < count; i++) to[i] = from == null ? 0 : from[i];
    }

    public static void Narrow(double* from, float* to, nint count)
    {
        for (nint i = 0; i < count; i++) to[i] = (float)from[i];
    }
}

/// <summary>
/// The gradients of <see cref="DenseDiscretization"/>: separate gradients of A and B for each step, which the caller sums.
/// </summary>
internal unsafe struct DenseDiscretizationBackward : IKernel
{
    public DenseDiscretization Forward;

    /// <summary>(H, N, N) and (H, N, P): the gradients of the results; null for zeros.</summary>
    public float* GradientABar, GradientBBar;

    /// <summary>(H, N, N), (H, N, P) and (H).</summary>
    public double* GradientA, GradientB, GradientDt;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        DenseDiscretization f = Forward;
        nint n = f.States * f.States, p = f.States * f.Inputs;
        using Scratch system = Scratch.OfDoubles(n + p), results = Scratch.OfDoubles(n + p), gradients = Scratch.OfDoubles(n + p);
        double* a = system.Doubles, b = a + n, abar = results.Doubles, bbar = abar + n, da = gradients.Doubles, db = da + n;
        DenseDiscretization.Widen(f.A, a, n);
        DenseDiscretization.Widen(f.B, b, p);
        for (nint h = begin; h < end; h++)
        {
            DenseSystem dense = new(f.Rule, a, b, f.Dt[h], f.States, f.Inputs);
            dense.Discretize(abar, bbar);
            DenseDiscretization.Widen(GradientABar == null ? null : GradientABar + h * n, da, n);
            DenseDiscretization.Widen(GradientBBar == null ? null : GradientBBar + h * p, db, p);
            new Span<double>(GradientA + h * n, (int)n).Clear();
            new Span<double>(GradientB + h * p, (int)p).Clear();
            GradientDt[h] = dense.Backward(abar, bbar, da, db, GradientA + h * n, GradientB + h * p);
        }
    }
}
