using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using static Mamba.Core.Simd.Vec;
using F32x16 = System.Runtime.Intrinsics.Vector512<float>;
using F32x4 = System.Runtime.Intrinsics.Vector128<float>;
using F32x8 = System.Runtime.Intrinsics.Vector256<float>;

namespace Mamba.Core.Simd;

/// <summary>Groups of four lanes that share a number. The number of lanes must be a multiple of four.</summary>
internal static unsafe class LaneGroups
{
    private const MethodImplOptions Inline = MethodImplOptions.AggressiveInlining;

    /// <summary>Lanes per group.</summary>
    public const int Size = 4;

    /// <summary>Loads the Count / 4 numbers from p on, each repeated in four lanes; nothing past them is read.</summary>
    [MethodImpl(Inline)]
    public static V Repeat<V>(float* p) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported)
            return Unsafe.BitCast<F32x16, V>(
                Avx512F.PermuteVar4x32(Avx512F.BroadcastVector128ToVector512(p),
                    Vector512.Create(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3)));
        if (typeof(V) == typeof(F32x8) && Avx.IsSupported)
            return Unsafe.BitCast<F32x8, V>(
                Avx.PermuteVar(Vector256.Create(Unsafe.ReadUnaligned<double>(p)).AsSingle(), Vector256.Create(0, 0, 0, 0, 1, 1, 1, 1)));
        if (typeof(V) == typeof(F32x4)) return Broadcast<V>(*p);
        return RepeatEach<V>(p);
    }

    /// <summary>p[0 .. Count / 4) (+)= the sum of each group of four lanes.</summary>
    [MethodImpl(Inline)]
    public static void Sum<V>(V v, float* p, bool add) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported)
        {
            F32x16 x = Unsafe.BitCast<V, F32x16>(v);
            x += Avx512F.Permute4x32(x, 0b10_11_00_01);
            x += Avx512F.Permute4x32(x, 0b01_00_11_10);
            F32x4 sums = Avx512F.PermuteVar16x32(
                x, Vector512.Create(0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12)).GetLower().GetLower();
            (add ? sums + Vector128.Load(p) : sums).Store(p);
        }
        else if (typeof(V) == typeof(F32x8) && Avx.IsSupported)
        {
            F32x8 x = Unsafe.BitCast<V, F32x8>(v);
            x += Avx.Permute(x, 0b10_11_00_01);
            x += Avx.Permute(x, 0b01_00_11_10);
            F32x4 sums = Sse.UnpackLow(x.GetLower(), x.GetUpper());
            if (add) sums += Vector128.CreateScalar(Unsafe.ReadUnaligned<double>(p)).AsSingle();
            Unsafe.WriteUnaligned(p, sums.AsDouble().ToScalar());
        }
        else if (typeof(V) == typeof(F32x4)) *p = add ? *p + Vec.Sum(v) : Vec.Sum(v);
        else SumEach(v, p, add);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static V RepeatEach<V>(float* p) where V : unmanaged
    {
        V v = default;
        for (nint i = 0; i < Count<V>(); i++) ((float*)&v)[i] = p[i / Size];
        return v;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void SumEach<V>(V v, float* p, bool add) where V : unmanaged
    {
        float* lanes = (float*)&v;
        for (nint i = 0; i < Count<V>(); i += Size, p++)
        {
            float sum = lanes[i] + lanes[i + 1] + (lanes[i + 2] + lanes[i + 3]);
            *p = add ? *p + sum : sum;
        }
    }
}
