using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using F32x16 = System.Runtime.Intrinsics.Vector512<float>;
using F32x4 = System.Runtime.Intrinsics.Vector128<float>;
using F32x8 = System.Runtime.Intrinsics.Vector256<float>;

namespace Mamba.Core.Simd;

// Decodes weights stored in fewer bits to vectors of floats. Every width gives the same values.
internal static unsafe partial class Vec
{
    // The exponent of a float16 is biased by 15, that of a float32 by 127.
    private const int HalfShift = 13, HalfMask = unchecked((int)0x8FFFE000);
    private const float HalfFactor = 5.192296858534828e33f; // 2^112

    /// <summary>Loads signed bytes, one per lane.</summary>
    [MethodImpl(Inline)]
    public static V LoadBytes<V>(sbyte* p) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported)
            return Cast<F32x16, V>(Vector512.ConvertToSingle(Avx512F.ConvertToVector512Int32(Vector128.Load(p))));
        if (typeof(V) == typeof(F32x8) && Avx2.IsSupported)
            return Cast<F32x8, V>(Vector256.ConvertToSingle(Avx2.ConvertToVector256Int32(p)));
        if (typeof(V) == typeof(F32x4))
        {
            Vector128<sbyte> four = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<int>(p)).AsSByte();
            return Cast<F32x4, V>(Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(four))));
        }
        if (typeof(V) == typeof(float)) return Cast<float, V>(*p);
        return LoadBytesOfLanes<V>(p);
    }

    /// <summary>Loads signed bytes as words, two per lane, for <see cref="AddDot{V, K}(V, V, V)"/> of <see cref="WordCodes"/>.</summary>
    [MethodImpl(Inline)]
    public static V LoadWords<V>(sbyte* p) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16) && Avx512BW.IsSupported)
            return Cast<Vector512<short>, V>(Avx512BW.ConvertToVector512Int16(Vector256.Load(p)));
        if (typeof(V) == typeof(F32x8) && Avx2.IsSupported) return Cast<Vector256<short>, V>(Avx2.ConvertToVector256Int16(p));
        if (typeof(V) == typeof(F32x4))
            return Cast<Vector128<short>, V>(
                Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<long>(p)).AsSByte()));
        if (typeof(V) == typeof(float)) return Cast<int, V>((p[0] & 0xFFFF) | (p[1] << 16));
        return LoadWordsOfLanes<V>(p);
    }

    /// <summary>Loads finite float16 numbers, one per lane.</summary>
    /// <remarks>
    /// Sign, exponent and fraction are shifted to their positions in a float32. A multiplication by 2^112 then corrects the exponent bias;
    /// it is exact for denormals too.
    /// </remarks>
    [MethodImpl(Inline)]
    public static V LoadHalves<V>(ushort* p) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported)
        {
            Vector512<int> bits = Avx512F.ConvertToVector512Int32(Vector256.Load((short*)p));
            return Cast<F32x16, V>(((bits << HalfShift) & Vector512.Create(HalfMask)).AsSingle() * Vector512.Create(HalfFactor));
        }
        if (typeof(V) == typeof(F32x8) && Avx2.IsSupported)
        {
            Vector256<int> bits = Avx2.ConvertToVector256Int32((short*)p);
            return Cast<F32x8, V>(((bits << HalfShift) & Vector256.Create(HalfMask)).AsSingle() * Vector256.Create(HalfFactor));
        }
        if (typeof(V) == typeof(F32x4))
        {
            Vector128<int> bits = Vector128.WidenLower(Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<long>(p)).AsInt16());
            return Cast<F32x4, V>(((bits << HalfShift) & Vector128.Create(HalfMask)).AsSingle() * Vector128.Create(HalfFactor));
        }
        if (typeof(V) == typeof(float))
            return Cast<float, V>(BitConverter.Int32BitsToSingle(((short)*p << HalfShift) & HalfMask) * HalfFactor);
        return LoadHalvesOfLanes<V>(p);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static V LoadBytesOfLanes<V>(sbyte* p) where V : unmanaged
    {
        V lanes = default;
        for (nint i = 0; i < Count<V>(); i++) ((float*)&lanes)[i] = p[i];
        return lanes;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static V LoadWordsOfLanes<V>(sbyte* p) where V : unmanaged
    {
        V lanes = default;
        for (nint i = 0; i < 2 * Count<V>(); i++) ((short*)&lanes)[i] = p[i];
        return lanes;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static V LoadHalvesOfLanes<V>(ushort* p) where V : unmanaged
    {
        V lanes = default;
        for (nint i = 0; i < Count<V>(); i++) ((float*)&lanes)[i] = LoadHalves<float>(p + i);
        return lanes;
    }
}
