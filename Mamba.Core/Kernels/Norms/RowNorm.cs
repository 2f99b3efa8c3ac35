using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Norms;

/// <summary>Four rows are four streams, which restart with each group, so the rows of a later group are prefetched.</summary>
internal static unsafe class RowNorm
{
    /// <summary>Rows per group.</summary>
    public const int RowsPerGroup = 4;

    /// <summary>Prefetch distance in rows.</summary>
    public const int PrefetchRows = 2 * RowsPerGroup;

    /// <summary>Prefetches the lines of four vectors, unrolled: a loop would cost as much as the prefetches.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void PrefetchFourVectors<V>(float* from) where V : unmanaged
    {
        Prefetch(from);
        if (Count<V>() >= 8) Prefetch(from + CacheLine);
        if (Count<V>() < 16) return;
        Prefetch(from + 2 * CacheLine);
        Prefetch(from + 3 * CacheLine);
    }
}

/// <summary>
/// Row normalization: y = (x - mean) rstd weight + bias. Without centering (root mean square) the mean is 0. Mean and rstd are kept for the
/// backward pass. Four rows are processed together, since the sums of one row are dependent chains of additions.
/// </summary>
internal unsafe struct RowNormForward : IKernel
{
    public float* X, Y, Weight, Bias, Mean, Rstd;
    public nint Columns;
    public float Eps;
    public bool Center;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        float* weight = Weight, bias = Bias;
        float* sums = stackalloc float[RowNorm.RowsPerGroup], mean = stackalloc float[RowNorm.RowsPerGroup];
        float* rstd = stackalloc float[RowNorm.RowsPerGroup];
        new Span<float>(mean, RowNorm.RowsPerGroup).Clear();
        for (nint row = begin, rows; row < end; row += rows)
        {
            // Groups with fewer than four rows repeat the last one.
            rows = Math.Min(RowNorm.RowsPerGroup, end - row);
            nint second = Math.Min(1, rows - 1) * columns, third = Math.Min(2, rows - 1) * columns, fourth = (rows - 1) * columns;
            float* x0 = X + row * columns, x1 = x0 + second, x2 = x0 + third, x3 = x0 + fourth;
            float* y0 = Y + row * columns, y1 = y0 + second, y2 = y0 + third, y3 = y0 + fourth;
            V s0 = default, s1 = default, s2 = default, s3 = default;
            if (Center)
            {
                nint i = 0;
                for (; i <= columns - n; i += n)
                {
                    s0 += Load<V>(x0 + i);
                    s1 += Load<V>(x1 + i);
                    s2 += Load<V>(x2 + i);
                    s3 += Load<V>(x3 + i);
                }
                if (i < columns)
                {
                    nint lanes = columns - i;
                    s0 += Load<V>(x0 + i, lanes);
                    s1 += Load<V>(x1 + i, lanes);
                    s2 += Load<V>(x2 + i, lanes);
                    s3 += Load<V>(x3 + i, lanes);
                }
                HorizontalSums.Run(s0, s1, s2, s3, sums, add: false);
                for (nint r = 0; r < RowNorm.RowsPerGroup; r++) mean[r] = sums[r] / columns;
            }
            V m0 = Broadcast<V>(mean[0]), m1 = Broadcast<V>(mean[1]), m2 = Broadcast<V>(mean[2]), m3 = Broadcast<V>(mean[3]);
            (s0, s1, s2, s3) = (default, default, default, default);
            nint j = 0;
            for (; j <= columns - n; j += n)
            {
                RowNorm.PrefetchFourVectors<V>(x0 + RowNorm.PrefetchRows * columns + 4 * j);
                RowNorm.PrefetchFourVectors<V>(y0 + RowNorm.PrefetchRows * columns + 4 * j);
                V d0 = Load<V>(x0 + j) - m0, d1 = Load<V>(x1 + j) - m1, d2 = Load<V>(x2 + j) - m2, d3 = Load<V>(x3 + j) - m3;
                s0 = Fma(d0, d0, s0);
                s1 = Fma(d1, d1, s1);
                s2 = Fma(d2, d2, s2);
                s3 = Fma(d3, d3, s3);
            }
            if (j < columns)
            {
                RowNorm.PrefetchFourVectors<V>(x0 + RowNorm.PrefetchRows * columns + 4 * j);
                RowNorm.PrefetchFourVectors<V>(y0 + RowNorm.PrefetchRows * columns + 4 * j);
                // Lanes past the end hold the row's mean.
                nint lanes = columns - j;
                V d0 = Load(x0 + j, lanes, m0) - m0, d1 = Load(x1 + j, lanes, m1) - m1, d2 = Load(x2 + j, lanes, m2) - m2;
                V d3 = Load(x3 + j, lanes, m3) - m3;
                s0 = Fma(d0, d0, s0);
                s1 = Fma(d1, d1, s1);
                s2 = Fma(d2, d2, s2);
                s3 = Fma(d3, d3, s3);
            }
            HorizontalSums.Run(s0, s1, s2, s3, sums, add: false);
            for (nint r = 0; r < RowNorm.RowsPerGroup; r++) rstd[r] = 1f / MathF.Sqrt(sums[r] / columns + Eps);
            V r0 = Broadcast<V>(rstd[0]), r1 = Broadcast<V>(rstd[1]), r2 = Broadcast<V>(rstd[2]), r3 = Broadcast<V>(rstd[3]);
            for (j = 0; j <= columns - n; j += n)
            {
                V d0 = Load<V>(x0 + j) - m0, d1 = Load<V>(x1 + j) - m1, d2 = Load<V>(x2 + j) - m2, d3 = Load<V>(x3 + j) - m3;
                V w = weight == null ? Broadcast<V>(1f) : Load<V>(weight + j), b = bias == null ? default : Load<V>(bias + j);
                Store(d0 * r0 * w + b, y0 + j);
                Store(d1 * r1 * w + b, y1 + j);
                Store(d2 * r2 * w + b, y2 + j);
                Store(d3 * r3 * w + b, y3 + j);
            }
            if (j < columns)
            {
                nint lanes = columns - j;
                V w = weight == null ? Broadcast<V>(1f) : Load<V>(weight + j, lanes), b = bias == null ? default : Load<V>(bias + j, lanes);
                Store((Load<V>(x0 + j, lanes) - m0) * r0 * w + b, y0 + j, lanes);
                Store((Load<V>(x1 + j, lanes) - m1) * r1 * w + b, y1 + j, lanes);
                Store((Load<V>(x2 + j, lanes) - m2) * r2 * w + b, y2 + j, lanes);
                Store((Load<V>(x3 + j, lanes) - m3) * r3 * w + b, y3 + j, lanes);
            }
            for (nint r = 0; r < rows; r++) (Mean[row + r], Rstd[row + r]) = (mean[r], rstd[r]);
        }
    }
}

