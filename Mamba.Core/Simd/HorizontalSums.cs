using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Simd;

/// <summary>Sums over the lanes of many vectors: four at a time take a third of the work of four single ones.</summary>
internal static unsafe class HorizontalSums
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>target[0 .. 3] (+)= the sums of the lanes of a, b, c and d.</summary>
    [MethodImpl(Inline)]
    public static void Run<V>(V a, V b, V c, V d, float* target, bool add) where V : unmanaged
    {
        Vector128<float> sums = Sum4(a, b, c, d);
        Store(add ? sums + Load<Vector128<float>>(target) : sums, target);
    }

    /// <summary>
    /// The sums of the lanes of four vectors, in a fixed tree: twice two vectors are interleaved and added, after which each 128 bits hold a part of all four
    /// sums. (Adding horizontally takes the same steps in one instruction, and longer.)
    /// </summary>
    [MethodImpl(Inline)]
    private static Vector128<float> Sum4<V>(V a, V b, V c, V d) where V : unmanaged
    {
        if (typeof(V) == typeof(Vector512<float>) && Avx512F.IsSupported)
        {
            Vector512<double> ab = Pairs(Unsafe.BitCast<V, Vector512<float>>(a), Unsafe.BitCast<V, Vector512<float>>(b));
            Vector512<double> cd = Pairs(Unsafe.BitCast<V, Vector512<float>>(c), Unsafe.BitCast<V, Vector512<float>>(d));
            return Halves(Halves(Avx512F.UnpackLow(ab, cd).AsSingle() + Avx512F.UnpackHigh(ab, cd).AsSingle()));
        }
        if (typeof(V) == typeof(Vector256<float>) && Avx.IsSupported)
        {
            Vector256<double> ab = Pairs(Unsafe.BitCast<V, Vector256<float>>(a), Unsafe.BitCast<V, Vector256<float>>(b));
            Vector256<double> cd = Pairs(Unsafe.BitCast<V, Vector256<float>>(c), Unsafe.BitCast<V, Vector256<float>>(d));
            return Halves(Avx.UnpackLow(ab, cd).AsSingle() + Avx.UnpackHigh(ab, cd).AsSingle());
        }
        if (typeof(V) == typeof(Vector128<float>) && Sse2.IsSupported)
        {
            Vector128<double> ab = Pairs(Unsafe.BitCast<V, Vector128<float>>(a), Unsafe.BitCast<V, Vector128<float>>(b));
            Vector128<double> cd = Pairs(Unsafe.BitCast<V, Vector128<float>>(c), Unsafe.BitCast<V, Vector128<float>>(d));
            return Sse2.UnpackLow(ab, cd).AsSingle() + Sse2.UnpackHigh(ab, cd).AsSingle();
        }
        return Vector128.Create(Sum(a), Sum(b), Sum(c), Sum(d));
    }

    [MethodImpl(Inline)]
    private static Vector512<double> Pairs(Vector512<float> a, Vector512<float> b) => (Avx512F.UnpackLow(a, b) + Avx512F.UnpackHigh(a, b)).AsDouble();

    [MethodImpl(Inline)]
    private static Vector256<double> Pairs(Vector256<float> a, Vector256<float> b) => (Avx.UnpackLow(a, b) + Avx.UnpackHigh(a, b)).AsDouble();

    [MethodImpl(Inline)]
    private static Vector128<double> Pairs(Vector128<float> a, Vector128<float> b) => (Sse.UnpackLow(a, b) + Sse.UnpackHigh(a, b)).AsDouble();

    [MethodImpl(Inline)]
    private static Vector256<float> Halves(Vector512<float> a) => a.GetLower() + a.GetUpper();

    [MethodImpl(Inline)]
    private static Vector128<float> Halves(Vector256<float> a) => a.GetLower() + a.GetUpper();
}
