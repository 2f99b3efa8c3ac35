using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;
using static Mamba.Core.Simd.VecMath;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>
/// scale x for x &gt; 0, scale alpha (e^x - 1) elsewhere: zero mean and unit variance are a fixed point (Klambauer et al. 2017).
/// </summary>
internal readonly struct ScaledElu : IActivation
{
    public static bool TakesExponential => true;

    private const float Alpha = 1.6732632423543772f, Scale = 1.0507009873554805f;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged =>
        Select(Greater(x, default), Broadcast<V>(Scale) * x, Broadcast<V>(Scale * Alpha) * VecFunctions.ExpM1(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged =>
        Select(Greater(x, default), Broadcast<V>(Scale), Broadcast<V>(Scale * Alpha) * Exp(x));
}

/// <summary>
/// x tanh(log(1 + e^x)) (Misra 2019). With n = e^x (e^x + 2), the tanh is n / (n + 2), which neither overflows nor cancels.
/// </summary>
internal readonly struct Mish : IActivation
{
    public static bool TakesExponential => true;

    private const float Saturated = 20f; // from here on, n / (n + 2) is 1 in float32

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x * (Tangent(x, out _, out V divisor) / divisor);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        // tanh' = 4 (1 + e)^2 / (n + 2)^2, times the sigmoid e / (1 + e).
        V n = Tangent(x, out V e, out V divisor);
        V slope = Broadcast<V>(4f) * Fma(e, e, e) / (divisor * divisor);
        return Fma(Min(Broadcast<V>(Saturated), x), slope, n / divisor);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Tangent<V>(V x, out V e, out V divisor) where V : unmanaged
    {
        V two = Broadcast<V>(2f);
        e = Exp(Min(Broadcast<V>(Saturated), x));
        V n = e * (e + two);
        divisor = n + two;
        return n;
    }
}

/// <summary>log(1 / (1 + e^-x)) = min(x, 0) - log(1 + e^-|x|).</summary>
internal readonly struct LogOfSigmoid : IActivation
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Min(default, x) - Log1P(Exp(-Abs(x)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        V t = Exp(-Abs(x)), one = Broadcast<V>(1f);
        return Select(Greater(x, default), t, one) / (one + t);
    }
}

/// <summary>x / (1 + |x|).</summary>
internal readonly struct SoftSign : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x / (Broadcast<V>(1f) + Abs(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f), r = one / (one + Abs(x));
        return r * r;
    }
}

/// <summary>x - tanh(x). For |x| &lt; 1/2, where the difference would cancel, the series x^3/3 - 2 x^5/15 + ...</summary>
internal readonly struct TanhShrinkage : IActivation
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged
    {
        V z = x * x;
        V p = Broadcast<V>(1.45583438e-3f);
        p = Fma(p, z, Broadcast<V>(-3.59212804e-3f));
        p = Fma(p, z, Broadcast<V>(8.86323553e-3f));
        p = Fma(p, z, Broadcast<V>(-2.18694885e-2f));
        p = Fma(p, z, Broadcast<V>(5.39682540e-2f));
        p = Fma(p, z, Broadcast<V>(-1.33333333e-1f));
        p = Fma(p, z, Broadcast<V>(3.33333333e-1f));
        return Select(Greater(Broadcast<V>(0.5f), Abs(x)), x * (z * p), x - Tanh(x));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        V t = Tanh(x);
        return t * t;
    }
}

/// <summary>x / (1 + e^(-1.702 x)), the sigmoid approximation of <see cref="Gelu"/>.</summary>
internal readonly struct QuickGelu : IActivation
{
    public static bool TakesExponential => true;

    private const float Slope = 1.702f;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x / (Broadcast<V>(1f) + Exp(x * Broadcast<V>(-Slope)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f), slope = Broadcast<V>(Slope), s = Sigmoid(x * slope);
        return Fma(x * (s * (one - s)), slope, s); // this order avoids infinity times 0 at both ends
    }
}

/// <summary>
/// x for x &gt; 0, alpha (e^(x / scale) - 1) elsewhere: ELU with scale 1 (Clevert et al. 2016), CELU with scale alpha (Barron 2017).
/// </summary>
internal readonly struct Elu(float alpha, float scale) : IFunction
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged =>
        Select(Greater(x, default), x, Broadcast<V>(alpha) * VecFunctions.ExpM1(x / Broadcast<V>(scale)));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V x) where V : unmanaged =>
        Select(Greater(x, default), Broadcast<V>(1f), Broadcast<V>(alpha / scale) * Exp(x / Broadcast<V>(scale)));
}

/// <summary>log(1 + e^(beta x)) / beta, or x where beta x exceeds the threshold, as in PyTorch.</summary>
internal readonly struct ScaledSoftplus(float beta, float threshold) : IFunction
{
    public static bool TakesExponential => true;

    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged
    {
        V z = x * Broadcast<V>(beta);
        return Select(Greater(z, Broadcast<V>(threshold)), x, Softplus(z) / Broadcast<V>(beta));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V x) where V : unmanaged
    {
        V z = x * Broadcast<V>(beta);
        return Select(Greater(z, Broadcast<V>(threshold)), Broadcast<V>(1f), Sigmoid(z));
    }
}