/// <summary>
/// dx = rstd (w dy - mean(w dy) - x^ mean(w dy x^)), the first mean only if centered. Each chunk of rows also sums dy x^ and dy, for the
/// gradients of weight and bias. Four rows are processed together, as in the forward pass.
/// </summary>
internal unsafe struct RowNormBackward : IKernel
{
    public float* X, Dy, Weight, Mean, Rstd, Partial;
    public GradientTarget Dx;
    public nint Columns, PerChunk;
    public bool Center;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = Columns;
        float* dWeight = Partial + begin / PerChunk * 2 * columns, dBias = dWeight + columns, weight = Weight;
        new Span<float>(dWeight, (int)(2 * columns)).Clear();
        // Rows past the last one read zero gradients, and write to memory that is never read.
        using Scratch absent = new(2 * columns);
        new Span<float>(absent.Pointer, (int)(2 * columns)).Clear();
        float* a = stackalloc float[RowNorm.RowsPerGroup], b = stackalloc float[RowNorm.RowsPerGroup];
        for (nint row = begin, rows; row < end; row += rows)
        {
            rows = Math.Min(RowNorm.RowsPerGroup, end - row);
            nint r1 = Math.Min(1, rows - 1), r2 = Math.Min(2, rows - 1), r3 = rows - 1;
            float* x0 = X + row * columns, x1 = x0 + r1 * columns, x2 = x0 + r2 * columns, x3 = x0 + r3 * columns;
            float* dy0 = Dy + row * columns, dy1 = rows > 1 ? dy0 + columns : absent.Pointer;
            float* dy2 = rows > 2 ? dy0 + 2 * columns : absent.Pointer;
            float* dy3 = rows > 3 ? dy0 + 3 * columns : absent.Pointer, mean = Mean + row, rstd = Rstd + row;
            V mean0 = Broadcast<V>(mean[0]), mean1 = Broadcast<V>(mean[r1]), mean2 = Broadcast<V>(mean[r2]), mean3 = Broadcast<V>(mean[r3]);
            V rstd0 = Broadcast<V>(rstd[0]), rstd1 = Broadcast<V>(rstd[r1]), rstd2 = Broadcast<V>(rstd[r2]), rstd3 = Broadcast<V>(rstd[r3]);
            V sum0 = default, sum1 = default, sum2 = default, sum3 = default, dot0 = default, dot1 = default, dot2 = default;
            V dot3 = default;
            for (nint i = 0; i < columns; i += n)
            {
                RowNorm.PrefetchFourVectors<V>(x0 + RowNorm.PrefetchRows * columns + 4 * i);
                RowNorm.PrefetchFourVectors<V>(dy0 + RowNorm.PrefetchRows * columns + 4 * i);
                nint lanes = Math.Min(n, columns - i);
                V dw = Load<V>(dWeight + i, lanes), db = Load<V>(dBias + i, lanes);
                V w = weight == null ? Broadcast<V>(1f) : Load<V>(weight + i, lanes);
                Add(Load<V>(dy0 + i, lanes), (Load<V>(x0 + i, lanes) - mean0) * rstd0, w, ref dw, ref db, ref sum0, ref dot0);
                Add(Load<V>(dy1 + i, lanes), (Load<V>(x1 + i, lanes) - mean1) * rstd1, w, ref dw, ref db, ref sum1, ref dot1);
                Add(Load<V>(dy2 + i, lanes), (Load<V>(x2 + i, lanes) - mean2) * rstd2, w, ref dw, ref db, ref sum2, ref dot2);
                Add(Load<V>(dy3 + i, lanes), (Load<V>(x3 + i, lanes) - mean3) * rstd3, w, ref dw, ref db, ref sum3, ref dot3);
                Store(dw, dWeight + i, lanes);
                Store(db, dBias + i, lanes);
            }
            if (!Dx.IsWanted) continue;
            float* dx0 = Dx.Pointer + row * columns, nowhere = absent.Pointer + columns;
            float* dx1 = rows > 1 ? dx0 + columns : nowhere, dx2 = rows > 2 ? dx0 + 2 * columns : nowhere;
            float* dx3 = rows > 3 ? dx0 + 3 * columns : nowhere;
            HorizontalSums.Run(sum0, sum1, sum2, sum3, a, add: false);
            HorizontalSums.Run(dot0, dot1, dot2, dot3, b, add: false);
            for (nint r = 0; r < RowNorm.RowsPerGroup; r++) (a[r], b[r]) = (Center ? a[r] / columns : 0f, b[r] / columns);
            V a0 = Broadcast<V>(a[0]), a1 = Broadcast<V>(a[1]), a2 = Broadcast<V>(a[2]), a3 = Broadcast<V>(a[3]);
            V b0 = Broadcast<V>(b[0]), b1 = Broadcast<V>(b[1]), b2 = Broadcast<V>(b[2]), b3 = Broadcast<V>(b[3]);
            for (nint i = 0; i < columns; i += n)
            {
                RowNorm.PrefetchFourVectors<V>(dx0 + RowNorm.PrefetchRows * columns + 4 * i);
                nint lanes = Math.Min(n, columns - i);
                V w = weight == null ? Broadcast<V>(1f) : Load<V>(weight + i, lanes);
                V d0 = rstd0 * (Load<V>(dy0 + i, lanes) * w - a0 - (Load<V>(x0 + i, lanes) - mean0) * rstd0 * b0);
                V d1 = rstd1 * (Load<V>(dy1 + i, lanes) * w - a1 - (Load<V>(x1 + i, lanes) - mean1) * rstd1 * b1);
                V d2 = rstd2 * (Load<V>(dy2 + i, lanes) * w - a2 - (Load<V>(x2 + i, lanes) - mean2) * rstd2 * b2);
                V d3 = rstd3 * (Load<V>(dy3 + i, lanes) * w - a3 - (Load<V>(x3 + i, lanes) - mean3) * rstd3 * b3);
                Dx.Store(d0, dx0 + i, lanes);
                Dx.Store(d1, dx1 + i, lanes);
                Dx.Store(d2, dx2 + i, lanes);
                Dx.Store(d3, dx3 + i, lanes);
            }
        }
    }

    /// <summary>
    /// Adds a row to the column sums and to its own sums: g is dy, h is x^. Past the last column g is zero, whatever h is.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Add<V>(V g, V h, V w, ref V dWeight, ref V dBias, ref V sum, ref V dot) where V : unmanaged
    {
        dWeight = Fma(g, h, dWeight);
        dBias += g;
        g *= w;
        sum += g;
        dot = Fma(g, h, dot);
    }
}
