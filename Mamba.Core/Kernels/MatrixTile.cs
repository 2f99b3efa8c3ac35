using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>
/// Where a tile finds its factors. Row r of the tile and step k of run (i, j) read the scalar a[r ARow + k AStep + i OuterStep + j InnerStep];
/// the panel b holds two vectors for each k, in the order in which the runs are walked.
/// </summary>
/// <remarks>
/// A matrix product is one run over its inner dimension. A convolution has a run for each kernel row, or for each tap where the taps are not
/// adjacent; its weight gradient has a run for each row of pixels.
/// </remarks>
internal struct TileShape
{
    public nint ARow, AStep, Outer, OuterStep, Inner, InnerStep, Length, CRow;
}

/// <summary>
/// C (+)= A B for up to a register file of results: rows x 2 vectors, broadcast times vector. Twelve rows keep 24 accumulators, 2 panel vectors
/// and a broadcast in 32 registers and give 24 independent FMAs where latency (4) times ports (2) asks for 8; machines with 16 registers take
/// six rows.
/// </summary>
internal static unsafe class MatrixTile
{
    private const nint LongestSum = 288;

    /// <summary>Rows of the largest tile for the vector type: 32 registers come with AVX-512 (for all its widths) and with AdvSimd.</summary>
    public static nint Rows { get; } = Isa.HasManyRegisters ? 12 : 6;

