using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// The memory of HiPPO-LegS (Gu et al. 2020, theorem 2), by the trapezoidal rule: c_k = (I - A/2k)^-1 ((I + A/2k) c_(k-1) + (B/k) f_k).
/// With s_n = sqrt(2n + 1), A is -s_n s_k below the diagonal and -(n + 1) on it, so products and solves take O(N) with a running sum. In
/// double precision; one item is a signal.
/// </summary>
internal unsafe struct LegsMemory : IKernel
{
    public nint Length, States;

    /// <summary>f (H, L) and c (H, N).</summary>
    public float* Signal, Coefficients;

    /// <summary>Backward pass: the gradients dc (H, N) and df (H, L), the latter overwritten. Otherwise null.</summary>
    public float* CoefficientGradients;
    public double* SignalGradients;

    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        using Scratch state = Scratch.OfDoubles(2 * States);
        double* c = state.Doubles, roots = c + States;
        for (nint n = 0; n < States; n++) roots[n] = Math.Sqrt(2 * n + 1);
        for (nint h = begin; h < end; h++)
            if (CoefficientGradients == null)
            {
                new Span<double>(c, (int)States).Clear();
                for (nint k = 1; k <= Length; k++) Step(c, roots, k, Signal[h * Length + k - 1]);
                for (nint n = 0; n < States; n++) Coefficients[h * States + n] = (float)c[n];
            }
            else
            {
                for (nint n = 0; n < States; n++) c[n] = CoefficientGradients[h * States + n];
                for (nint k = Length; k >= 1; k--) SignalGradients[h * Length + k - 1] = StepBack(c, roots, k);
            }
    }

    /// <summary>c_k from c_(k-1).</summary>
    private readonly void Step(double* c, double* roots, nint k, double f)
    {
        double a = 0.5 / k, before = 0, after = 0;
        for (nint n = 0; n < States; n++)
        {
            double s = roots[n], old = c[n];
            double right = old - a * ((n + 1) * old + s * before) + s / k * f;
            c[n] = (right - a * s * after) / (1 + a * (n + 1));
            before += s * old;
            after += s * c[n];
        }
    }

    /// <summary>The gradient of c_(k-1) from that of c_k; returns that of f_k. Uses the transposed matrices.</summary>
    private readonly double StepBack(double* g, double* roots, nint k)
    {
        double a = 0.5 / k, sum = 0, df = 0;
        for (nint n = States - 1; n >= 0; n--)
        {
            double s = roots[n], x = (g[n] - a * s * sum) / (1 + a * (n + 1));
            g[n] = x - a * ((n + 1) * x + s * sum);
            df += s / k * x;
            sum += s * x;
        }
        return df;
    }
}
