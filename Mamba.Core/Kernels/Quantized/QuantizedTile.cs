using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Quantized;

/// <summary>The layout of the factors of a sum: outer x inner runs of lanes, for several outputs (rows).</summary>
internal struct QuantizedShape
{
    /// <summary>Row stride, and strides of outer and inner runs, in bytes.</summary>
    public nint RowBytes, OuterBytes, InnerBytes;

    /// <summary>The number of runs, and the lanes per run.</summary>
    public nint Outer, Inner, RunLanes;

    /// <summary>Lane stride of the panel in floats.</summary>
    public nint PanelWidth;
}

/// <summary>The destination of the values, and the factors that turn sums into values.</summary>
internal unsafe struct QuantizedOutput
{
    /// <summary>Row 0, column 0. AddendOffset is the distance in floats from a value to its addend.</summary>
    public float* Target;
    public nint RowStride, AddendOffset;

    /// <summary>One factor and, unless null, one bias per column.</summary>
    public float* Factors, Bias;

    /// <summary>Columns to store, at most two vectors.</summary>
    public nint Columns;

    /// <summary>Whether to add an addend, and to apply ReLU.</summary>
    public bool Add, Relu;
}

/// <summary>
/// Sums of products of codes for a tile of rows x 2 vectors in registers. A step multiplies the broadcast codes of a lane by a vector of
/// the panel: two multiply-adds per lane, four with SDOT and AVX-VNNI. The sums are exact integers. The factor of a column and its bias are
/// applied with one rounding each, never fused, so that a value has the same bits everywhere.
/// </summary>
internal static unsafe class QuantizedTile
{
    /// <summary>
    /// Rows of the largest tile: eight rows keep 16 sums, two vectors of the panel, a broadcast and a product in registers.
    /// </summary>
    private static readonly nint s_maxRows = Isa.HasManyRegisters ? 8 : 4;

