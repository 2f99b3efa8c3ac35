using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Simd;

/// <summary>Elementary functions over any vector type, to within a few units in the last place of float32.</summary>
internal static class VecMath
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>
    /// log2(e): exp(x) = 2^(x log2 e). Kernels that scale x anyway fold this factor in and call <see cref="Exp2{V}(V)"/>.
    /// </summary>
    public const float Log2E = 1.44269504088896341f;

    /// <summary>
    /// 2^x: the integer part goes into the exponent, the fraction in [-1/2, 1/2] through a minimax polynomial (relative error 9.1e-8;
    /// 1.7e-7 with rounding). The result saturates at 0 and infinity with AVX-512, otherwise at 2^-126 and 2^127.5. It is the fast form for
    /// scans and softmax: their exponents are at most 0, and their smallest terms are negligible. <see cref="Exp"/> is right everywhere.
    /// </summary>
    [MethodImpl(Inline)]
    public static V Exp2<V>(V x) where V : unmanaged
    {
        V f = Fraction(x, out V whole);
        V p1 = Fma(Broadcast<V>(1.3264727198532883e-3f), f, Broadcast<V>(9.6715126395530322e-3f));
        V p2 = Fma(p1, f, Broadcast<V>(5.5507337432475524e-2f)), p3 = Fma(p2, f, Broadcast<V>(2.4022242085377202e-1f));
        V p4 = Fma(p3, f, Broadcast<V>(6.9314697759916699e-1f));
        return ScaleByPowerOf2(Fma(p4, f, Broadcast<V>(1f)), whole);
    }

    /// <summary>
    /// The same for four vectors, interleaved step by step. One is a dependent chain of some 40 cycles; in sequence, a processor would
    /// overlap too few of them. A third faster on Zen 3.
    /// </summary>
    [MethodImpl(Inline)]
    public static void Exp2<V>(ref V x0, ref V x1, ref V x2, ref V x3) where V : unmanaged
    {
        V a = Fraction(x0, out x0), b = Fraction(x1, out x1), c = Fraction(x2, out x2), d = Fraction(x3, out x3);
        V k = Broadcast<V>(1.3264727198532883e-3f), l = Broadcast<V>(9.6715126395530322e-3f);
        V p = Fma(k, a, l), q = Fma(k, b, l), r = Fma(k, c, l), s = Fma(k, d, l);
        k = Broadcast<V>(5.5507337432475524e-2f);
        if (Isa.HasManyRegisters)
        {
            // Every step has its own variables: on ARM64 a fused multiply-add overwrites its addend, here a copy of the coefficient, and a
            // reassigned variable would be copied once more. With 16 registers, as below, these variables would be spilled.
            V p2 = Fma(p, a, k), q2 = Fma(q, b, k), r2 = Fma(r, c, k), s2 = Fma(s, d, k);
            k = Broadcast<V>(2.4022242085377202e-1f);
            V p3 = Fma(p2, a, k), q3 = Fma(q2, b, k), r3 = Fma(r2, c, k), s3 = Fma(s2, d, k);
            k = Broadcast<V>(6.9314697759916699e-1f);
            V p4 = Fma(p3, a, k), q4 = Fma(q3, b, k), r4 = Fma(r3, c, k), s4 = Fma(s3, d, k);
            k = Broadcast<V>(1f);
            x0 = ScaleByPowerOf2(Fma(p4, a, k), x0);
            x1 = ScaleByPowerOf2(Fma(q4, b, k), x1);
            x2 = ScaleByPowerOf2(Fma(r4, c, k), x2);
            x3 = ScaleByPowerOf2(Fma(s4, d, k), x3);
            return;
        }
        p = Fma(p, a, k);
        q = Fma(q, b, k);
        r = Fma(r, c, k);
        s = Fma(s, d, k);
        k = Broadcast<V>(2.4022242085377202e-1f);
        p = Fma(p, a, k);
        q = Fma(q, b, k);
        r = Fma(r, c, k);
        s = Fma(s, d, k);
        k = Broadcast<V>(6.9314697759916699e-1f);
        p = Fma(p, a, k);
        q = Fma(q, b, k);
        r = Fma(r, c, k);
        s = Fma(s, d, k);
        k = Broadcast<V>(1f);
        x0 = ScaleByPowerOf2(Fma(p, a, k), x0);
        x1 = ScaleByPowerOf2(Fma(q, b, k), x1);
        x2 = ScaleByPowerOf2(Fma(r, c, k), x2);
        x3 = ScaleByPowerOf2(Fma(s, d, k), x3);
    }

    /// <summary>2^x of the fast form, with 0 instead of the smallest value at which it saturates; x is at most 0.</summary>
    [MethodImpl(Inline)]
    public static V WithoutFloor<V>(V power) where V : unmanaged
    {
        if (typeof(V) == typeof(Vector512<float>) && Avx512F.IsSupported) return power;
        return power - Broadcast<V>(1.17549435e-38f); // 2^-126: less than half a unit in the last place of anything above 2^-102
    }

    /// <summary>
    /// A result of <see cref="Exp2{V}(V)"/> with saturated values set to 0, such as for an exponent of -infinity. Other values are
    /// unchanged.
    /// </summary>
    [MethodImpl(Inline)]
    public static V ZeroAtFloor<V>(V power) where V : unmanaged
    {
        if (typeof(V) == typeof(Vector512<float>) && Avx512F.IsSupported) return power;
        return Select(Equal(power, Broadcast<V>(1.17549435e-38f)), default, power);
    }

    /// <summary>
    /// e^x for every x: denormal below 2^-126, 0 below -104, infinite from 88.73 on, NaN for NaN. The polynomial is that of
    /// <see cref="Exp2{V}(V)"/> in r = f ln 2.
    /// </summary>
    [MethodImpl(Inline)]
    public static V Exp<V>(V x) where V : unmanaged
    {
        // e^x = 2^n e^r with r = x - n ln 2. ln 2 is split in two; the first part has few bits, so that n times it is exact. Beyond these
        // bounds the result is 0 or infinite.
        x = Clamp(x, -104f, 89f);
        V whole = Round(x * Broadcast<V>(Log2E));
        V r = Fma(whole, Broadcast<V>(-0.693359375f), x);
        r = Fma(whole, Broadcast<V>(2.12194440e-4f), r);
        V p1 = Fma(Broadcast<V>(8.2903147162347434e-3f), r, Broadcast<V>(4.1897929296363087e-2f));
        V p2 = Fma(p1, r, Broadcast<V>(1.6667636194788585e-1f)), p3 = Fma(p2, r, Broadcast<V>(4.9999149530711579e-1f));
        V p4 = Fma(p3, r, Broadcast<V>(9.9999970718949160e-1f));
        return ScaleWithinRange(Fma(p4, r, Broadcast<V>(1f)), whole);
    }

    /// <summary>
    /// Natural logarithm of every x: -infinity at 0, NaN below 0, infinite at infinity; also right for denormals (Cephes' degree-9
    /// polynomial on [sqrt(1/2), sqrt(2))).
    /// </summary>
    [MethodImpl(Inline)]
    public static V Log<V>(V x) where V : unmanaged
    {
        // Denormals are normalized first: the polynomial needs a full mantissa.
        V denormal = Greater(Broadcast<V>(1.17549435e-38f), x), positive = Greater(x, default);
        V m = SplitExponent(Select(denormal, x * Broadcast<V>(8388608f), x), out V e) - Broadcast<V>(1f);
        e -= Select(denormal, Broadcast<V>(23f), default);
        V y = LogOfSplit(m, e);
        V infinity = Broadcast<V>(float.PositiveInfinity);
        y = Select(Equal(x, infinity), infinity, y);
        return Select(positive, y, Select(Equal(x, default), -infinity, Broadcast<V>(float.NaN)));
    }

    /// <summary>log(1 + m) + e log 2 for 1 + m in [sqrt(1/2), sqrt(2)).</summary>
    [MethodImpl(Inline)]
    private static V LogOfSplit<V>(V m, V e) where V : unmanaged
    {
        V p = Broadcast<V>(7.0376836292e-2f);
        p = Fma(p, m, Broadcast<V>(-1.1514610310e-1f));
        p = Fma(p, m, Broadcast<V>(1.1676998740e-1f));
        p = Fma(p, m, Broadcast<V>(-1.2420140846e-1f));
        p = Fma(p, m, Broadcast<V>(1.4249322787e-1f));
        p = Fma(p, m, Broadcast<V>(-1.6668057665e-1f));
        p = Fma(p, m, Broadcast<V>(2.0000714765e-1f));
        p = Fma(p, m, Broadcast<V>(-2.4999993993e-1f));
        p = Fma(p, m, Broadcast<V>(3.3333331174e-1f));
        V m2 = m * m;
        V y = p * m * m2;
        y = Fma(e, Broadcast<V>(-2.12194440e-4f), y);
        y = Fma(m2, Broadcast<V>(-0.5f), y);
        return Fma(e, Broadcast<V>(0.693359375f), m + y);
    }

    /// <summary>
    /// log(1 + x) for 0 &lt;= x &lt;= 1, keeping the low bits of a small x (minimax polynomial, relative error 3.0e-8; 1.8e-7 with
    /// rounding).
    /// </summary>
    [MethodImpl(Inline)]
    public static V Log1P<V>(V x) where V : unmanaged
    {
        V p = Broadcast<V>(5.232694302951e-3f);
        p = Fma(p, x, Broadcast<V>(-2.950523893080e-2f));
        p = Fma(p, x, Broadcast<V>(7.822595212348e-2f));
        p = Fma(p, x, Broadcast<V>(-1.366324581494e-1f));
        p = Fma(p, x, Broadcast<V>(1.910600676965e-1f));
        p = Fma(p, x, Broadcast<V>(-2.484298221569e-1f));
        p = Fma(p, x, Broadcast<V>(3.331909680774e-1f));
        p = Fma(p, x, Broadcast<V>(-4.999949314048e-1f));
        return x * Fma(p, x, Broadcast<V>(9.999999698796e-1f));
    }

    /// <summary>1 / (1 + e^-x).</summary>
    [MethodImpl(Inline)]
    public static V Sigmoid<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        return one / (one + Exp(-x));
    }

    /// <summary>log(1 + e^x) = max(x, 0) + log(1 + e^-|x|), which neither overflows nor cancels.</summary>
    [MethodImpl(Inline)]
    public static V Softplus<V>(V x) where V : unmanaged => Softplus(x, out _);

    /// <summary>Softplus and its derivative, the sigmoid, from one exponential.</summary>
    [MethodImpl(Inline)]
    public static V Softplus<V>(V x, out V derivative) where V : unmanaged
    {
        V t = Exp(-Abs(x)), one = Broadcast<V>(1f);
        derivative = Select(Greater(x, default), one, t) / (one + t);
        return NonNegative(x) + Log1P(t);
    }

    /// <summary>
    /// Hyperbolic tangent: an odd polynomial near zero, where 1 - 2 / (e^2x + 1) cancels, the exponential form elsewhere; -0 at -0.
    /// </summary>
    [MethodImpl(Inline)]
    public static V Tanh<V>(V x) where V : unmanaged
    {
        V one = Broadcast<V>(1f);
        V z = x * x;
        V p = Broadcast<V>(-5.70498872745e-3f);
        p = Fma(p, z, Broadcast<V>(2.06390887954e-2f));
        p = Fma(p, z, Broadcast<V>(-5.37397155531e-2f));
        p = Fma(p, z, Broadcast<V>(1.33314422036e-1f));
        p = Fma(p, z, Broadcast<V>(-3.33332819422e-1f));
        V near = Fma(p * z, x, x);
        V far = one - Broadcast<V>(2f) / (Exp(x + x) + one);
        return CopySign(Select(Greater(Broadcast<V>(0.625f), Abs(x)), near, far), x);
    }

    /// <summary>
    /// The error function: an odd rational minimax approximation on [-4, 4], beyond which float32 rounds to 1 (coefficients as in Eigen).
    /// </summary>
    [MethodImpl(Inline)]
    public static V Erf<V>(V x) where V : unmanaged
    {
        x = Clamp(x, -4f, 4f);
        V z = x * x;
        V p = Broadcast<V>(-2.72614225801306e-10f);
        p = Fma(p, z, Broadcast<V>(2.77068142495902e-08f));
        p = Fma(p, z, Broadcast<V>(-2.10102402082508e-06f));
        p = Fma(p, z, Broadcast<V>(-5.69250639462346e-05f));
        p = Fma(p, z, Broadcast<V>(-7.34990630326855e-04f));
        p = Fma(p, z, Broadcast<V>(-2.95459980854025e-03f));
        p = Fma(p, z, Broadcast<V>(-1.60960333262415e-02f));
        V q = Broadcast<V>(-1.45660718464996e-05f);
        q = Fma(q, z, Broadcast<V>(-2.13374055278905e-04f));
        q = Fma(q, z, Broadcast<V>(-1.68282697438203e-03f));
        q = Fma(q, z, Broadcast<V>(-7.37332916720468e-03f));
        q = Fma(q, z, Broadcast<V>(-1.42647390514189e-02f));
        return x * p / q;
    }
}
