using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Simd;

/// <summary>Sums over the lanes of many vectors: four at a time take a third of the work of four single ones.</summary>
internal static unsafe class RowSums
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>target[0 .. 3] (+)= the sums of the lanes of a, b, c and d.</summary>
    [MethodImpl(Inline)]
    public static void Run<V>(V a, V b, V c, V d, float* target, bool add) where V : unmanaged
    {
        Vector128<float> sums = Sum4(a, b, c, d);
        Store(add ? sums + Load<Vector128<float>>(target) : sums, target);
    }

    /// <summary>The sums of the lanes of four vectors, in a fixed tree.</summary>
    [MethodImpl(Inline)]
    private static Vector128<float> Sum4<V>(V a, V b, V c, V d) where V : unmanaged
    {
        if (typeof(V) == typeof(Vector512<float>))
            return Sum4(LowerPlusUpper(Unsafe.BitCast<V, Vector512<float>>(a)), LowerPlusUpper(Unsafe.BitCast<V, Vector512<float>>(b)), LowerPlusUpper(Unsafe.BitCast<V, Vector512<float>>(c)), LowerPlusUpper(Unsafe.BitCast<V, Vector512<float>>(d)));
        if (typeof(V) == typeof(Vector256<float>) && Avx.IsSupported)
        {
            // Within each half: the pairs of a and b, of c and d, then of both.
            Vector256<float> ab = Avx.HorizontalAdd(Unsafe.BitCast<V, Vector256<float>>(a), Unsafe.BitCast<V, Vector256<float>>(b));
            Vector256<float> sums = Avx.HorizontalAdd(ab, Avx.HorizontalAdd(Unsafe.BitCast<V, Vector256<float>>(c), Unsafe.BitCast<V, Vector256<float>>(d)));
            return sums.GetLower() + sums.GetUpper();
        }
        if (typeof(V) == typeof(Vector128<float>) && Sse3.IsSupported)
            return Sse3.HorizontalAdd(
                Sse3.HorizontalAdd(Unsafe.BitCast<V, Vector128<float>>(a), Unsafe.BitCast<V, Vector128<float>>(b)), Sse3.HorizontalAdd(Unsafe.BitCast<V, Vector128<float>>(c), Unsafe.BitCast<V, Vector128<float>>(d)));
        return Vector128.Create(Sum(a), Sum(b), Sum(c), Sum(d));
    }

    [MethodImpl(Inline)]
    private static Vector256<float> LowerPlusUpper(Vector512<float> a) => a.GetLower() + a.GetUpper();
}
