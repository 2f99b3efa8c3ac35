using System.Runtime.CompilerServices;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Losses;

/// <summary>
/// Cross-entropies of rows with target distributions q = w ((1 - s) target + s / C): -sum(q log p). The gradient of each row, (sum(q) p -
/// q) / Divisor, overwrites log p.
/// </summary>
internal unsafe struct SoftClassRows : IKernel
{
    /// <summary>Rows per chunk.</summary>
    public const nint Grain = 64;

    public float* Gradient, Target;

    /// <summary>(Columns): the weights of the classes, or null.</summary>
    public float* Weight;

    /// <summary>(Rows): the losses, or null.</summary>
    public float* Elements;

    /// <summary>One sum per chunk.</summary>
    public double* Sums;
    public int Columns, Divisor;
    public float Smoothing;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        float off = Smoothing / Columns;
        double total = 0;
        for (nint r = begin; r < end; r++)
        {
            float* row = Gradient + r * Columns, truth = Target + r * Columns;
            double loss = 0;
            float mass = 0f;
            for (int c = 0; c < Columns; c++) mass += Share(truth, c, off);
            for (int c = 0; c < Columns; c++)
            {
                float share = Share(truth, c, off);
                // 0 times the logarithm of an underflowed probability is 0, not NaN; a row that contains NaN is NaN.
                if (share != 0f || float.IsNaN(row[c])) loss -= (double)share * row[c];
                row[c] = (mass * MathF.Exp(row[c]) - share) / Divisor;
            }
            if (Elements != null) Elements[r] = (float)loss;
            total += loss;
        }
        Sums[begin / Grain] = total;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly float Share(float* truth, int c, float off)
    {
        float share = off + (1f - Smoothing) * truth[c];
        return Weight == null ? share : Weight[c] * share;
    }
}
