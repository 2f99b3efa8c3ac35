using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>
/// C (+)= A B for a tile of rows x 2 vectors in registers; each step multiplies a broadcast by a vector. Twelve rows keep 24 accumulators,
/// two vectors of the panel and a broadcast in 32 registers: 24 independent FMAs, where latency (4) times ports (2) needs 8. Tiles of
/// thirteen rows avoid a tile with too few rows to hide the latency: 65 tokens are five of them. Machines with 16 registers use six rows.
/// Where one vector holds all columns, tiles are twelve rows of one vector.
/// </summary>
internal static unsafe class MicroKernel
{
    /// <summary>Rows of most tiles, and of the largest tile of one vector.</summary>
    public const int MaxRows = 12;

    /// <summary>Rows of the largest tile of two vectors: AVX-512 (at any width) and AdvSimd have 32 registers.</summary>
    public static nint MaxRowsOfTwoVectors => Isa.HasManyRegisters ? MaxRows + 1 : MaxRows / 2;

    /// <summary>One tile of a supported height, of one or two vectors, over a block of its sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<V>(nint height, bool narrow, in TileShape t, in BlockShape block, float* a, float* b, in TileOutput output)
        where V : unmanaged
    {
        switch (height)
        {
            case 12 when narrow: Tile<V, Size12, Size1>(t, block, a, b, output); break;
            case 8 when narrow: Tile<V, Size8, Size1>(t, block, a, b, output); break;
            case 6 when narrow: Tile<V, Size6, Size1>(t, block, a, b, output); break;
            case 4 when narrow: Tile<V, Size4, Size1>(t, block, a, b, output); break;
            case 3 when narrow: Tile<V, Size3, Size1>(t, block, a, b, output); break;
            case 2 when narrow: Tile<V, Size2, Size1>(t, block, a, b, output); break;
            case 1 when narrow: Tile<V, Size1, Size1>(t, block, a, b, output); break;
            case 13: Tile<V, Size13, Size2>(t, block, a, b, output); break;
            case 12: Tile<V, Size12, Size2>(t, block, a, b, output); break;
            case 8: Tile<V, Size8, Size2>(t, block, a, b, output); break;
            case 6: Tile<V, Size6, Size2>(t, block, a, b, output); break;
            case 4: Tile<V, Size4, Size2>(t, block, a, b, output); break;
            case 3: Tile<V, Size3, Size2>(t, block, a, b, output); break;
            case 2: Tile<V, Size2, Size2>(t, block, a, b, output); break;
            default: Tile<V, Size1, Size2>(t, block, a, b, output); break;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Prefetch<V, W>(float* to) where V : unmanaged where W : unmanaged
    {
        Vec.Prefetch(to);
        if (sizeof(W) != 2) return;
        if (Count<V>() >= CacheLine) Vec.Prefetch(to + Count<V>());
        Vec.Prefetch(to + 2 * Count<V>() - 1);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Write<V, W>(V c0, V c1, float* to) where V : unmanaged where W : unmanaged
    {
        Store(c0, to);
        if (sizeof(W) == 2) Store(c1, to + Count<V>());
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V, W>(ref V c0, ref V c1, float* from) where V : unmanaged where W : unmanaged
    {
        c0 += Load<V>(from);
        if (sizeof(W) == 2) c1 += Load<V>(from + Count<V>());
    }

    /// <summary>
    /// One tile of sizeof(R) rows by sizeof(W) vectors. The sizes are JIT-time constants, so the accumulators of smaller tiles are dropped.
    /// No method is called, so no accumulator is spilled.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    private static void Tile<V, R, W>(in TileShape t, in BlockShape block, float* a, float* b, in TileOutput output)
        where V : unmanaged where R : unmanaged where W : unmanaged
    {
        V c00 = default, c01 = default, c10 = default, c11 = default, c20 = default, c21 = default;
        V c30 = default, c31 = default, c40 = default, c41 = default, c50 = default, c51 = default;
        V c60 = default, c61 = default, c70 = default, c71 = default, c80 = default, c81 = default;
        V c90 = default, c91 = default, c100 = default, c101 = default, c110 = default, c111 = default;
        V c120 = default, c121 = default;
        nint n = Count<V>(), row = t.ARowStride, step = t.AColumnStride, row3 = 3 * row, bStep = t.BRowStride;
        // Prefetch the lines of the results and the addend during the sum, or the final stores would wait for memory.
        nint toRow = output.TargetRowStride;
        float* to = output.Target;
        Prefetch<V, W>(to);
        if (sizeof(R) > 1) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 2) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 3) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 4) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 5) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 6) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 7) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 8) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 9) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 10) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 11) Prefetch<V, W>(to += toRow);
        if (sizeof(R) > 12) Prefetch<V, W>(to += toRow);
        to = output.Target;
        if (CanPrefetch && output.Addend != null && output.Addend != output.Target)
            for (nint r = 0; r < sizeof(R); r++) Prefetch<V, W>(output.Addend + r * output.AddendRowStride);
        float* prefetch = a + block.PrefetchDistance;
        nint prefetchStride = t.PrefetchStride;
        for (nint i = 0; i < block.Outer; i++)
        {
            for (nint j = 0; j < block.Inner; j++)
            {
                float* p0 = a + i * t.OuterStride + j * t.InnerStride;
                float* p4 = p0 + 4 * row;
                float* p8 = p4 + 4 * row;
                for (nint k = block.Length; k > 0; k--)
                {
                    V b0 = Load<V>(b), b1 = sizeof(W) == 2 ? Load<V>(b + n) : default, x;
                    if (CanPrefetch && (sizeof(W) == 2 || n >= 16)) // narrower tiles are limited by the load ports
                    {
                        Vec.Prefetch(prefetch);
                        prefetch += prefetchStride;
                    }
                    x = Factor<V>(p0[0]);
                    c00 = FmaBy(x, b0, c00);
                    if (sizeof(W) == 2) c01 = FmaBy(x, b1, c01);
                    if (sizeof(R) > 1)
                    {
                        x = Factor<V>(p0[row]);
                        c10 = FmaBy(x, b0, c10);
                        if (sizeof(W) == 2) c11 = FmaBy(x, b1, c11);
                    }
                    if (sizeof(R) > 2)
                    {
                        x = Factor<V>(p0[2 * row]);
                        c20 = FmaBy(x, b0, c20);
                        if (sizeof(W) == 2) c21 = FmaBy(x, b1, c21);
                    }
                    if (sizeof(R) > 3)
                    {
                        x = Factor<V>(p0[row3]);
                        c30 = FmaBy(x, b0, c30);
                        if (sizeof(W) == 2) c31 = FmaBy(x, b1, c31);
                    }
                    if (sizeof(R) > 4)
                    {
                        x = Factor<V>(p4[0]);
                        c40 = FmaBy(x, b0, c40);
                        if (sizeof(W) == 2) c41 = FmaBy(x, b1, c41);
                    }
                    if (sizeof(R) > 5)
                    {
                        x = Factor<V>(p4[row]);
                        c50 = FmaBy(x, b0, c50);
                        if (sizeof(W) == 2) c51 = FmaBy(x, b1, c51);
                    }
                    if (sizeof(R) > 6)
                    {
                        x = Factor<V>(p4[2 * row]);
                        c60 = FmaBy(x, b0, c60);
                        if (sizeof(W) == 2) c61 = FmaBy(x, b1, c61);
                    }
                    if (sizeof(R) > 7)
                    {
                        x = Factor<V>(p4[row3]);
                        c70 = FmaBy(x, b0, c70);
                        if (sizeof(W) == 2) c71 = FmaBy(x, b1, c71);
                    }
                    if (sizeof(R) > 8)
                    {
                        x = Factor<V>(p8[0]);
                        c80 = FmaBy(x, b0, c80);
                        if (sizeof(W) == 2) c81 = FmaBy(x, b1, c81);
                    }
                    if (sizeof(R) > 9)
                    {
                        x = Factor<V>(p8[row]);
                        c90 = FmaBy(x, b0, c90);
                        if (sizeof(W) == 2) c91 = FmaBy(x, b1, c91);
                    }
                    if (sizeof(R) > 10)
                    {
                        x = Factor<V>(p8[2 * row]);
                        c100 = FmaBy(x, b0, c100);
                        if (sizeof(W) == 2) c101 = FmaBy(x, b1, c101);
                    }
                    if (sizeof(R) > 11)
                    {
                        x = Factor<V>(p8[row3]);
                        c110 = FmaBy(x, b0, c110);
                        if (sizeof(W) == 2) c111 = FmaBy(x, b1, c111);
                    }
                    if (sizeof(R) > 12)
                    {
                        x = Factor<V>(p8[4 * row]);
                        c120 = FmaBy(x, b0, c120);
                        if (sizeof(W) == 2) c121 = FmaBy(x, b1, c121);
                    }
                    p0 += step;
                    if (sizeof(R) > 4) p4 += step;
                    if (sizeof(R) > 8) p8 += step;
                    b += bStep;
                }
            }
        }
        if (output.Bias != null)
        {
            V b0 = Load<V>(output.Bias), b1 = sizeof(W) == 2 ? Load<V>(output.Bias + n) : default;
            c00 += b0;
            c01 += b1;
            c10 += b0;
            c11 += b1;
            c20 += b0;
            c21 += b1;
            c30 += b0;
            c31 += b1;
            c40 += b0;
            c41 += b1;
            c50 += b0;
            c51 += b1;
            c60 += b0;
            c61 += b1;
            c70 += b0;
            c71 += b1;
            c80 += b0;
            c81 += b1;
            c90 += b0;
            c91 += b1;
            c100 += b0;
            c101 += b1;
            c110 += b0;
            c111 += b1;
            c120 += b0;
            c121 += b1;
        }
        if (output.Addend != null)
        {
            nint fromRow = output.AddendRowStride;
            float* from = output.Addend;
            Add<V, W>(ref c00, ref c01, from);
            if (sizeof(R) > 1) Add<V, W>(ref c10, ref c11, from += fromRow);
            if (sizeof(R) > 2) Add<V, W>(ref c20, ref c21, from += fromRow);
            if (sizeof(R) > 3) Add<V, W>(ref c30, ref c31, from += fromRow);
            if (sizeof(R) > 4) Add<V, W>(ref c40, ref c41, from += fromRow);
            if (sizeof(R) > 5) Add<V, W>(ref c50, ref c51, from += fromRow);
            if (sizeof(R) > 6) Add<V, W>(ref c60, ref c61, from += fromRow);
            if (sizeof(R) > 7) Add<V, W>(ref c70, ref c71, from += fromRow);
            if (sizeof(R) > 8) Add<V, W>(ref c80, ref c81, from += fromRow);
            if (sizeof(R) > 9) Add<V, W>(ref c90, ref c91, from += fromRow);
            if (sizeof(R) > 10) Add<V, W>(ref c100, ref c101, from += fromRow);
            if (sizeof(R) > 11) Add<V, W>(ref c110, ref c111, from += fromRow);
            if (sizeof(R) > 12) Add<V, W>(ref c120, ref c121, from += fromRow);
        }
        if (output.Relu)
        {
            c00 = Max(default, c00);
            c01 = Max(default, c01);
            c10 = Max(default, c10);
            c11 = Max(default, c11);
            c20 = Max(default, c20);
            c21 = Max(default, c21);
            c30 = Max(default, c30);
            c31 = Max(default, c31);
            c40 = Max(default, c40);
            c41 = Max(default, c41);
            c50 = Max(default, c50);
            c51 = Max(default, c51);
            c60 = Max(default, c60);
            c61 = Max(default, c61);
            c70 = Max(default, c70);
            c71 = Max(default, c71);
            c80 = Max(default, c80);
            c81 = Max(default, c81);
            c90 = Max(default, c90);
            c91 = Max(default, c91);
            c100 = Max(default, c100);
            c101 = Max(default, c101);
            c110 = Max(default, c110);
            c111 = Max(default, c111);
            c120 = Max(default, c120);
            c121 = Max(default, c121);
        }
        Write<V, W>(c00, c01, to);
        if (sizeof(R) > 1) Write<V, W>(c10, c11, to += toRow);
        if (sizeof(R) > 2) Write<V, W>(c20, c21, to += toRow);
        if (sizeof(R) > 3) Write<V, W>(c30, c31, to += toRow);
        if (sizeof(R) > 4) Write<V, W>(c40, c41, to += toRow);
        if (sizeof(R) > 5) Write<V, W>(c50, c51, to += toRow);
        if (sizeof(R) > 6) Write<V, W>(c60, c61, to += toRow);
        if (sizeof(R) > 7) Write<V, W>(c70, c71, to += toRow);
        if (sizeof(R) > 8) Write<V, W>(c80, c81, to += toRow);
        if (sizeof(R) > 9) Write<V, W>(c90, c91, to += toRow);
        if (sizeof(R) > 10) Write<V, W>(c100, c101, to += toRow);
        if (sizeof(R) > 11) Write<V, W>(c110, c111, to += toRow);
        if (sizeof(R) > 12) Write<V, W>(c120, c121, to += toRow);
    }

    [StructLayout(LayoutKind.Sequential, Size = 1)]
    private struct Size1;

    [StructLayout(LayoutKind.Sequential, Size = 2)]
    private struct Size2;

    [StructLayout(LayoutKind.Sequential, Size = 3)]
    private struct Size3;

    [StructLayout(LayoutKind.Sequential, Size = 4)]
    private struct Size4;

    [StructLayout(LayoutKind.Sequential, Size = 6)]
    private struct Size6;

    [StructLayout(LayoutKind.Sequential, Size = 8)]
    private struct Size8;

    [StructLayout(LayoutKind.Sequential, Size = 12)]
    private struct Size12;

    [StructLayout(LayoutKind.Sequential, Size = 13)]
    private struct Size13;
}
