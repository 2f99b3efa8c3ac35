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

// Codes: whole numbers from -127 to 127, several in the 32 bits of a lane of V. Sums of their products are exact, so they have the same
// bits at every width and on every processor.
internal static unsafe partial class Vec
{
    /// <summary>
    /// Codes in a lane. Four bytes where the hardware adds four products at once (ARM's SDOT); else two words, whose two products x64 adds
    /// without saturation (PMADDWD). The byte form of x64 (PMADDUBSW) saturates.
    /// </summary>
    public static int CodesPerLane => Dp.IsSupported ? 4 : 2;

    /// <summary>Bytes of a code.</summary>
    public static int CodeBytes => sizeof(float) / CodesPerLane;

    /// <summary>The largest code; the smallest is its negative.</summary>
    public const float LargestCode = 127f;

    /// <summary>The most products of two codes whose sum is certain to fit 32 bits.</summary>
    public const int MaxCodeProducts = int.MaxValue / (127 * 127);

    /// <summary>
    /// sum + a . b, lane by lane: sum holds 32-bit integers, a and b hold the codes of a lane. K is what <see cref="ICodeKernel"/> chose:
    /// native code made beforehand asks the processor there, once, and not for each product here.
    /// </summary>
    [MethodImpl(Inline)]
    public static V AddDot<V, K>(V sum, V a, V b) where V : unmanaged where K : unmanaged
    {
        if (typeof(V) == typeof(F32xN))
            return Cast<Vector<int>, V>(AddDot<K>(Cast<V, Vector<int>>(sum), Cast<V, Vector<int>>(a), Cast<V, Vector<int>>(b)));
        if (typeof(V) == typeof(float)) return Cast<int, V>(AddDot<K>(Cast<V, int>(sum), Cast<V, int>(a), Cast<V, int>(b)));
        if (typeof(K) == typeof(ByteCodes) && typeof(V) == typeof(F32x4) && AdvSimd.Arm64.IsSupported)
            return Cast<Vector128<int>, V>(
                Dp.DotProduct(Cast<V, Vector128<int>>(sum), Cast<V, Vector128<sbyte>>(a), Cast<V, Vector128<sbyte>>(b)));
        if (typeof(K) == typeof(FusedWordCodes) && typeof(V) == typeof(F32x8) && Avx2.IsSupported)
            return Cast<Vector256<int>, V>(AvxVnni.MultiplyWideningAndAdd(
                Cast<V, Vector256<int>>(sum), Cast<V, Vector256<short>>(a), Cast<V, Vector256<short>>(b)));
        if (typeof(K) == typeof(FusedWordCodes) && typeof(V) == typeof(F32x4) && Avx2.IsSupported)
            return Cast<Vector128<int>, V>(AvxVnni.MultiplyWideningAndAdd(
                Cast<V, Vector128<int>>(sum), Cast<V, Vector128<short>>(a), Cast<V, Vector128<short>>(b)));
        if (typeof(K) != typeof(WordCodes)) return AddDotOfLanes<V, K>(sum, a, b);
        if (typeof(V) == typeof(F32x16) && Avx512BW.IsSupported)
            return Cast<Vector512<int>, V>(
                Cast<V, Vector512<int>>(sum) + Avx512BW.MultiplyAddAdjacent(Cast<V, Vector512<short>>(a), Cast<V, Vector512<short>>(b)));
        if (typeof(V) == typeof(F32x8) && Avx2.IsSupported)
            return Cast<Vector256<int>, V>(
                Cast<V, Vector256<int>>(sum) + Avx2.MultiplyAddAdjacent(Cast<V, Vector256<short>>(a), Cast<V, Vector256<short>>(b)));
        if (typeof(V) == typeof(F32x4) && Sse2.IsSupported)
            return Cast<Vector128<int>, V>(
                Cast<V, Vector128<int>>(sum) + Sse2.MultiplyAddAdjacent(Cast<V, Vector128<short>>(a), Cast<V, Vector128<short>>(b)));
        if (typeof(V) == typeof(F32x4) && AdvSimd.Arm64.IsSupported)
        {
            Vector128<short> x = Cast<V, Vector128<short>>(a), y = Cast<V, Vector128<short>>(b);
            return Cast<Vector128<int>, V>(Cast<V, Vector128<int>>(sum) + AdvSimd.Arm64.AddPairwise(
                AdvSimd.MultiplyWideningLower(x.GetLower(), y.GetLower()), AdvSimd.MultiplyWideningUpper(x, y)));
        }
        return AddDotOfLanes<V, K>(sum, a, b);
    }

    /// <summary>Runs a kernel over codes with the best way to add their products that the processor has at the width of V.</summary>
    [MethodImpl(Inline)]
    public static void RunWithCodes<V, T>(ref T kernel) where V : unmanaged where T : struct, ICodeKernel
    {
        if (Dp.IsSupported) kernel.Run<V, ByteCodes>();
        else if ((typeof(V) == typeof(F32x8) || typeof(V) == typeof(F32x4)) && AvxVnni.IsSupported) kernel.Run<V, FusedWordCodes>();
        else kernel.Run<V, WordCodes>();
    }

    /// <summary>Each lane of integers as a float, rounded to even where it has more than 24 bits.</summary>
    [MethodImpl(Inline)]
    public static V IntegersToFloats<V>(V a) where V : unmanaged
    {
        if (typeof(V) == typeof(F32x16)) return Cast<F32x16, V>(Vector512.ConvertToSingle(Cast<V, Vector512<int>>(a)));
        if (typeof(V) == typeof(F32x8)) return Cast<F32x8, V>(Vector256.ConvertToSingle(Cast<V, Vector256<int>>(a)));
        if (typeof(V) == typeof(F32x4)) return Cast<F32x4, V>(Vector128.ConvertToSingle(Cast<V, Vector128<int>>(a)));
        if (typeof(V) == typeof(F32xN)) return Cast<F32xN, V>(Vector.ConvertToSingle(Cast<V, Vector<int>>(a)));
        return Cast<float, V>(Cast<V, int>(a));
    }

