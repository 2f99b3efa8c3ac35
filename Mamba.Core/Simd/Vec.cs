using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using F32x16 = System.Runtime.Intrinsics.Vector512<float>;
using F32x4 = System.Runtime.Intrinsics.Vector128<float>;
using F32x8 = System.Runtime.Intrinsics.Vector256<float>;
using F32xN = System.Numerics.Vector<float>;

namespace Mamba.Core.Simd;

/// <summary>
/// The facade over the vector width. A kernel is written once over a type parameter V: <see cref="Vector512{T}"/>,
/// <see cref="Vector256{T}"/>, <see cref="Vector128{T}"/> or <see cref="Vector{T}"/> of float, or float itself (one lane). Every method
/// branches on <c>typeof(V)</c>, a constant for the JIT and AOT compilers, so that one instruction remains. Vectors are not wrapped in a
/// struct, which would cost moves in the tightest loops.
/// </summary>
internal static unsafe partial class Vec
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    [MethodImpl(Inline)]
    private static TTo Cast<TFrom, TTo>(TFrom value) => Unsafe.BitCast<TFrom, TTo>(value);

    extension<V>(V) where V : unmanaged
    {
        /// <summary>a + b, lane by lane.</summary>
        [MethodImpl(Inline)]
        public static V operator +(V a, V b)
        {
            if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Cast<V, F32x16>(a) + Cast<V, F32x16>(b));
            if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Cast<V, F32x8>(a) + Cast<V, F32x8>(b));
            if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Cast<V, F32x4>(a) + Cast<V, F32x4>(b));
            if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Cast<V, F32xN>(a) + Cast<V, F32xN>(b));
            return Cast<float, V>(Cast<V, float>(a) + Cast<V, float>(b));
        }

        /// <summary>a - b, lane by lane.</summary>
        [MethodImpl(Inline)]
        public static V operator -(V a, V b)
        {
            if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Cast<V, F32x16>(a) - Cast<V, F32x16>(b));
            if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Cast<V, F32x8>(a) - Cast<V, F32x8>(b));
            if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Cast<V, F32x4>(a) - Cast<V, F32x4>(b));
            if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Cast<V, F32xN>(a) - Cast<V, F32xN>(b));
            return Cast<float, V>(Cast<V, float>(a) - Cast<V, float>(b));
        }

        /// <summary>a b, lane by lane.</summary>
        [MethodImpl(Inline)]
        public static V operator *(V a, V b)
        {
            if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Cast<V, F32x16>(a) * Cast<V, F32x16>(b));
            if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Cast<V, F32x8>(a) * Cast<V, F32x8>(b));
            if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Cast<V, F32x4>(a) * Cast<V, F32x4>(b));
            if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Cast<V, F32xN>(a) * Cast<V, F32xN>(b));
            return Cast<float, V>(Cast<V, float>(a) * Cast<V, float>(b));
        }

        /// <summary>a / b, lane by lane.</summary>
        [MethodImpl(Inline)]
        public static V operator /(V a, V b)
        {
            if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Cast<V, F32x16>(a) / Cast<V, F32x16>(b));
            if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Cast<V, F32x8>(a) / Cast<V, F32x8>(b));
            if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Cast<V, F32x4>(a) / Cast<V, F32x4>(b));
            if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Cast<V, F32xN>(a) / Cast<V, F32xN>(b));
            return Cast<float, V>(Cast<V, float>(a) / Cast<V, float>(b));
        }

        /// <summary>-a, lane by lane.</summary>
        [MethodImpl(Inline)]
        public static V operator -(V a)
        {
            if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(-Cast<V, F32x16>(a));
            if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(-Cast<V, F32x8>(a));
            if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(-Cast<V, F32x4>(a));
            if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(-Cast<V, F32xN>(a));
            return Cast<float, V>(-Cast<V, float>(a));
        }
    }

    /// <summary>x in every lane.</summary>
    [MethodImpl(Inline)]
    public static V Broadcast<V>(float x) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.Create(x));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.Create(x));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.Create(x));
        if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Vector.Create(x));
        return Cast<float, V>(x);
    }

    /// <summary>a b + c, rounded once where the hardware supports it.</summary>
    [MethodImpl(Inline)]
    public static V Fma<V>(V a, V b, V c) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16))
            return Cast<F32x16, V>(Vector512.MultiplyAddEstimate(Cast<V, F32x16>(a), Cast<V, F32x16>(b), Cast<V, F32x16>(c)));
        if (typeof(V) == typeof(F32x8))
            return Cast<F32x8, V>(Vector256.MultiplyAddEstimate(Cast<V, F32x8>(a), Cast<V, F32x8>(b), Cast<V, F32x8>(c)));
        if (typeof(V) == typeof(F32x4))
            return Cast<F32x4, V>(Vector128.MultiplyAddEstimate(Cast<V, F32x4>(a), Cast<V, F32x4>(b), Cast<V, F32x4>(c)));
        if (typeof(V) == typeof(F32xN))
            return Cast<F32xN, V>(Vector.MultiplyAddEstimate(Cast<V, F32xN>(a), Cast<V, F32xN>(b), Cast<V, F32xN>(c)));
        return Cast<float, V>(float.MultiplyAddEstimate(Cast<V, float>(a), Cast<V, float>(b), Cast<V, float>(c)));
    }

    /// <summary>
    /// A factor for <see cref="FmaBy"/> only. AdvSimd multiplies by a lane, so there the factor is in the first lane, not broadcast. This
    /// and FmaBy repeat the branches of <see cref="Broadcast"/> and <see cref="Fma"/>: nested calls in all multiply-adds of a tile exceed
    /// the JIT's inlining budget.
    /// </summary>
    [MethodImpl(Inline)]
    public static V Factor<V>(float x) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.Create(x));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.Create(x));
        if (typeof(V) == typeof(F32x4) && AdvSimd.Arm64.IsSupported) return Cast<F32x4, V>(Vector128.CreateScalarUnsafe(x));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.Create(x));
        if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Vector.Create(x));
        return Cast<float, V>(x);
    }

    /// <summary>factor b + c of a <see cref="Factor"/>, as <see cref="Fma"/>.</summary>
    [MethodImpl(Inline)]
    public static V FmaBy<V>(V factor, V b, V c) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16))
            return Cast<F32x16, V>(Vector512.MultiplyAddEstimate(Cast<V, F32x16>(factor), Cast<V, F32x16>(b), Cast<V, F32x16>(c)));
        if (typeof(V) == typeof(F32x8))
            return Cast<F32x8, V>(Vector256.MultiplyAddEstimate(Cast<V, F32x8>(factor), Cast<V, F32x8>(b), Cast<V, F32x8>(c)));
        if (typeof(V) == typeof(F32x4) && AdvSimd.Arm64.IsSupported)
            return Cast<F32x4, V>(
                AdvSimd.Arm64.FusedMultiplyAddBySelectedScalar(Cast<V, F32x4>(c), Cast<V, F32x4>(b), Cast<V, F32x4>(factor), 0));
        if (typeof(V) == typeof(F32x4))
            return Cast<F32x4, V>(Vector128.MultiplyAddEstimate(Cast<V, F32x4>(factor), Cast<V, F32x4>(b), Cast<V, F32x4>(c)));
        if (typeof(V) == typeof(F32xN))
            return Cast<F32xN, V>(Vector.MultiplyAddEstimate(Cast<V, F32xN>(factor), Cast<V, F32xN>(b), Cast<V, F32xN>(c)));
        return Cast<float, V>(float.MultiplyAddEstimate(Cast<V, float>(factor), Cast<V, float>(b), Cast<V, float>(c)));
    }

    /// <summary>
    /// a where a &gt; b, else b: x64's instruction. It propagates a NaN in b but not in a; of two zeros it returns b. ARM64's maximum
    /// differs in both cases, so two instructions are needed there.
    /// </summary>
    [MethodImpl(Inline)]
    public static V Max<V>(V a, V b) where V : unmanaged
    {
        if (AdvSimd.IsSupported && typeof(V) == typeof(float)) return Cast<V, float>(a) > Cast<V, float>(b) ? a : b;
        if (AdvSimd.IsSupported) return Select(Greater(a, b), a, b);
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.MaxNative(Cast<V, F32x16>(a), Cast<V, F32x16>(b)));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.MaxNative(Cast<V, F32x8>(a), Cast<V, F32x8>(b)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.MaxNative(Cast<V, F32x4>(a), Cast<V, F32x4>(b)));
        if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Vector.MaxNative(Cast<V, F32xN>(a), Cast<V, F32xN>(b)));
        return Cast<float, V>(float.MaxNative(Cast<V, float>(a), Cast<V, float>(b)));
    }

    /// <summary>Max(0, x): 0 where 0 &gt; x, else x. ARM64 clears those lanes, with one instruction less than a select.</summary>
    [MethodImpl(Inline)]
    public static V NonNegative<V>(V x) where V : unmanaged
    {
        if (AdvSimd.IsSupported && typeof(V) == typeof(F32x4))
            return Cast<F32x4, V>(Vector128.AndNot(Cast<V, F32x4>(x), Vector128.LessThan(Cast<V, F32x4>(x), F32x4.Zero)));
        return Max(default, x);
    }

    /// <summary>a where a &lt; b, else b, as <see cref="Max"/>.</summary>
    [MethodImpl(Inline)]
    public static V Min<V>(V a, V b) where V : unmanaged
    {
        if (AdvSimd.IsSupported && typeof(V) == typeof(float)) return Cast<V, float>(a) < Cast<V, float>(b) ? a : b;
        if (AdvSimd.IsSupported) return Select(Greater(b, a), a, b);
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.MinNative(Cast<V, F32x16>(a), Cast<V, F32x16>(b)));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.MinNative(Cast<V, F32x8>(a), Cast<V, F32x8>(b)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.MinNative(Cast<V, F32x4>(a), Cast<V, F32x4>(b)));
        if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Vector.MinNative(Cast<V, F32xN>(a), Cast<V, F32xN>(b)));
        return Cast<float, V>(float.MinNative(Cast<V, float>(a), Cast<V, float>(b)));
    }

    /// <summary>
    /// x clamped to two nonzero bounds; NaN stays NaN. With these bounds the maxima of x64 and ARM64 agree: two instructions.
    /// </summary>
    [MethodImpl(Inline)]
    public static V Clamp<V>(V x, float low, float high) where V : unmanaged
    {
        if (AdvSimd.IsSupported && typeof(V) == typeof(F32x4))
            return Cast<F32x4, V>(AdvSimd.Min(Vector128.Create(high), AdvSimd.Max(Vector128.Create(low), Cast<V, F32x4>(x))));
        return Min(Broadcast<V>(high), Max(Broadcast<V>(low), x));
    }

    /// <summary>The larger of a and b, lane by lane; NaN where either is NaN, as in IEEE 754's maximum.</summary>
    [MethodImpl(Inline)]
    public static V MaxOrNaN<V>(V a, V b) where V : unmanaged => Select(Equal(a, a), Max(a, b), a); // Max propagates a NaN in b

    /// <summary>The magnitude of a with the sign of <paramref name="sign"/>.</summary>
    [MethodImpl(Inline)]
    public static V CopySign<V>(V a, V sign) where V : unmanaged
    {
        if (typeof(V) == typeof(Vector512<float>))
            return Cast<Vector512<float>, V>(Vector512.CopySign(Cast<V, Vector512<float>>(a), Cast<V, Vector512<float>>(sign)));
        if (typeof(V) == typeof(Vector256<float>))
            return Cast<Vector256<float>, V>(Vector256.CopySign(Cast<V, Vector256<float>>(a), Cast<V, Vector256<float>>(sign)));
        if (typeof(V) == typeof(Vector128<float>))
            return Cast<Vector128<float>, V>(Vector128.CopySign(Cast<V, Vector128<float>>(a), Cast<V, Vector128<float>>(sign)));
        if (typeof(V) == typeof(Vector<float>))
            return Cast<Vector<float>, V>(Vector.CopySign(Cast<V, Vector<float>>(a), Cast<V, Vector<float>>(sign)));
        return Cast<float, V>(float.CopySign(Cast<V, float>(a), Cast<V, float>(sign)));
    }

    /// <summary>|a|.</summary>
    [MethodImpl(Inline)]
    public static V Abs<V>(V a) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.Abs(Cast<V, F32x16>(a)));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.Abs(Cast<V, F32x8>(a)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.Abs(Cast<V, F32x4>(a)));
        if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Vector.Abs(Cast<V, F32xN>(a)));
        return Cast<float, V>(MathF.Abs(Cast<V, float>(a)));
    }

    /// <summary>Square root.</summary>
    [MethodImpl(Inline)]
    public static V Sqrt<V>(V a) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.Sqrt(Cast<V, F32x16>(a)));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.Sqrt(Cast<V, F32x8>(a)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.Sqrt(Cast<V, F32x4>(a)));
        if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Vector.SquareRoot(Cast<V, F32xN>(a)));
        return Cast<float, V>(MathF.Sqrt(Cast<V, float>(a)));
    }

    /// <summary>Nearest integer, halves to even.</summary>
    [MethodImpl(Inline)]
    public static V Round<V>(V a) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.Round(Cast<V, F32x16>(a)));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.Round(Cast<V, F32x8>(a)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.Round(Cast<V, F32x4>(a)));
        if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Vector.Round(Cast<V, F32xN>(a)));
        return Cast<float, V>(MathF.Round(Cast<V, float>(a)));
    }

    /// <summary>The sum of all lanes, in a fixed tree.</summary>
    [MethodImpl(Inline)]
    public static float Sum<V>(V a) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Vector512.Sum(Cast<V, F32x16>(a));
        if (typeof(V) == typeof(F32x8)) return Vector256.Sum(Cast<V, F32x8>(a));
        if (typeof(V) == typeof(F32x4)) return Vector128.Sum(Cast<V, F32x4>(a));
        if (typeof(V) == typeof(F32xN)) return Vector.Sum(Cast<V, F32xN>(a));
        return Cast<V, float>(a);
    }

    /// <summary>The largest lane.</summary>
    [MethodImpl(Inline)]
    public static float MaxLane<V>(V a) where V : unmanaged
    {
        if (typeof(V) == typeof(float)) return Cast<V, float>(a);
        if (typeof(V) == typeof(F32x16))
        {
            F32x16 x = Cast<V, F32x16>(a);
            return MaxLane(Max(x.GetLower(), x.GetUpper()));
        }
        if (typeof(V) == typeof(F32x8))
        {
            F32x8 x = Cast<V, F32x8>(a);
            return MaxLane(Max(x.GetLower(), x.GetUpper()));
        }
        if (typeof(V) == typeof(F32x4))
        {
            F32x4 x = Cast<V, F32x4>(a);
            x = Max(x, Vector128.Shuffle(x, Vector128.Create(2, 3, 0, 1)));
            return Max(x, Vector128.Shuffle(x, Vector128.Create(1, 0, 3, 2))).ToScalar();
        }
        return MaxOfLanes(a);
    }

    /// <summary>Whether any lane is NaN.</summary>
    [MethodImpl(Inline)]
    public static bool AnyNaN<V>(V a) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return !Vector512.EqualsAll(Cast<V, F32x16>(a), Cast<V, F32x16>(a));
        if (typeof(V) == typeof(F32x8)) return !Vector256.EqualsAll(Cast<V, F32x8>(a), Cast<V, F32x8>(a));
        if (typeof(V) == typeof(F32x4)) return !Vector128.EqualsAll(Cast<V, F32x4>(a), Cast<V, F32x4>(a));
        if (typeof(V) == typeof(F32xN)) return !Vector.EqualsAll(Cast<V, F32xN>(a), Cast<V, F32xN>(a));
        return float.IsNaN(Cast<V, float>(a));
    }

    /// <summary>The largest lane; NaN if any lane is NaN.</summary>
    [MethodImpl(Inline)]
    public static float MaxLaneOrNaN<V>(V a) where V : unmanaged
    {
        if (typeof(V) == typeof(float)) return Cast<V, float>(a);
        // Zero in all lanes unless one is NaN, and then NaN in that lane: the sum keeps what the maximum may lose.
        float nan = Sum(Select(Equal(a, a), default, a));
        return MaxLane(a) + nan;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static float MaxOfLanes<V>(V a) where V : unmanaged
    {
        float* lanes = (float*)&a;
        float max = lanes[0];
        for (nint i = 1; i < Count<V>(); i++) max = MathF.Max(max, lanes[i]);
        return max;
    }

    /// <summary>All bits set in the lanes where a &gt; b: a mask for <see cref="Select"/>.</summary>
    [MethodImpl(Inline)]
    public static V Greater<V>(V a, V b) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.GreaterThan(Cast<V, F32x16>(a), Cast<V, F32x16>(b)));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.GreaterThan(Cast<V, F32x8>(a), Cast<V, F32x8>(b)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.GreaterThan(Cast<V, F32x4>(a), Cast<V, F32x4>(b)));
        if (typeof(V) == typeof(F32xN)) return Cast<Vector<int>, V>(Vector.GreaterThan(Cast<V, F32xN>(a), Cast<V, F32xN>(b)));
        return Cast<int, V>(Cast<V, float>(a) > Cast<V, float>(b) ? -1 : 0);
    }

    /// <summary>All bits set in the lanes where a = b: a mask for <see cref="Select"/>.</summary>
    [MethodImpl(Inline)]
    public static V Equal<V>(V a, V b) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.Equals(Cast<V, F32x16>(a), Cast<V, F32x16>(b)));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.Equals(Cast<V, F32x8>(a), Cast<V, F32x8>(b)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.Equals(Cast<V, F32x4>(a), Cast<V, F32x4>(b)));
        if (typeof(V) == typeof(F32xN)) return Cast<Vector<int>, V>(Vector.Equals(Cast<V, F32xN>(a), Cast<V, F32xN>(b)));
        return Cast<int, V>(Cast<V, float>(a) == Cast<V, float>(b) ? -1 : 0);
    }

    /// <summary>The lanes of a where the mask is set, those of b elsewhere.</summary>
    [MethodImpl(Inline)]
    public static V Select<V>(V mask, V a, V b) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16))
            return Cast<F32x16, V>(Vector512.ConditionalSelect(Cast<V, F32x16>(mask), Cast<V, F32x16>(a), Cast<V, F32x16>(b)));
        if (typeof(V) == typeof(F32x8))
            return Cast<F32x8, V>(Vector256.ConditionalSelect(Cast<V, F32x8>(mask), Cast<V, F32x8>(a), Cast<V, F32x8>(b)));
        if (typeof(V) == typeof(F32x4))
            return Cast<F32x4, V>(Vector128.ConditionalSelect(Cast<V, F32x4>(mask), Cast<V, F32x4>(a), Cast<V, F32x4>(b)));
        if (typeof(V) == typeof(F32xN))
            return Cast<F32xN, V>(Vector.ConditionalSelect(Cast<V, Vector<int>>(mask), Cast<V, F32xN>(a), Cast<V, F32xN>(b)));
        return Cast<V, int>(mask) != 0 ? a : b;
    }

    [MethodImpl(Inline)]
    public static V Fraction<V>(V x, out V whole) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16) && Avx512DQ.IsSupported)
        {
            V rest = Cast<F32x16, V>(Avx512DQ.Reduce(Cast<V, F32x16>(x), 0));
            whole = x - rest;
            return rest;
        }
        x = Clamp(x, -126f, 127.4999f);
        whole = Round(x);
        return x - whole;
    }

    /// <summary>
    /// a 2^e for integer e in [-126, 127], added to the exponent bits. AVX-512 takes any integer e and saturates at 0 and infinity.
    /// </summary>
    [MethodImpl(Inline)]
    public static V ScaleByPowerOf2<V>(V a, V e) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16))
        {
            if (Avx512F.IsSupported) return Cast<F32x16, V>(Avx512F.Scale(Cast<V, F32x16>(a), Cast<V, F32x16>(e)));
            return Cast<Vector512<int>, V>(Cast<V, Vector512<int>>(a) + (Vector512.ConvertToInt32Native(Cast<V, F32x16>(e)) << 23));
        }
        if (typeof(V) == typeof(F32x8))
            return Cast<Vector256<int>, V>(Cast<V, Vector256<int>>(a) + (Vector256.ConvertToInt32Native(Cast<V, F32x8>(e)) << 23));
        if (typeof(V) == typeof(F32x4))
            return Cast<Vector128<int>, V>(Cast<V, Vector128<int>>(a) + (Vector128.ConvertToInt32Native(Cast<V, F32x4>(e)) << 23));
        if (typeof(V) == typeof(F32xN))
            return Cast<Vector<int>, V>(Cast<V, Vector<int>>(a) + (Vector.ConvertToInt32Native(Cast<V, F32xN>(e)) << 23));
        return Cast<int, V>(Cast<V, int>(a) + ((int)Cast<V, float>(e) << 23));
    }

    /// <summary>
    /// a 2^e for a in [1/2, 2) and integer e in [-250, 250]: rounded once if denormal, infinite above the largest float. NaN stays NaN.
    /// </summary>
    [MethodImpl(Inline)]
    public static V ScaleWithinRange<V>(V a, V e) where V : unmanaged
    {
        if (typeof(V) == typeof(Vector512<float>) && Avx512F.IsSupported) return ScaleByPowerOf2(a, e);
        // Two factors, the first of which gives a normal number: only the second product rounds.
        V half = Round(e * Broadcast<V>(0.5f));
        return ScaleByPowerOf2(a, half) * ScaleByPowerOf2(Broadcast<V>(1f), e - half);
    }

    /// <summary>Splits a normal a &gt; 0 into m 2^e with m in [sqrt(1/2), sqrt(2)) and integer e.</summary>
    [MethodImpl(Inline)]
    public static V SplitExponent<V>(V a, out V e) where V : unmanaged
    {
        // Subtracting the bits of sqrt(1/2) moves the boundary between exponents from 1 to sqrt(1/2).
        const int Border = 0x3f3504f3;
        if (typeof(V) == typeof(F32x16))
        {
            Vector512<int> k = (Cast<V, Vector512<int>>(a) - Vector512.Create(Border)) >> 23;
            e = Cast<F32x16, V>(Vector512.ConvertToSingle(k));
            return Cast<Vector512<int>, V>(Cast<V, Vector512<int>>(a) - (k << 23));
        }
        if (typeof(V) == typeof(F32x8))
        {
            Vector256<int> k = (Cast<V, Vector256<int>>(a) - Vector256.Create(Border)) >> 23;
            e = Cast<F32x8, V>(Vector256.ConvertToSingle(k));
            return Cast<Vector256<int>, V>(Cast<V, Vector256<int>>(a) - (k << 23));
        }
        if (typeof(V) == typeof(F32x4))
        {
            Vector128<int> k = (Cast<V, Vector128<int>>(a) - Vector128.Create(Border)) >> 23;
            e = Cast<F32x4, V>(Vector128.ConvertToSingle(k));
            return Cast<Vector128<int>, V>(Cast<V, Vector128<int>>(a) - (k << 23));
        }
        if (typeof(V) == typeof(F32xN))
        {
            Vector<int> k = (Cast<V, Vector<int>>(a) - new Vector<int>(Border)) >> 23;
            e = Cast<F32xN, V>(Vector.ConvertToSingle(k));
            return Cast<Vector<int>, V>(Cast<V, Vector<int>>(a) - (k << 23));
        }
        int exponent = (Cast<V, int>(a) - Border) >> 23;
        e = Cast<float, V>(exponent);
        return Cast<int, V>(Cast<V, int>(a) - (exponent << 23));
    }
}
