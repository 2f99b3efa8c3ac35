using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>Decodes a weight format to vectors of floats, without the row's scale.</summary>
internal interface IWeightCodes
{
    /// <summary>Bytes per code.</summary>
    static abstract int Bytes { get; }

    /// <summary>Loads a vector of codes from index i of a row on.</summary>
    static abstract unsafe V Load<V>(byte* row, nint i) where V : unmanaged;
}

/// <summary>Float32 values.</summary>
internal readonly struct FloatCodes : IWeightCodes
{
    public static int Bytes => sizeof(float);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe V Load<V>(byte* row, nint i) where V : unmanaged => Vec.Load<V>((float*)row + i);
}

/// <summary>Float16 values.</summary>
internal readonly struct HalfCodes : IWeightCodes
{
    public static int Bytes => sizeof(ushort);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe V Load<V>(byte* row, nint i) where V : unmanaged => LoadHalves<V>((ushort*)row + i);
}

/// <summary>Signed bytes.</summary>
internal readonly struct SignedByteCodes : IWeightCodes
{
    public static int Bytes => sizeof(sbyte);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static unsafe V Load<V>(byte* row, nint i) where V : unmanaged => LoadBytes<V>((sbyte*)row + i);
}

/// <summary>
/// y = x W^T (+ bias) (+ addend) for few rows of x. Each row of W is a contiguous dot product, so that W is read once and in order: for one
/// row of x, the time is that of reading W. One item is a row of W; its sums depend only on the vector width.
/// </summary>
internal unsafe struct RowProducts<TCodes> : IKernel where TCodes : struct, IWeightCodes
{
    public byte* Codes;
    public float* Scales, X, Y, Bias, Addend;
    public nint Rows, Columns, Outputs;

    public override readonly string ToString() => $"RowProducts<{typeof(TCodes).Name}> x{Columns}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint columns = Columns, bytes = columns * TCodes.Bytes;
        byte* row = Codes + begin * bytes;
        for (nint output = begin; output < end; output++, row += bytes)
        {
            float scale = Scales == null ? 1f : Scales[output], bias = Bias == null ? 0f : Bias[output];
            for (nint r = 0; r < Rows; r++)
            {
                nint at = r * Outputs + output;
                float y = Dot<V>(row, X + r * columns, columns) * scale + bias;
                Y[at] = Addend == null ? y : y + Addend[at];
            }
        }
    }

    /// <summary>Four sums hide the latency of a multiply-add.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Dot<V>(byte* w, float* x, nint columns) where V : unmanaged
    {
        nint n = Count<V>(), i = 0;
        V s0 = default, s1 = default, s2 = default, s3 = default;
        for (; i <= columns - 4 * n; i += 4 * n)
        {
            s0 = Fma(TCodes.Load<V>(w, i), Load<V>(x + i), s0);
            s1 = Fma(TCodes.Load<V>(w, i + n), Load<V>(x + i + n), s1);
            s2 = Fma(TCodes.Load<V>(w, i + 2 * n), Load<V>(x + i + 2 * n), s2);
            s3 = Fma(TCodes.Load<V>(w, i + 3 * n), Load<V>(x + i + 3 * n), s3);
        }
        for (; i <= columns - n; i += n) s0 = Fma(TCodes.Load<V>(w, i), Load<V>(x + i), s0);
        float sum = Sum(s0 + s1 + (s2 + s3));
        for (; i < columns; i++) sum = Fma(TCodes.Load<float>(w, i), x[i], sum);
        return sum;
    }
}

/// <summary>Decodes rows of W to floats: code times scale. One item is a row.</summary>
internal unsafe struct DecodeRows<TCodes> : IKernel where TCodes : struct, IWeightCodes
{
    public byte* Codes;
    public float* Scales, Values;
    public nint Columns;

    /// <summary>The row that each item decodes; null for row = item.</summary>
    public int* Places;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint columns = Columns, n = Count<V>();
        for (nint item = begin; item < end; item++)
        {
            nint place = Places == null ? item : Places[item], i = 0;
            byte* row = Codes + place * columns * TCodes.Bytes;
            float* to = Values + item * columns;
            float scale = Scales == null ? 1f : Scales[place];
            for (V factor = Broadcast<V>(scale); i <= columns - n; i += n) Store(TCodes.Load<V>(row, i) * factor, to + i);
            for (; i < columns; i++) to[i] = TCodes.Load<float>(row, i) * scale;
        }
    }
}
