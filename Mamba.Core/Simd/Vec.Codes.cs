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

// Codes: integers from -127 to 127, several in the 32 bits of a lane of V. Sums of their products are exact, so they have the same bits at
// every width and on every processor.
internal static unsafe partial class Vec
{
    /// <summary>
    /// Codes per lane. Four bytes where the hardware adds four products in one instruction (SDOT on ARM, VPDPBUSD of AVX-VNNI). Otherwise
    /// two words, whose two products x64 adds without saturation (PMADDWD). The older byte instruction of x64 (PMADDUBSW) saturates.
    /// </summary>
    public static int CodesPerLane => Dp.IsSupported || AvxVnni.IsSupported ? 4 : 2;

    /// <summary>Bytes per code.</summary>
    public static int CodeBytes => sizeof(float) / CodesPerLane;

    /// <summary>
    /// The offset of input codes: VPDPBUSD multiplies unsigned by signed bytes. A sum then starts at minus this offset times the sum of the
    /// weight codes.
    /// </summary>
    public static int InputOffset => AvxVnni.IsSupported ? 128 : 0;

    /// <summary>The largest code; the smallest is its negative.</summary>
    public const float LargestCode = 127f;

    /// <summary>The largest number of products of two codes whose sum is certain to fit in 32 bits.</summary>
    public const int MaxCodeProducts = int.MaxValue / (127 * 127);

    /// <summary>
    /// sum + a . b, lane by lane: sum holds 32-bit integers, a and b hold the codes of a lane. K is chosen once by
    /// <see cref="ICodeKernel"/>, so that precompiled native code does not query the processor for each product.
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
        if (typeof(K) == typeof(OffsetByteCodes) && typeof(V) == typeof(F32x8) && Avx2.IsSupported)
            return Cast<Vector256<int>, V>(AvxVnni.MultiplyWideningAndAdd(
                Cast<V, Vector256<int>>(sum), Cast<V, Vector256<byte>>(a), Cast<V, Vector256<sbyte>>(b)));
        if (typeof(K) == typeof(OffsetByteCodes) && typeof(V) == typeof(F32x4) && Avx2.IsSupported)
            return Cast<Vector128<int>, V>(AvxVnni.MultiplyWideningAndAdd(
                Cast<V, Vector128<int>>(sum), Cast<V, Vector128<byte>>(a), Cast<V, Vector128<sbyte>>(b)));
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

    /// <summary>Runs a kernel over codes with the fastest dot product that the processor has at the width of V.</summary>
    [MethodImpl(Inline)]
    public static void RunWithCodes<V, T>(ref T kernel) where V : unmanaged where T : struct, ICodeKernel
    {
        if (Dp.IsSupported) kernel.Run<V, ByteCodes>();
        else if (AvxVnni.IsSupported && typeof(V) != typeof(F32x16)) kernel.Run<V, OffsetByteCodes>(); // see CodeWidth
        else kernel.Run<V, WordCodes>();
    }

    /// <summary>Converts integer lanes to floats, rounded to even where they have more than 24 bits.</summary>
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
    /// The width for kernels over codes where other kernels use <paramref name="width"/>. AVX-VNNI has no 512 bits; at 256 bits it adds
    /// four products in one instruction, where AVX-512BW takes two for two.
    /// </summary>
    public static VectorWidth CodeWidth(VectorWidth width) =>
        width == VectorWidth.V512 && AvxVnni.IsSupported ? VectorWidth.V256 : width;

    /// <summary>
    /// Writes the codes of an input x to <paramref name="to"/>: x times <paramref name="inverse"/>, rounded to even and clamped.
    /// </summary>
    /// <returns>0; NaN if an x is NaN or infinite, which has no code.</returns>
    public static float EncodeInput<V>(float* x, nint count, float inverse, byte* to) where V : unmanaged =>
        Dp.IsSupported ? Encode<V, sbyte>(x, count, inverse, (sbyte*)to)
        : AvxVnni.IsSupported ? Encode<V, byte>(x, count, inverse, to)
        : Encode<V, short>(x, count, inverse, (short*)to);

    /// <summary>Writes input codes of zero.</summary>
    public static void EncodeZeros(byte* to, nint bytes) => new Span<byte>(to, checked((int)bytes)).Fill((byte)InputOffset);

