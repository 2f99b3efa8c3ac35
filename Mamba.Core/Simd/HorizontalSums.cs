using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using static Mamba.Core.Simd.Vec;
using F32x16 = System.Runtime.Intrinsics.Vector512<float>;
using F32x4 = System.Runtime.Intrinsics.Vector128<float>;
using F32x8 = System.Runtime.Intrinsics.Vector256<float>;

namespace Mamba.Core.Simd;

/// <summary>Horizontal sums of many vectors: four together take a third of the work of four single ones.</summary>
internal static unsafe class HorizontalSums
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>target[0 .. 3] (+)= the sums of the lanes of a, b, c and d.</summary>
    [MethodImpl(Inline)]
    public static void Run<V>(V a, V b, V c, V d, float* target, bool add) where V : unmanaged
    {
        F32x4 sums = Sum4(a, b, c, d);
        Store(add ? sums + Load<F32x4>(target) : sums, target);
    }

    /// <summary>
    /// The horizontal sums of four vectors, in a fixed tree. Two vectors are interleaved and added, twice; each 128 bits then hold a part
    /// of all four sums. (Horizontal-add instructions take the same steps, more slowly; ARM64's add other pairs.)
    /// </summary>
    [MethodImpl(Inline)]
    private static F32x4 Sum4<V>(V a, V b, V c, V d) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported)
        {
            Vector512<double> ab = Pairs(Unsafe.BitCast<V, F32x16>(a), Unsafe.BitCast<V, F32x16>(b));
            Vector512<double> cd = Pairs(Unsafe.BitCast<V, F32x16>(c), Unsafe.BitCast<V, F32x16>(d));
            return Halves(Halves(Avx512F.UnpackLow(ab, cd).AsSingle() + Avx512F.UnpackHigh(ab, cd).AsSingle()));
        }
        if (typeof(V) == typeof(F32x8) && Avx.IsSupported)
        {
            Vector256<double> ab = Pairs(Unsafe.BitCast<V, F32x8>(a), Unsafe.BitCast<V, F32x8>(b));
            Vector256<double> cd = Pairs(Unsafe.BitCast<V, F32x8>(c), Unsafe.BitCast<V, F32x8>(d));
            return Halves(Avx.UnpackLow(ab, cd).AsSingle() + Avx.UnpackHigh(ab, cd).AsSingle());
        }
        if (typeof(V) == typeof(F32x4) && Sse2.IsSupported)
        {
            Vector128<double> ab = Pairs(Unsafe.BitCast<V, F32x4>(a), Unsafe.BitCast<V, F32x4>(b));
            Vector128<double> cd = Pairs(Unsafe.BitCast<V, F32x4>(c), Unsafe.BitCast<V, F32x4>(d));
            return Sse2.UnpackLow(ab, cd).AsSingle() + Sse2.UnpackHigh(ab, cd).AsSingle();
        }
        if (typeof(V) == typeof(F32x4) && AdvSimd.Arm64.IsSupported)
        {
            Vector128<double> ab = Pairs(Unsafe.BitCast<V, F32x4>(a), Unsafe.BitCast<V, F32x4>(b));
            Vector128<double> cd = Pairs(Unsafe.BitCast<V, F32x4>(c), Unsafe.BitCast<V, F32x4>(d));
            return AdvSimd.Arm64.ZipLow(ab, cd).AsSingle() + AdvSimd.Arm64.ZipHigh(ab, cd).AsSingle();
        }
        return Vector128.Create(Sum(a), Sum(b), Sum(c), Sum(d));
    }

    [MethodImpl(Inline)]
    private static Vector512<double> Pairs(F32x16 a, F32x16 b) => (Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b)).AsDouble();

    [MethodImpl(Inline)]
    private static Vector256<double> Pairs(F32x8 a, F32x8 b) => (Avx.UnpackLow(a, b) + Avx.UnpackHigh(a, b)).AsDouble();

    [MethodImpl(Inline)]
    private static Vector128<double> Pairs(F32x4 a, F32x4 b) =>
        (AdvSimd.Arm64.IsSupported ? AdvSimd.Arm64.ZipLow(a, b) + AdvSimd.Arm64.ZipHigh(a, b) : Sse.UnpackLow(a, b) + Sse.UnpackHigh(a, b))
        .AsDouble();

    [MethodImpl(Inline)]
    private static F32x8 Halves(F32x16 a) => a.GetLower() + a.GetUpper();

    [MethodImpl(Inline)]
    private static F32x4 Halves(F32x8 a) => a.GetLower() + a.GetUpper();
}
