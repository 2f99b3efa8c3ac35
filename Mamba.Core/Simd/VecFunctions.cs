using System.Runtime.CompilerServices;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Simd;

/// <summary>A scalar function, for operations without a vector form.</summary>
internal interface IScalarFunction
{
    float Apply(float x);
}

/// <summary>
/// Elementary functions over all of float32. Signed zeros, denormals, infinities and NaN give IEEE 754's results. Errors are within a few
/// units in the last place, also where the result is near zero.
/// </summary>
internal static unsafe class VecFunctions
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>
    /// sin: beyond this, quarter turns do not fit the split of pi/2, and lanes are computed one by one in double precision.
    /// </summary>
    private const float MaxAngle = 6000f;

    /// <summary>log(1 + x), accurate for small x. With u = 1 + x rounded, log(u) x / (u - 1) cancels the rounding error (Kahan).</summary>
    [MethodImpl(Inline)]
    public static V Log1P<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f), u = one + x, d = u - one;
        V y = VecMath.Log(u) * (x / d);
        y = Select(Equal(d, default), x, y);
        return Select(Equal(u, Broadcast<V>(float.PositiveInfinity)), u, y);
    }

    /// <summary>e^x - 1: Taylor's series for |x| &lt; 1/2, where the difference would cancel.</summary>
    [MethodImpl(Inline)]
    public static V ExpM1<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        V p = Broadcast<V>(2.48015873e-5f);
        p = Fma(p, x, Broadcast<V>(1.98412698e-4f));
        p = Fma(p, x, Broadcast<V>(1.38888889e-3f));
        p = Fma(p, x, Broadcast<V>(8.33333333e-3f));
        p = Fma(p, x, Broadcast<V>(4.16666667e-2f));
        p = Fma(p, x, Broadcast<V>(1.66666667e-1f));
        p = Fma(p, x, Broadcast<V>(0.5f));
        V near = x * Fma(p, x, one); // a product keeps the sign of zero
        return Select(Greater(Broadcast<V>(0.5f), Abs(x)), near, VecMath.Exp(x) - one);
    }

    /// <summary>Sine of an angle in radians.</summary>
    [MethodImpl(Inline)]
    public static V Sin<V>(V x) where V : unmanaged
    {
        if (AnyGreater(Abs(x), MaxAngle)) return EachLane(x, default(SineOfLane));
        V quarter = Quarter(x, out V r);
        V odd = Equal(Abs(quarter), Broadcast<V>(1f));
        V y = Select(odd, CosNear(r), SinNear(r));
        V negative = Select(odd, Greater(default, quarter), Equal(Abs(quarter), Broadcast<V>(2f)));
        y = Select(negative, -y, y);
        return Select(Greater(Broadcast<V>(1e-4f), Abs(x)), x, y); // there sin x = x, including the sign of zero
    }

    /// <summary>Cosine of an angle in radians.</summary>
    [MethodImpl(Inline)]
    public static V Cos<V>(V x) where V : unmanaged
    {
        if (AnyGreater(Abs(x), MaxAngle)) return EachLane(x, default(CosineOfLane));
        V quarter = Quarter(x, out V r);
        V odd = Equal(Abs(quarter), Broadcast<V>(1f));
        V y = Select(odd, SinNear(r), CosNear(r));
        V negative = Select(odd, Greater(quarter, default), Equal(Abs(quarter), Broadcast<V>(2f)));
        return Select(negative, -y, y);
    }

    /// <summary>
    /// Sine and cosine of 2 pi (turns + rest), for turns in [-1/2, 1/2] and a much smaller rest. Quarter turns are subtracted without
    /// rounding.
    /// </summary>
    [MethodImpl(Inline)]
    public static void SinCosOfTurns<V>(V turns, V rest, out V sin, out V cos) where V : unmanaged
    {
        V quarter = Round(turns * Broadcast<V>(4f)), size = Abs(quarter);
        V r = (Fma(quarter, Broadcast<V>(-0.25f), turns) + rest) * Broadcast<V>(6.28318531f);
        V odd = Equal(size, Broadcast<V>(1f)), half = Equal(size, Broadcast<V>(2f)), s = SinNear(r), c = CosNear(r);
        sin = Select(odd, c, s);
        cos = Select(odd, s, c);
        sin = Select(Select(odd, Greater(default, quarter), half), -sin, sin);
        cos = Select(Select(odd, Greater(quarter, default), half), -cos, cos);
    }

    /// <summary>Applies a scalar function lane by lane.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public static V EachLane<V, TFunction>(V x, TFunction function) where V : unmanaged where TFunction : struct, IScalarFunction
    {
        float* lanes = (float*)&x;
        for (nint i = 0; i < Count<V>(); i++) lanes[i] = function.Apply(lanes[i]);
        return x;
    }

    /// <summary>Whether any lane is larger; NaN is not.</summary>
    [MethodImpl(Inline)]
    private static bool AnyGreater<V>(V x, float limit) where V : unmanaged =>
        MaxLane(Select(Greater(x, Broadcast<V>(limit)), Broadcast<V>(1f), default)) > 0f;

    /// <summary>
    /// x minus the nearest multiple of pi/2, and its index modulo 4, from -2 to 2. The first two parts of pi/2 have few bits: their
    /// multiples are exact, so the difference cancels without loss (Cody and Waite). The last two hold the remainder, to 72 bits.
    /// </summary>
    [MethodImpl(Inline)]
    private static V Quarter<V>(V x, out V r) where V : unmanaged
    {
        V k = Round(x * Broadcast<V>(0.63661977f));
        r = Fma(k, Broadcast<V>(-1.5703125f), x);
        r = Fma(k, Broadcast<V>(-4.837512969970703e-4f), r);
        r = Fma(k, Broadcast<V>(-7.549790126404332e-8f), r);
        r = Fma(k, Broadcast<V>(1.7151245100058819e-15f), r);
        return k - Broadcast<V>(4f) * Round(k * Broadcast<V>(0.25f));
    }

    /// <summary>sin on [-pi/4, pi/4] (Cephes).</summary>
    [MethodImpl(Inline)]
    private static V SinNear<V>(V r) where V : unmanaged
    {
        V z = r * r;
        V p = Fma(Broadcast<V>(-1.9515295891e-4f), z, Broadcast<V>(8.3321608736e-3f));
        p = Fma(p, z, Broadcast<V>(-1.6666654611e-1f));
        return Fma(p * z, r, r);
    }

    /// <summary>cos on [-pi/4, pi/4] (Cephes).</summary>
    [MethodImpl(Inline)]
    private static V CosNear<V>(V r) where V : unmanaged
    {
        V z = r * r;
        V p = Fma(Broadcast<V>(2.443315711809948e-5f), z, Broadcast<V>(-1.388731625493765e-3f));
        p = Fma(p, z, Broadcast<V>(4.166664568298827e-2f));
        return Fma(p * z, z, Fma(Broadcast<V>(-0.5f), z, Broadcast<V>(1f)));
    }

    private readonly struct SineOfLane : IScalarFunction
    {
        public float Apply(float x) => (float)Math.Sin(x);
    }

    private readonly struct CosineOfLane : IScalarFunction
    {
        public float Apply(float x) => (float)Math.Cos(x);
    }
}