    /// <summary>Multiplies rows by one panel.</summary>
    /// <param name="s">Strides and run lengths.</param>
    /// <param name="rows">The number of rows.</param>
    /// <param name="a">The first code of row 0.</param>
    /// <param name="panel">The packed panel.</param>
    /// <param name="output">The destination of row 0.</param>
    public static void Run<V>(in QuantizedShape s, nint rows, byte* a, float* panel, in QuantizedOutput output) where V : unmanaged
    {
        Panel kernel = new() { Shape = s, Rows = rows, A = a, B = panel, Output = output };
        RunWithCodes<V, Panel>(ref kernel);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Tiles<V, K>(in QuantizedShape s, nint rows, byte* a, float* panel, QuantizedOutput output)
        where V : unmanaged where K : unmanaged
    {
        bool narrow = output.Columns <= Count<V>();
        for (nint height; rows > 0; rows -= height, a += height * s.RowBytes, output.Target += height * output.RowStride)
        {
            height = rows >= s_maxRows ? s_maxRows : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;
            switch (height)
            {
                case 8 when narrow: Tile<V, K, Size8, Size1>(s, a, panel, output); break;
                case 4 when narrow: Tile<V, K, Size4, Size1>(s, a, panel, output); break;
                case 2 when narrow: Tile<V, K, Size2, Size1>(s, a, panel, output); break;
                case 1 when narrow: Tile<V, K, Size1, Size1>(s, a, panel, output); break;
                case 8: Tile<V, K, Size8, Size2>(s, a, panel, output); break;
                case 4: Tile<V, K, Size4, Size2>(s, a, panel, output); break;
                case 2: Tile<V, K, Size2, Size2>(s, a, panel, output); break;
                default: Tile<V, K, Size1, Size2>(s, a, panel, output); break;
            }
        }
    }

    /// <summary>One tile of sizeof(R) rows by sizeof(W) vectors; the sizes are constants to the compiler.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile<V, K, R, W>(in QuantizedShape s, byte* a, float* b, in QuantizedOutput output)
        where V : unmanaged where K : unmanaged where R : unmanaged where W : unmanaged
    {
        nint n = Count<V>(), row = s.RowBytes, row3 = 3 * row, step = s.PanelWidth;
        V c00 = Load<V>(b), c10 = c00, c20 = c00, c30 = c00, c40 = c00, c50 = c00, c60 = c00, c70 = c00;
        V c01 = sizeof(W) == 2 ? Load<V>(b + n) : default, c11 = c01, c21 = c01, c31 = c01, c41 = c01, c51 = c01, c61 = c01, c71 = c01;
        b += step;
        for (nint i = 0; i < s.Outer; i++)
            for (nint j = 0; j < s.Inner; j++)
            {
                byte* p0 = a + i * s.OuterBytes + j * s.InnerBytes, p4 = p0 + 4 * row;
                for (nint k = s.RunLanes; k > 0; k--)
                {
                    V b0 = Load<V>(b), b1 = sizeof(W) == 2 ? Load<V>(b + n) : default, x = Codes<V>(p0);
                    c00 = AddDot<V, K>(c00, x, b0);
                    if (sizeof(W) == 2) c01 = AddDot<V, K>(c01, x, b1);
                    if (sizeof(R) > 1)
                    {
                        x = Codes<V>(p0 + row);
                        c10 = AddDot<V, K>(c10, x, b0);
                        if (sizeof(W) == 2) c11 = AddDot<V, K>(c11, x, b1);
                    }
                    if (sizeof(R) > 2)
                    {
                        x = Codes<V>(p0 + 2 * row);
                        c20 = AddDot<V, K>(c20, x, b0);
                        if (sizeof(W) == 2) c21 = AddDot<V, K>(c21, x, b1);
                        x = Codes<V>(p0 + row3);
                        c30 = AddDot<V, K>(c30, x, b0);
                        if (sizeof(W) == 2) c31 = AddDot<V, K>(c31, x, b1);
                    }
                    if (sizeof(R) > 4)
                    {
                        x = Codes<V>(p4);
                        c40 = AddDot<V, K>(c40, x, b0);
                        if (sizeof(W) == 2) c41 = AddDot<V, K>(c41, x, b1);
                        x = Codes<V>(p4 + row);
                        c50 = AddDot<V, K>(c50, x, b0);
                        if (sizeof(W) == 2) c51 = AddDot<V, K>(c51, x, b1);
                        x = Codes<V>(p4 + 2 * row);
                        c60 = AddDot<V, K>(c60, x, b0);
                        if (sizeof(W) == 2) c61 = AddDot<V, K>(c61, x, b1);
                        x = Codes<V>(p4 + row3);
                        c70 = AddDot<V, K>(c70, x, b0);
                        if (sizeof(W) == 2) c71 = AddDot<V, K>(c71, x, b1);
                    }
                    p0 += sizeof(float);
                    p4 += sizeof(float);
                    b += step;
                }
            }
        Write<V, W>(output, 0, c00, c01);
        if (sizeof(R) > 1) Write<V, W>(output, 1, c10, c11);
        if (sizeof(R) > 2) Write<V, W>(output, 2, c20, c21);
        if (sizeof(R) > 3) Write<V, W>(output, 3, c30, c31);
        if (sizeof(R) > 4) Write<V, W>(output, 4, c40, c41);
        if (sizeof(R) > 5) Write<V, W>(output, 5, c50, c51);
        if (sizeof(R) > 6) Write<V, W>(output, 6, c60, c61);
        if (sizeof(R) > 7) Write<V, W>(output, 7, c70, c71);
    }

    /// <summary>Broadcasts the codes of one lane to all lanes.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static V Codes<V>(byte* p) where V : unmanaged => Broadcast<V>(Unsafe.ReadUnaligned<float>(p));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<V, W>(in QuantizedOutput output, nint row, V c0, V c1) where V : unmanaged where W : unmanaged
    {
        nint n = Count<V>();
        float* to = output.Target + row * output.RowStride;
        WriteVector(output, c0, to, 0, Math.Min(n, output.Columns));
        if (sizeof(W) == 2) WriteVector(output, c1, to + n, n, output.Columns - n);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void WriteVector<V>(in QuantizedOutput output, V sums, float* to, nint column, nint count) where V : unmanaged
    {
        V value = IntegersToFloats(sums) * Load<V>(output.Factors + column);
        if (output.Bias != null) value += Load<V>(output.Bias + column, count);
        if (output.Add) value += Load<V>(to + output.AddendOffset, count);
        Store(output.Relu ? NonNegative(value) : value, to, count);
    }

    /// <summary>The rows of one panel, compiled for each way to sum products of codes.</summary>
    private struct Panel : ICodeKernel
    {
        public QuantizedShape Shape;
        public QuantizedOutput Output;
        public nint Rows;
        public byte* A;
        public float* B;

        public readonly void Run<V, K>() where V : unmanaged where K : unmanaged => Tiles<V, K>(Shape, Rows, A, B, Output);
    }

    [StructLayout(LayoutKind.Sequential, Size = 1)]
    private struct Size1;

    [StructLayout(LayoutKind.Sequential, Size = 2)]
    private struct Size2;

    [StructLayout(LayoutKind.Sequential, Size = 4)]
    private struct Size4;

    [StructLayout(LayoutKind.Sequential, Size = 8)]
    private struct Size8;
}