    /// <summary>Runs <paramref name="rows"/> rows of tiles down one panel; <paramref name="lanes"/> columns of it are stored.</summary>
    /// <param name="t">Strides and run lengths.</param>
    /// <param name="rows">How many rows of A and C.</param>
    /// <param name="a">The first scalar of row 0.</param>
    /// <param name="b">The packed panel.</param>
    /// <param name="c">The first result of row 0.</param>
    /// <param name="lanes">Columns to store, at most two vectors.</param>
    /// <param name="bias">Added to each row, or null.</param>
    /// <param name="add">Whether to add to what C holds.</param>
    /// <remarks>
    /// Long sums are cut into blocks that are added up in C: the rounding error of a sum grows with the root of its length (a 3x3 convolution of 512
    /// channels adds 4,608 products), and a block of the panel stays in the first-level cache while all rows pass over it.
    /// </remarks>
    public static void Column<V>(in TileShape t, nint rows, float* a, float* b, float* c, nint lanes, float* bias, bool add) where V : unmanaged
    {
        if (t.Outer * t.Inner * t.Length <= LongestSum)
        {
            Block<V>(t, rows, a, b, c, lanes, bias, add);
            return;
        }
        TileShape block = t;
        (block.Outer, block.Inner) = (1, 1);
        nint width = 2 * Count<V>(), blocks = (t.Length + LongestSum - 1) / LongestSum, size = (t.Length + blocks - 1) / blocks;
        for (nint i = 0; i < t.Outer; i++)
            for (nint j = 0; j < t.Inner; j++)
                for (nint k = 0; k < t.Length; k += size)
                {
                    block.Length = Math.Min(size, t.Length - k);
                    Block<V>(block, rows, a + i * t.OuterStep + j * t.InnerStep + k * t.AStep, b, c, lanes, bias, add);
                    b += block.Length * width;
                    bias = null;
                    add = true;
                }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block<V>(in TileShape t, nint rows, float* a, float* b, float* c, nint lanes, float* bias, bool add) where V : unmanaged
    {
        nint r = 0;
        if (Rows == 12)
            for (; r <= rows - 12; r += 12) Tile12<V>(t, a + r * t.ARow, b, c + r * t.CRow, lanes, bias, add);
        for (; r <= rows - 6; r += 6) Tile6<V>(t, a + r * t.ARow, b, c + r * t.CRow, lanes, bias, add);
        for (; r <= rows - 3; r += 3) Tile3<V>(t, a + r * t.ARow, b, c + r * t.CRow, lanes, bias, add);
        for (; r < rows; r++) Tile1<V>(t, a + r * t.ARow, b, c + r * t.CRow, lanes, bias, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<V>(V c0, V c1, float* c, nint lanes, float* bias, bool add) where V : unmanaged
    {
        nint n = Count<V>();
        if (lanes == 2 * n)
        {
            if (bias != null)
            {
                c0 += Load<V>(bias);
                c1 += Load<V>(bias + n);
            }
            Store(add ? c0 + Load<V>(c) : c0, c);
            Store(add ? c1 + Load<V>(c + n) : c1, c + n);
            return;
        }
        WritePart(c0, c, Math.Min(lanes, n), bias, add);
        if (lanes > n) WritePart(c1, c + n, lanes - n, bias == null ? null : bias + n, add);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void WritePart<V>(V v, float* c, nint lanes, float* bias, bool add) where V : unmanaged
    {
        if (bias != null) v += Load<V>(bias, lanes);
        Store(add ? v + Load<V>(c, lanes) : v, c, lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile12<V>(in TileShape t, float* a, float* b, float* c, nint lanes, float* bias, bool add) where V : unmanaged
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        V c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        V c60 = default, c61 = default, c70 = default, c71 = default, c80 = default, c81 = default;
        V c90 = default, c91 = default, c100 = default, c101 = default, c110 = default, c111 = default;
        nint n = Count<V>(), row = t.ARow, step = t.AStep, length = t.Length;
        nint row3 = 3 * row;
        for (nint i = 0; i < t.Outer; i++)
        {
            for (nint j = 0; j < t.Inner; j++)
            {
                float* p0 = a + i * t.OuterStep + j * t.InnerStep;
                float* p4 = p0 + 4 * row;
                float* p8 = p4 + 4 * row;
                for (nint k = length; k > 0; k--)
                {
                    V b0 = Load<V>(b), b1 = Load<V>(b + n), x;
                    x = Broadcast<V>(p0[0]);
                    c00 = Fma(x, b0, c00);
                    c01 = Fma(x, b1, c01);
                    x = Broadcast<V>(p0[row]);
                    c10 = Fma(x, b0, c10);
                    c11 = Fma(x, b1, c11);
                    x = Broadcast<V>(p0[2 * row]);
                    c20 = Fma(x, b0, c20);
                    c21 = Fma(x, b1, c21);
                    x = Broadcast<V>(p0[row3]);
                    c30 = Fma(x, b0, c30);
                    c31 = Fma(x, b1, c31);
                    x = Broadcast<V>(p4[0]);
                    c40 = Fma(x, b0, c40);
                    c41 = Fma(x, b1, c41);
                    x = Broadcast<V>(p4[row]);
                    c50 = Fma(x, b0, c50);
                    c51 = Fma(x, b1, c51);
                    x = Broadcast<V>(p4[2 * row]);
                    c60 = Fma(x, b0, c60);
                    c61 = Fma(x, b1, c61);
                    x = Broadcast<V>(p4[row3]);
                    c70 = Fma(x, b0, c70);
                    c71 = Fma(x, b1, c71);
                    x = Broadcast<V>(p8[0]);
                    c80 = Fma(x, b0, c80);
                    c81 = Fma(x, b1, c81);
                    x = Broadcast<V>(p8[row]);
                    c90 = Fma(x, b0, c90);
                    c91 = Fma(x, b1, c91);
                    x = Broadcast<V>(p8[2 * row]);
                    c100 = Fma(x, b0, c100);
                    c101 = Fma(x, b1, c101);
                    x = Broadcast<V>(p8[row3]);
                    c110 = Fma(x, b0, c110);
                    c111 = Fma(x, b1, c111);
                    p0 += step;
                    p4 += step;
                    p8 += step;
                    b += 2 * n;
                }
            }
        }
        nint cRow = t.CRow;
        Write(c00, c01, c, lanes, bias, add);
        Write(c10, c11, c + cRow, lanes, bias, add);
        Write(c20, c21, c + 2 * cRow, lanes, bias, add);
        Write(c30, c31, c + 3 * cRow, lanes, bias, add);
        Write(c40, c41, c + 4 * cRow, lanes, bias, add);
        Write(c50, c51, c + 5 * cRow, lanes, bias, add);
        Write(c60, c61, c + 6 * cRow, lanes, bias, add);
        Write(c70, c71, c + 7 * cRow, lanes, bias, add);
        Write(c80, c81, c + 8 * cRow, lanes, bias, add);
        Write(c90, c91, c + 9 * cRow, lanes, bias, add);
        Write(c100, c101, c + 10 * cRow, lanes, bias, add);
        Write(c110, c111, c + 11 * cRow, lanes, bias, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile6<V>(in TileShape t, float* a, float* b, float* c, nint lanes, float* bias, bool add) where V : unmanaged
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        V c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        nint n = Count<V>(), row = t.ARow, step = t.AStep, length = t.Length;
        nint row3 = 3 * row;
        for (nint i = 0; i < t.Outer; i++)
        {
            for (nint j = 0; j < t.Inner; j++)
            {
                float* p0 = a + i * t.OuterStep + j * t.InnerStep;
                float* p4 = p0 + 4 * row;
                for (nint k = length; k > 0; k--)
                {
                    V b0 = Load<V>(b), b1 = Load<V>(b + n), x;
                    x = Broadcast<V>(p0[0]);
                    c00 = Fma(x, b0, c00);
                    c01 = Fma(x, b1, c01);
                    x = Broadcast<V>(p0[row]);
                    c10 = Fma(x, b0, c10);
                    c11 = Fma(x, b1, c11);
                    x = Broadcast<V>(p0[2 * row]);
                    c20 = Fma(x, b0, c20);
                    c21 = Fma(x, b1, c21);
                    x = Broadcast<V>(p0[row3]);
                    c30 = Fma(x, b0, c30);
                    c31 = Fma(x, b1, c31);
                    x = Broadcast<V>(p4[0]);
                    c40 = Fma(x, b0, c40);
                    c41 = Fma(x, b1, c41);
                    x = Broadcast<V>(p4[row]);
                    c50 = Fma(x, b0, c50);
                    c51 = Fma(x, b1, c51);
                    p0 += step;
                    p4 += step;
                    b += 2 * n;
                }
            }
        }
        nint cRow = t.CRow;
        Write(c00, c01, c, lanes, bias, add);
        Write(c10, c11, c + cRow, lanes, bias, add);
        Write(c20, c21, c + 2 * cRow, lanes, bias, add);
        Write(c30, c31, c + 3 * cRow, lanes, bias, add);
        Write(c40, c41, c + 4 * cRow, lanes, bias, add);
        Write(c50, c51, c + 5 * cRow, lanes, bias, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile3<V>(in TileShape t, float* a, float* b, float* c, nint lanes, float* bias, bool add) where V : unmanaged
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        nint n = Count<V>(), row = t.ARow, step = t.AStep, length = t.Length;
        for (nint i = 0; i < t.Outer; i++)
        {
            for (nint j = 0; j < t.Inner; j++)
            {
                float* p0 = a + i * t.OuterStep + j * t.InnerStep;
                for (nint k = length; k > 0; k--)
                {
                    V b0 = Load<V>(b), b1 = Load<V>(b + n), x;
                    x = Broadcast<V>(p0[0]);
                    c00 = Fma(x, b0, c00);
                    c01 = Fma(x, b1, c01);
                    x = Broadcast<V>(p0[row]);
                    c10 = Fma(x, b0, c10);
                    c11 = Fma(x, b1, c11);
                    x = Broadcast<V>(p0[2 * row]);
                    c20 = Fma(x, b0, c20);
                    c21 = Fma(x, b1, c21);
                    p0 += step;
                    b += 2 * n;
                }
            }
        }
        nint cRow = t.CRow;
        Write(c00, c01, c, lanes, bias, add);
        Write(c10, c11, c + cRow, lanes, bias, add);
        Write(c20, c21, c + 2 * cRow, lanes, bias, add);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile1<V>(in TileShape t, float* a, float* b, float* c, nint lanes, float* bias, bool add) where V : unmanaged
    {
        V c00 = default, c01 = default;
        nint n = Count<V>(), row = t.ARow, step = t.AStep, length = t.Length;
        for (nint i = 0; i < t.Outer; i++)
        {
            for (nint j = 0; j < t.Inner; j++)
            {
                float* p0 = a + i * t.OuterStep + j * t.InnerStep;
                for (nint k = length; k > 0; k--)
                {
                    V b0 = Load<V>(b), b1 = Load<V>(b + n), x;
                    x = Broadcast<V>(p0[0]);
                    c00 = Fma(x, b0, c00);
                    c01 = Fma(x, b1, c01);
                    p0 += step;
                    b += 2 * n;
                }
            }
        }
        nint cRow = t.CRow;
        Write(c00, c01, c, lanes, bias, add);
    }
}
