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

// Complex numbers as pairs of vectors, one of real parts and one of imaginary parts.
internal static unsafe partial class Vec
{
    /// <summary>c - a b, rounded like <see cref="Fma"/>.</summary>
    [MethodImpl(Inline)]
    public static V Fnma<V>(V a, V b, V c) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported)
            return Cast<F32x16, V>(Avx512F.FusedMultiplyAddNegated(Cast<V, F32x16>(a), Cast<V, F32x16>(b), Cast<V, F32x16>(c)));
        if (typeof(V) == typeof(F32x8) && System.Runtime.Intrinsics.X86.Fma.IsSupported)
            return Cast<F32x8, V>(
                System.Runtime.Intrinsics.X86.Fma.MultiplyAddNegated(Cast<V, F32x8>(a), Cast<V, F32x8>(b), Cast<V, F32x8>(c)));
        if (typeof(V) == typeof(F32x4) && System.Runtime.Intrinsics.X86.Fma.IsSupported)
            return Cast<F32x4, V>(
                System.Runtime.Intrinsics.X86.Fma.MultiplyAddNegated(Cast<V, F32x4>(a), Cast<V, F32x4>(b), Cast<V, F32x4>(c)));
        if (typeof(V) == typeof(F32x4) && AdvSimd.IsSupported)
            return Cast<F32x4, V>(AdvSimd.FusedMultiplySubtract(Cast<V, F32x4>(c), Cast<V, F32x4>(a), Cast<V, F32x4>(b)));
        return Fma(-a, b, c);
    }

    /// <summary>(re + i im) *= w = wr + i wi.</summary>
    [MethodImpl(Inline)]
    public static void Turn<V>(ref V re, ref V im, V wr, V wi) where V : unmanaged
    {
        V turned = Fnma(im, wi, re * wr);
        im = Fma(re, wi, im * wr);
        re = turned;
    }

    /// <summary>(re + i im) *= conj(w).</summary>
    [MethodImpl(Inline)]
    public static void TurnBack<V>(ref V re, ref V im, V wr, V wi) where V : unmanaged
    {
        V turned = Fma(im, wi, re * wr);
        im = Fnma(re, wi, im * wr);
        re = turned;
    }
}