    /// <summary>
    /// The codes of x, one by one to <paramref name="to"/>: x times <paramref name="inverse"/>, rounded to even and clamped.
    /// </summary>
    /// <returns>0; NaN if an x is NaN or infinite, which no code can say.</returns>
    public static float Encode<V>(float* x, nint count, float inverse, byte* to) where V : unmanaged =>
        CodeBytes == 1 ? Encode<V, sbyte>(x, count, inverse, (sbyte*)to) : Encode<V, short>(x, count, inverse, (short*)to);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Encode<V, C>(float* x, nint count, float inverse, C* to) where V : unmanaged where C : unmanaged
    {
        nint n = Count<V>(), i = 0;
        V factor = Broadcast<V>(inverse), largest = Broadcast<V>(LargestCode), smallest = Broadcast<V>(-LargestCode), nonFinite = default;
        while (i < count && count >= n)
        {
            V value = Load<V>(x + i);
            nonFinite += value - value;
            StoreCodes(Min(largest, Max(smallest, Round(value * factor))), to + i);
            i = i + n == count ? count : Math.Min(i + n, count - n); // the last vector may overlap the one before
        }
        float flag = Sum(nonFinite);
        for (; i < count; i++)
        {
            flag += x[i] - x[i];
            StoreCodes(Min(LargestCode, Max(-LargestCode, MathF.Round(x[i] * inverse))), to + i);
        }
        return flag;
    }

    /// <summary>Whole numbers within the range of codes, one after the other.</summary>
    [MethodImpl(Inline)]
    private static void StoreCodes<V, C>(V codes, C* to) where V : unmanaged where C : unmanaged
    {
        if (typeof(V) == typeof(float))
        {
            if (sizeof(C) == 1) *(sbyte*)to = (sbyte)Cast<V, float>(codes);
            else *(short*)to = (short)Cast<V, float>(codes);
            return;
        }
        if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported && sizeof(C) == 2)
        {
            Avx512F.ConvertToVector256Int16(Vector512.ConvertToInt32Native(Cast<V, F32x16>(codes))).Store((short*)to);
            return;
        }
        if (typeof(V) == typeof(F32x8) && sizeof(C) == 2)
        {
            Vector256<int> whole = Vector256.ConvertToInt32Native(Cast<V, F32x8>(codes));
            Vector128.Narrow(whole.GetLower(), whole.GetUpper()).Store((short*)to);
            return;
        }
        if (typeof(V) == typeof(F32x4))
        {
            Vector128<int> whole = Vector128.ConvertToInt32Native(Cast<V, F32x4>(codes));
            Vector128<short> words = Vector128.Narrow(whole, whole);
            if (sizeof(C) == 2) Unsafe.WriteUnaligned(to, words.AsInt64().ToScalar());
            else Unsafe.WriteUnaligned(to, Vector128.Narrow(words, words).AsInt32().ToScalar());
            return;
        }
        StoreCodesOfLanes(codes, to);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void StoreCodesOfLanes<V, C>(V codes, C* to) where V : unmanaged where C : unmanaged
    {
        for (nint i = 0; i < Count<V>(); i++) StoreCodes(((float*)&codes)[i], to + i);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static V AddDotOfLanes<V, K>(V sum, V a, V b) where V : unmanaged where K : unmanaged
    {
        for (nint i = 0; i < Count<V>(); i++) ((int*)&sum)[i] = AddDot<K>(((int*)&sum)[i], ((int*)&a)[i], ((int*)&b)[i]);
        return sum;
    }

    [MethodImpl(Inline)]
    private static int AddDot<K>(int sum, int a, int b) where K : unmanaged => typeof(K) == typeof(ByteCodes)
        ? sum + (sbyte)a * (sbyte)b + (sbyte)(a >> 8) * (sbyte)(b >> 8) + (sbyte)(a >> 16) * (sbyte)(b >> 16) + (a >> 24) * (b >> 24)
        : sum + (short)a * (short)b + (a >> 16) * (b >> 16);

    [MethodImpl(Inline)]
    private static Vector<int> AddDot<K>(Vector<int> sum, Vector<int> a, Vector<int> b) where K : unmanaged
    {
        if (typeof(K) != typeof(ByteCodes)) return sum + Word(a) * Word(b) + (a >> 16) * (b >> 16);
        return sum + Byte(a, 24) * Byte(b, 24) + Byte(a, 16) * Byte(b, 16) + Byte(a, 8) * Byte(b, 8) + (a >> 24) * (b >> 24);

        static Vector<int> Word(Vector<int> x) => (x << 16) >> 16;

        static Vector<int> Byte(Vector<int> x, int shift) => (x << shift) >> 24;
    }
}

/// <summary>A kernel over codes, compiled for each way to add their products.</summary>
internal interface ICodeKernel
{
    /// <summary>Does all of it; K is one of <see cref="WordCodes"/>, <see cref="FusedWordCodes"/> and <see cref="ByteCodes"/>.</summary>
    void Run<V, K>() where V : unmanaged where K : unmanaged;
}

/// <summary>Two words in a lane; their products are added to a sum by a second instruction.</summary>
internal readonly struct WordCodes;

/// <summary>Two words in a lane; one instruction does both (AVX-VNNI).</summary>
internal readonly struct FusedWordCodes;

/// <summary>Four bytes in a lane (SDOT).</summary>
internal readonly struct ByteCodes;
