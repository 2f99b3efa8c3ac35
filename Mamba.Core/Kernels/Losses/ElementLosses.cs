using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Losses;

/// <summary>A loss of a prediction x and a target t, element by element.</summary>
internal interface IElementLoss
{
    V Value<V>(V x, V t) where V : unmanaged;

    /// <summary>Its derivative with respect to x.</summary>
    V Slope<V>(V x, V t) where V : unmanaged;
}

/// <summary>(x - t)^2.</summary>
internal readonly struct SquaredError : IElementLoss
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Value<V>(V x, V t) where V : unmanaged => (x - t) * (x - t);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Slope<V>(V x, V t) where V : unmanaged => x - t + (x - t);
}

/// <summary>|x - t|.</summary>
internal readonly struct AbsoluteError : IElementLoss
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Value<V>(V x, V t) where V : unmanaged => Abs(x - t);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Slope<V>(V x, V t) where V : unmanaged => Sign(x - t);

    /// <summary>-1, 0 or 1; NaN for NaN.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Sign<V>(V d) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        return Select(Greater(d, default), one, Select(Greater(default, d), -one, d));
    }
}

/// <summary>
/// Slope / 2 / Knee (x - t)^2 where |x - t| &lt; Knee, Slope (|x - t| - Knee / 2) elsewhere: the Huber and smooth L1 losses.
/// </summary>
internal readonly struct HuberError(float knee, float slope) : IElementLoss
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Value<V>(V x, V t) where V : unmanaged
    {
        V d = Abs(x - t), far = Broadcast<V>(slope) * (d - Broadcast<V>(0.5f * knee));
        return Select(Greater(Broadcast<V>(knee), d), Broadcast<V>(0.5f * slope / knee) * d * d, far);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Slope<V>(V x, V t) where V : unmanaged
    {
        V d = x - t, far = Broadcast<V>(slope) * AbsoluteError.Sign(d);
        return Select(Greater(Broadcast<V>(knee), Abs(d)), Broadcast<V>(slope / knee) * d, far);
    }
}

/// <summary>(1 - t) x + (1 + (Positive - 1) t) log(1 + e^-x): binary cross-entropy of a logit with weighted positives.</summary>
internal readonly struct WeightedLogistic(float positive) : IElementLoss
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Value<V>(V x, V t) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        return Fma(one - t, x, Fma(Broadcast<V>(positive - 1f), t, one) * VecMath.Softplus(-x));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Slope<V>(V x, V t) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        return one - t - Fma(Broadcast<V>(positive - 1f), t, one) * VecMath.Sigmoid(-x);
    }
}

/// <summary>alpha_t q^Gamma times the binary cross-entropy, where q = 1 - p_t (Lin et al. 2017, equation 5).</summary>
internal readonly struct FocalLogistic(float alpha, float gamma) : IElementLoss
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Value<V>(V x, V t) where V : unmanaged
    {
        Parts(x, t, out _, out _, out V power);
        return power * Entropy(x, t);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Slope<V>(V x, V t) where V : unmanaged
    {
        Parts(x, t, out V p, out V q, out V power);
        // d(q^gamma) = gamma q^gamma dq / q, dq = p (1 - p) (1 - 2 t).
        V one = Broadcast<V>(1f), dq = p * VecMath.Sigmoid(-x) * (one - t - t);
        return power * Fma(Broadcast<V>(gamma) * dq / q, Entropy(x, t), p - t);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Entropy<V>(V x, V t) where V : unmanaged => NonNegative(x) - x * t + VecMath.Log1P(VecMath.Exp(-Abs(x)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Parts<V>(V x, V t, out V p, out V q, out V power) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        p = VecMath.Sigmoid(x);
        // Uses sigmoid(-x): 1 - p loses all digits where p is nearly 1. A q of 0 would have no logarithm.
        q = Max(Broadcast<V>(1.2e-38f), Fma(p, one - t, VecMath.Sigmoid(-x) * t));
        V weight = alpha < 0f ? one : Fma(Broadcast<V>(2f * alpha - 1f), t, Broadcast<V>(1f - alpha));
        power = weight * VecMath.Exp(Broadcast<V>(gamma) * VecMath.Log(q));
    }
}

/// <summary>The elementwise losses, or the sum of each block of them.</summary>
internal unsafe struct ElementLossForward<TLoss> : IKernel where TLoss : unmanaged, IElementLoss
{
    /// <summary>Elements per block: few enough to sum in float32.</summary>
    public const nint Block = 1024;

    public float* X, Target;
    public TLoss Loss;
    public nint Count;

    /// <summary>The losses, or null.</summary>
    public float* Elements;

    /// <summary>One sum per block, or null.</summary>
    public float* Sums;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        float* tail = stackalloc float[(int)n];
        for (nint block = begin; block < end; block++)
        {
            nint to = Math.Min(Count, (block + 1) * Block);
            V sum = default;
            for (nint i = block * Block; i < to; i += n)
            {
                nint lanes = Math.Min(n, to - i);
                V loss = Loss.Value(Load<V>(X + i, lanes), Load<V>(Target + i, lanes));
                if (Elements != null) Store(loss, Elements + i, lanes);
                if (lanes < n)
                {
                    // In lanes past the end, the loss of (0, 0) may not be 0.
                    Store(loss, tail);
                    loss = Load<V>(tail, lanes);
                }
                sum += loss;
            }
            if (Sums != null) Sums[block] = Sum(sum);
        }
    }
}

/// <summary>dx (+)= Factor dy slope, with one dy for all elements or one each.</summary>
internal unsafe struct ElementLossGradient<TLoss> : IKernel where TLoss : unmanaged, IElementLoss
{
    public float* X, Target, Dy;
    public GradientTarget Dx;
    public TLoss Loss;
    public float Factor;
    public bool OneEach;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        GradientTarget dx = Dx;
        V factor = Broadcast<V>(OneEach ? Factor : Factor * Dy[0]);
        for (nint i = begin; i < end; i += n)
        {
            nint lanes = Math.Min(n, end - i);
            V g = factor * Loss.Slope(Load<V>(X + i, lanes), Load<V>(Target + i, lanes));
            if (OneEach) g *= Load<V>(Dy + i, lanes);
            dx.Store(g, dx.Pointer + i, lanes);
        }
    }
}
