using System.Numerics.Tensors;
using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>
/// <see cref="RowProducts{TCodes}"/> for int8 weights. Converting each byte to a float would take longer than reading it. So x is quantized
/// to 16 bits, with one scale per row, and integer products are summed, two per instruction. The error, at most 1 / 65,534 of the largest
/// x, is far below that of the weights. One item is a row of W.
/// </summary>
internal unsafe struct ByteRowProducts : IKernel
{
    // 2 * 127 * 32,767 fits 258 times into 32 bits.
    private const nint MaxSteps = 256;

    // Rows of x are padded with zeros to a multiple of this many 16-bit words, those of the widest vector.
    private const nint WordsOfVector = 32;

    private const float LargestWord = 32767f;

    public sbyte* Codes;
    public float* Scales, XScales, Y, Bias, Addend;
    public short* X;
    public nint Rows, Columns, Outputs;

    public override readonly string ToString() => $"ByteRowProducts x{Columns}";

    /// <summary>Floats that a quantized row of x takes; one scale per row follows the last row.</summary>
    private static nint RowFloats(nint columns) => Launch.CeilDiv(columns, WordsOfVector) * WordsOfVector / 2;

    /// <summary>y = x W^T, with bias and addend; W has readable bytes after its last row.</summary>
    public static void Multiply(sbyte* codes, float* scales, in RowProduct p, nint grain)
    {
        nint row = RowFloats(p.Inputs);
        using Scratch words = new(p.Rows * (row + 1));
        float* xScales = words.Pointer + p.Rows * row;
        for (nint r = 0; r < p.Rows; r++)
            xScales[r] = Round(new ReadOnlySpan<float>(p.X + r * p.Inputs, (int)p.Inputs), (short*)(words.Pointer + r * row), 2 * row);
        ByteRowProducts kernel = new()
        {
            Codes = codes,
            Scales = scales,
            XScales = xScales,
            X = (short*)words.Pointer,
            Y = p.Y,
            Bias = p.Bias,
            Addend = p.Addend,
            Rows = p.Rows,
            Columns = p.Inputs,
            Outputs = p.Outputs,
        };
        Launch.Run(kernel, p.Outputs, grain);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint columns = Columns, stride = 2 * RowFloats(columns);
        sbyte* row = Codes + begin * columns;
        for (nint output = begin; output < end; output++, row += columns)
        {
            float bias = Bias == null ? 0f : Bias[output];
            for (nint r = 0; r < Rows; r++)
            {
                nint at = r * Outputs + output;
                float y = Dot<V>(row, X + r * stride, columns) * (Scales[output] * XScales[r]) + bias;
                Y[at] = Addend == null ? y : y + Addend[at];
            }
        }
    }

    /// <summary>Bytes past the end of the row are multiplied by zeros.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static float Dot<V>(sbyte* w, short* x, nint columns) where V : unmanaged
    {
        nint n = 2 * Count<V>(), i = 0;
        V sum = default;
        while (i < columns)
        {
            nint stop = Math.Min(columns, i + 4 * n * MaxSteps);
            V s0 = default, s1 = default, s2 = default, s3 = default;
            for (; i <= stop - 4 * n; i += 4 * n)
            {
                s0 = AddDot<V, WordCodes>(s0, LoadWords<V>(w + i), Load<V>((float*)(x + i)));
                s1 = AddDot<V, WordCodes>(s1, LoadWords<V>(w + i + n), Load<V>((float*)(x + i + n)));
                s2 = AddDot<V, WordCodes>(s2, LoadWords<V>(w + i + 2 * n), Load<V>((float*)(x + i + 2 * n)));
                s3 = AddDot<V, WordCodes>(s3, LoadWords<V>(w + i + 3 * n), Load<V>((float*)(x + i + 3 * n)));
            }
            sum += IntegersToFloats(s0) + IntegersToFloats(s1) + (IntegersToFloats(s2) + IntegersToFloats(s3));
            if (i == stop) continue;
            V rest = default;
            for (; i < stop; i += n) rest = AddDot<V, WordCodes>(rest, LoadWords<V>(w + i), Load<V>((float*)(x + i)));
            sum += IntegersToFloats(rest);
        }
        return Sum(sum);
    }

    /// <summary>Quantizes a row of x to 16-bit words, zero-padded.</summary>
    /// <returns>The scale; NaN if an element is NaN or infinite, which makes every product NaN.</returns>
    private static float Round(ReadOnlySpan<float> x, short* words, nint length)
    {
        float largest = x.IsEmpty ? 0f : MathF.Abs(TensorPrimitives.MaxMagnitude(x)), inverse = LargestWord / largest;
        if (!float.IsFinite(inverse)) inverse = 0f; // zeros and denormals
        for (int i = 0; i < x.Length; i++) words[i] = (short)MathF.Round(x[i] * inverse);
        for (nint i = x.Length; i < length; i++) words[i] = 0;
        return float.IsFinite(largest) ? largest / LargestWord : float.NaN;
    }
}
