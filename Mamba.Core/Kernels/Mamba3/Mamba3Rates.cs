using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels.Mamba3;

/// <summary>
/// dt = softplus(x) and A dt of Mamba-3, elementwise: A = -max(f(a), floor) with f(a) = 1 + a for a &gt;= 0 and 1 / (1 - a) below.
/// </summary>
internal unsafe struct Mamba3Rates : IKernel
{
    public float* X, A, Dt, Adt;
    public float Floor;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        for (nint i = begin; i < end; i += n)
        {
            nint lanes = Math.Min(n, end - i);
            V dt = Softplus(Load<V>(X + i, lanes));
            Store(dt, Dt + i, lanes);
            Store(-(dt * Max(Broadcast<V>(Floor), Rate(Load<V>(A + i, lanes)))), Adt + i, lanes);
        }
    }

    /// <summary>f(a).</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Rate<V>(V a) where V : unmanaged
    {
        V one = Broadcast<V>(1f), sum = one + Abs(a);
        return Select(Greater(default, a), one / sum, sum);
    }
}

/// <summary>The gradients of <see cref="Mamba3Rates"/>: f' is 1 for a &gt;= 0 and f^2 below; 0 where the floor applies.</summary>
internal unsafe struct Mamba3RatesBackward : IKernel
{
    public float* X, A, DDt, DAdt;
    public float Floor;
    public GradientTarget Dx, Da;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        GradientTarget dx = Dx, da = Da;
        V one = Broadcast<V>(1f), floor = Broadcast<V>(Floor);
        for (nint i = begin; i < end; i += n)
        {
            nint lanes = Math.Min(n, end - i);
            V a = Load<V>(A + i, lanes), rate = Mamba3Rates.Rate(a), dt = Softplus(Load<V>(X + i, lanes), out V slope);
            V ofDt = DDt == null ? default : Load<V>(DDt + i, lanes), ofAdt = DAdt == null ? default : Load<V>(DAdt + i, lanes);
            V below = Greater(floor, rate), slopeOfRate = Select(Greater(default, a), rate * rate, one);
            if (dx.IsWanted) dx.Store((ofDt - ofAdt * Max(floor, rate)) * slope, dx.Pointer + i, lanes);
            if (da.IsWanted) da.Store(Select(below, default, -(ofAdt * dt * slopeOfRate)), da.Pointer + i, lanes);
        }
    }
}