    /// <summary>Writes the code of a weight w to <paramref name="to"/>.</summary>
    /// <returns>The code.</returns>
    public static int EncodeWeight(float w, float inverse, byte* to)
    {
        float code = Code(w * inverse);
        if (CodeBytes == 2) StoreCodes(code, (short*)to);
        else StoreCodes(code, (sbyte*)to);
        return (int)code;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static float Encode<V, C>(float* x, nint count, float inverse, C* to) where V : unmanaged where C : unmanaged
    {
        nint n = Count<V>(), i = 0;
        V factor = Broadcast<V>(inverse), nonFinite = default;
        while (i < count && count >= n)
        {
            V value = Load<V>(x + i);
            nonFinite += value - value;
            StoreCodes(Code(value * factor), to + i);
            i = i + n == count ? count : Math.Min(i + n, count - n); // the last vector may overlap the previous one
        }
        float flag = Sum(nonFinite);
        for (; i < count; i++)
        {
            flag += x[i] - x[i];
            StoreCodes(Code(x[i] * inverse), to + i);
        }
        return flag;
    }

    /// <summary>Rounded to even and clamped.</summary>
    [MethodImpl(Inline)]
    private static V Code<V>(V x) where V : unmanaged =>
        Min(Broadcast<V>(LargestCode), Max(Broadcast<V>(-LargestCode), Round(x)));

    /// <summary>Writes integers within the range of codes. C is byte for codes with <see cref="InputOffset"/>.</summary>
    [MethodImpl(Inline)]
    private static void StoreCodes<V, C>(V codes, C* to) where V : unmanaged where C : unmanaged
    {
        if (typeof(V) == typeof(float))
        {
            int code = (int)Cast<V, float>(codes);
            if (typeof(C) == typeof(short)) *(short*)to = (short)code;
            else *(byte*)to = (byte)(typeof(C) == typeof(byte) ? code + 128 : code);
        }
        else if (typeof(V) == typeof(F32x16) && Avx512F.IsSupported && sizeof(C) == 2)
            Avx512F.ConvertToVector256Int16(Vector512.ConvertToInt32Native(Cast<V, F32x16>(codes))).Store((short*)to);
        else if (typeof(V) == typeof(F32x8))
        {
            Vector256<int> whole = Vector256.ConvertToInt32Native(Cast<V, F32x8>(codes));
            Vector128<short> words = Vector128.NarrowWithSaturation(whole.GetLower(), whole.GetUpper());
            if (sizeof(C) == 2) words.Store((short*)to);
            else Unsafe.WriteUnaligned(to, Offset<C>(Vector128.NarrowWithSaturation(words, words)).AsInt64().ToScalar());
        }
        else if (typeof(V) == typeof(F32x4))
        {
            Vector128<int> whole = Vector128.ConvertToInt32Native(Cast<V, F32x4>(codes));
            Vector128<short> words = Vector128.NarrowWithSaturation(whole, whole);
            if (sizeof(C) == 2) Unsafe.WriteUnaligned(to, words.AsInt64().ToScalar());
            else Unsafe.WriteUnaligned(to, Offset<C>(Vector128.NarrowWithSaturation(words, words)).AsInt32().ToScalar());
        }
        else StoreCodesOfLanes(codes, to);
    }

    /// <summary>Bytes, plus 128 if C requires the offset.</summary>
    [MethodImpl(Inline)]
    private static Vector128<byte> Offset<C>(Vector128<sbyte> codes) =>
        typeof(C) == typeof(byte) ? codes.AsByte() ^ Vector128.Create((byte)128) : codes.AsByte();

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
    private static int AddDot<K>(int sum, int a, int b) where K : unmanaged
    {
        if (typeof(K) == typeof(WordCodes)) return sum + (short)a * (short)b + (a >> 16) * (b >> 16);
        for (int shift = 0; shift < 32; shift += 8)
            sum += (typeof(K) == typeof(OffsetByteCodes) ? (byte)(a >> shift) : (sbyte)(a >> shift)) * (sbyte)(b >> shift);
        return sum;
    }

    [MethodImpl(Inline)]
    private static Vector<int> AddDot<K>(Vector<int> sum, Vector<int> a, Vector<int> b) where K : unmanaged
    {
        if (typeof(K) == typeof(WordCodes)) return sum + Word(a) * Word(b) + (a >> 16) * (b >> 16);
        return sum + Input(a, 24) * Byte(b, 24) + Input(a, 16) * Byte(b, 16) + Input(a, 8) * Byte(b, 8) + Input(a, 0) * Byte(b, 0);

        static Vector<int> Word(Vector<int> x) => (x << 16) >> 16;

        static Vector<int> Byte(Vector<int> x, int shift) => (x << shift) >> 24;

        static Vector<int> Input(Vector<int> x, int shift) =>
            typeof(K) == typeof(OffsetByteCodes) ? (x << shift) >>> 24 : Byte(x, shift);
    }
}

/// <summary>A kernel over codes, compiled for each dot product instruction.</summary>
internal interface ICodeKernel
{
    /// <summary>
    /// Runs the whole kernel; K is one of <see cref="WordCodes"/>, <see cref="OffsetByteCodes"/> and <see cref="ByteCodes"/>.
    /// </summary>
    void Run<V, K>() where V : unmanaged where K : unmanaged;
}

/// <summary>Two words per lane; a second instruction adds their products to the sum.</summary>
internal readonly struct WordCodes;

/// <summary>Four bytes per lane; input codes have <see cref="Vec.InputOffset"/> added (AVX-VNNI).</summary>
internal readonly struct OffsetByteCodes;

/// <summary>Four bytes per lane (SDOT).</summary>
internal readonly struct ByteCodes;
