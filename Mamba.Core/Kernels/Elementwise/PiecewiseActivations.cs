using System.Runtime.CompilerServices;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>min(max(x, 0), 6).</summary>
internal readonly struct Relu6 : IActivation
{
    public static bool DerivativeFromOutput => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Min(Broadcast<V>(6f), NonNegative(x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V y) where V : unmanaged =>
        Select(Equal(y, default), default, Select(Equal(y, Broadcast<V>(6f)), default, Broadcast<V>(1f)));
}

/// <summary>min(max(x + 3, 0), 6) / 6.</summary>
internal readonly struct HardLogistic : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => Relu6.Apply(x + Broadcast<V>(3f)) / Broadcast<V>(6f);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged => Select(Greater(Broadcast<V>(3f), Abs(x)), Broadcast<V>(1f / 6f), default);
}

/// <summary>
/// x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019). At the kinks the derivative is that of the middle piece, as in PyTorch: -1/2 and 3/2.
/// </summary>
internal readonly struct HardSwish : IActivation
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V x) where V : unmanaged => x * HardLogistic.Apply(x);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Derivative<V>(V x) where V : unmanaged
    {
        V three = Broadcast<V>(3f), inner = x / three + Broadcast<V>(0.5f);
        return Select(Greater(-three, x), default, Select(Greater(x, three), Broadcast<V>(1f), inner));
    }
}

/// <summary>x for x &gt; 0, slope x elsewhere.</summary>
internal readonly struct SlopedRelu(float slope) : IFunction
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged => Select(Greater(x, default), x, x * Broadcast<V>(slope));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V x) where V : unmanaged => Select(Greater(x, default), Broadcast<V>(1f), Broadcast<V>(slope));
}

/// <summary>min(max(x, low), high); the derivative is 0 at the bounds.</summary>
internal readonly struct HardTangent(float low, float high) : IFunction
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged => Min(Broadcast<V>(high), Max(Broadcast<V>(low), x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V x) where V : unmanaged
    {
        V y = Apply(x);
        return Select(Equal(y, Broadcast<V>(low)), default, Select(Equal(y, Broadcast<V>(high)), default, Broadcast<V>(1f)));
    }
}

/// <summary>min(max(x, low), high); the derivative is 1 at the bounds.</summary>
internal readonly struct Clamped(float low, float high) : IFunction
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged => Min(Broadcast<V>(high), Max(Broadcast<V>(low), x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V x) where V : unmanaged => Select(Equal(x, Apply(x)), Broadcast<V>(1f), default);
}

/// <summary>x - lambda above lambda, x + lambda below -lambda, 0 between.</summary>
internal readonly struct SoftShrinkage(float lambda) : IFunction
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged
    {
        V l = Broadcast<V>(lambda), outer = Select(Greater(x, default), x - l, x + l);
        return Select(Greater(Abs(x), l), outer, Select(Equal(x, x), default, x));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V x) where V : unmanaged => Select(Equal(Apply(x), default), default, Broadcast<V>(1f));
}

/// <summary>x outside of [-lambda, lambda], 0 inside.</summary>
internal readonly struct HardShrinkage(float lambda) : IFunction
{
    public static bool DerivativeFromOutput => false;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Apply<V>(V x) where V : unmanaged => Select(Greater(Abs(x), Broadcast<V>(lambda)), x, Select(Equal(x, x), default, x));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public V Derivative<V>(V x) where V : unmanaged => Select(Equal(Apply(x), default), default, Broadcast<V>(1f));
}
