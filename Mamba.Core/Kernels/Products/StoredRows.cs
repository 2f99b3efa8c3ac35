using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>Products and lookups with weights stored row by row (see <see cref="StoredWeight"/>).</summary>
internal static unsafe class StoredRows
{
    // Rows of x that share a read of W; more rows are a matrix product, for which W is decoded block by block.
    private const int MaxRows = 4;

    // Weight bytes per chunk: large enough to amortize its start, small enough for threads to finish together.
    private const nint ChunkBytes = 1 << 17;

    // Floats per decoded block.
    private const nint BlockFloats = 1 << 20;

    /// <summary>y = x W^T, with bias and addend.</summary>
    /// <param name="weight">The stored matrix.</param>
    /// <param name="first">The row of the stored matrix at which W starts.</param>
    /// <param name="product">The other operands.</param>
    public static void Multiply(StoredWeight weight, nint first, in RowProduct product)
    {
        switch (weight.Format)
        {
            case WeightFormat.Float32:
                Multiply<FloatCodes>(weight, first, product);
                break;
            case WeightFormat.Float16:
                Multiply<HalfCodes>(weight, first, product);
                break;
            default:
                Multiply<SignedByteCodes>(weight, first, product);
                break;
        }
    }

    /// <summary>Decodes rows of a stored matrix: consecutive ones, or those of a list.</summary>
    public static void Decode(StoredWeight weight, nint first, nint count, int* places, float* values)
    {
        switch (weight.Format)
        {
            case WeightFormat.Float32:
                Decode<FloatCodes>(weight, first, count, places, values);
                break;
            case WeightFormat.Float16:
                Decode<HalfCodes>(weight, first, count, places, values);
                break;
            default:
                Decode<SignedByteCodes>(weight, first, count, places, values);
                break;
        }
    }

    /// <summary>Encodes a matrix of floats.</summary>
    /// <returns>The first row with a NaN or infinite element; -1 if there is none.</returns>
    public static nint Encode(float* values, StoredWeight weight)
    {
        EncodeRows kernel = new()
        {
            Values = values,
            Codes = weight.Codes,
            Scales = weight.Scales,
            Columns = weight.Columns,
            Half = weight.Format == WeightFormat.Float16,
        };
        Launch.Run(kernel, weight.Rows, Grain(weight.Columns * sizeof(float)));
        for (nint row = 0; row < weight.Rows; row++)
            if (!float.IsFinite(weight.Scales[row])) return row;
        return -1;
    }

    private static void Multiply<TCodes>(StoredWeight weight, nint first, in RowProduct p) where TCodes : struct, IWeightCodes
    {
        float* scales = weight.Scales == null ? null : weight.Scales + first;
        byte* codes = weight.Codes + first * p.Inputs * TCodes.Bytes;
        if (p.Rows > MaxRows)
        {
            MultiplyBlocks<TCodes>(codes, scales, p);
            return;
        }
        if (typeof(TCodes) == typeof(SignedByteCodes))
        {
            ByteRowProducts.Multiply((sbyte*)codes, scales, p, Grain(p.Inputs));
            return;
        }
        RowProducts<TCodes> kernel = new()
        {
            Codes = codes,
            Scales = scales,
            X = p.X,
            Y = p.Y,
            Bias = p.Bias,
            Addend = p.Addend,
            Rows = p.Rows,
            Columns = p.Inputs,
            Outputs = p.Outputs,
        };
        Launch.Run(kernel, p.Outputs, Grain(p.Inputs * TCodes.Bytes));
    }

    private static void MultiplyBlocks<TCodes>(byte* codes, float* scales, in RowProduct p) where TCodes : struct, IWeightCodes
    {
        bool inPlace = typeof(TCodes) == typeof(FloatCodes);
        nint block = inPlace ? p.Outputs : Math.Clamp(BlockFloats / Math.Max(1, p.Inputs), 1, p.Outputs);
        using Scratch decoded = new(inPlace ? 0 : block * p.Inputs);
        for (nint from = 0; from < p.Outputs; from += block)
        {
            nint count = Math.Min(block, p.Outputs - from);
            float* weight = (float*)codes;
            if (!inPlace)
            {
                weight = decoded.Pointer;
                DecodeRows<TCodes> kernel = new()
                {
                    Codes = codes + from * p.Inputs * TCodes.Bytes,
                    Scales = scales + from,
                    Values = weight,
                    Columns = p.Inputs,
                };
                Launch.Run(kernel, count, Grain(p.Inputs * sizeof(float)));
            }
            float* y = p.Y + from;
            Epilogue epilogue = new(
                p.Bias == null ? null : p.Bias + from, add: p.Addend != null, addendOffset: p.Addend == null ? 0 : (nint)(p.Addend - p.Y));
            Gemm.Run(
                p.Rows, count, p.Inputs, new Matrix(p.X, p.Inputs), new Matrix(weight, 1, p.Inputs), y, p.Outputs, epilogue);
        }
    }

    private static void Decode<TCodes>(StoredWeight weight, nint first, nint count, int* places, float* values)
        where TCodes : struct, IWeightCodes
    {
        DecodeRows<TCodes> kernel = new()
        {
            Codes = weight.Codes + first * weight.Columns * TCodes.Bytes,
            Scales = weight.Scales == null ? null : weight.Scales + first,
            Values = values,
            Columns = weight.Columns,
            Places = places,
        };
        Launch.Run(kernel, count, Grain(weight.Columns * sizeof(float)));
    }

    private static nint Grain(nint rowBytes) => Math.Max(1, ChunkBytes / Math.Max(1, rowBytes));
}

/// <summary>A product with a stored weight.</summary>
/// <param name="rows">Rows of x and y.</param>
/// <param name="outputs">Rows of W.</param>
/// <param name="inputs">Columns of W.</param>
internal unsafe struct RowProduct(nint rows, nint outputs, nint inputs)
{
    public readonly nint Rows = rows, Outputs = outputs, Inputs = inputs;

    /// <summary>(Rows, Inputs), (Rows, Outputs); (Outputs) or null; what is added, as y, or null.</summary>
    public float* X, Y, Bias, Addend;
}

/// <summary>Encodes a matrix of floats. One item is a row; a row with a NaN or infinite element gets an infinite scale.</summary>
internal unsafe struct EncodeRows : IKernel
{
    public float* Values, Scales;
    public byte* Codes;
    public nint Columns;
    public bool Half;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        for (nint row = begin; row < end; row++)
        {
            float* values = Values + row * Columns;
            float largest = 0;
            for (nint i = 0; i < Columns; i++) largest = MathF.Max(largest, MathF.Abs(values[i])); // propagates NaN
            if (!float.IsFinite(largest)) Scales[row] = float.PositiveInfinity;
            else if (Half) Scales[row] = EncodeHalves(values, largest, (ushort*)Codes + row * Columns);
            else Scales[row] = EncodeBytes(values, largest, (sbyte*)Codes + row * Columns);
        }
    }

    /// <summary>
    /// A power of two scales the largest magnitude to [2^14, 2^15), so that only rounding is lost, and few values are denormal.
    /// </summary>
    private readonly float EncodeHalves(float* values, float largest, ushort* codes)
    {
        const int Top = 14, Least = -100; // keeps the scale of a row of denormals normal
        int exponent = largest > 0 ? Math.Max(Least, MathF.ILogB(largest)) : 0;
        float factor = MathF.ScaleB(1f, Top - exponent);
        for (nint i = 0; i < Columns; i++) codes[i] = BitConverter.HalfToUInt16Bits((Half)(values[i] * factor));
        return 1f / factor;
    }

    private readonly float EncodeBytes(float* values, float largest, sbyte* codes)
    {
        float inverse = LargestCode / largest;
        if (!float.IsFinite(inverse)) inverse = 0f; // zeros, and denormals, which are negligible
        for (nint i = 0; i < Columns; i++) codes[i] = (sbyte)Math.Clamp(MathF.Round(values[i] * inverse), -LargestCode, LargestCode);
        return largest / LargestCode;
    }
}
