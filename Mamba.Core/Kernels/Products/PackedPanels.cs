using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>
/// A strided matrix B (K x N). Element (k, n) with k = (i, j, l) is Base[i OuterStride + j InnerStride + l RowStride + n ColumnStride]. The
/// three levels of k describe the weights of a convolution, flipped or not, and a band of pixels, without a copy.
/// </summary>
internal unsafe struct PanelSource
{
    public float* Base;
    public nint Outer, OuterStride, Inner, InnerStride, Length, RowStride, Columns, ColumnStride;

    public readonly nint Depth => Outer * Inner * Length;

    /// <summary>A matrix of K rows and N columns.</summary>
    public static PanelSource Of(nint k, nint n, Matrix b) =>
        new() { Base = b.Pointer, Outer = 1, Inner = 1, Length = k, RowStride = b.RowStride, Columns = n, ColumnStride = b.ColumnStride };
}

/// <summary>
/// Packs B for <see cref="MicroKernel"/>: panels of two vectors of columns, each panel k-major, the last one zero-padded.
/// </summary>
internal unsafe struct PackedPanels : IKernel
{
    private const nint RunBlock = 16;

    private const nint RowsPerChunk = 128;

    /// <summary>Rows of the buffer in which a block of channels is transposed with all its taps: 18 KiB.</summary>
    public const nint TransposeRows = 144;

    // Rows of flipped weights are one output channel apart, so they are prefetched.
    private const nint PrefetchSteps = 4;

    public PanelSource Source;
    public float* Target;

    /// <summary>Columns of a panel at a width.</summary>
    public static nint Width(VectorWidth width) => 2 * Isa.Lanes(width);

    /// <summary>Floats of the packed form.</summary>
    public static nint Size(nint depth, nint columns, VectorWidth width) => Launch.CeilDiv(columns, Width(width)) * Width(width) * depth;

    /// <summary>Packs all panels, in parallel.</summary>
    public static void Run(in PanelSource source, float* target, VectorWidth width)
    {
        if (source is { ColumnStride: 1, Outer: 1, Inner: 1 } && source.Columns > Width(width))
            Launch.Run(new PackRows { Source = source, Target = target }, source.Length, RowsPerChunk, width);
        else Launch.Run(new PackedPanels { Source = source, Target = target }, Launch.CeilDiv(source.Columns, Width(width)), 1, width);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint width = 2 * Count<V>();
        for (nint panel = begin; panel < end; panel++)
            Pack<V>(Source, panel * width, Target + panel * width * Source.Depth);
    }

    /// <summary>Packs the panel that starts at a column.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Pack<V>(in PanelSource s, nint column, float* target) where V : unmanaged
    {
        nint width = 2 * Count<V>(), columns = Math.Min(width, s.Columns - column);
        float* from = s.Base + column * s.ColumnStride;
        if (s.ColumnStride == 1)
        {
            PackRowMajor<V>(s, from, columns, target);
            return;
        }
        if (s is { InnerStride: 1, RowStride: > 1 and <= TransposeRows } && s.OuterStride == s.Inner && s.RowStride == s.Outer * s.Inner)
        {
            PackTaps<V>(s, from, columns, target);
            return;
        }
        if (s is { InnerStride: -1, ColumnStride: > 1 and <= TransposeRows } && s.OuterStride == -s.Inner
            && s.ColumnStride == s.Outer * s.Inner)
        {
            nint taps = s.ColumnStride, tap = s.Length * width;
            PackColumnsOfTaps<V>(from - (taps - 1), s.RowStride, s.Length, columns, taps, target + (taps - 1) * tap, -tap);
            return;
        }
        PackStrided(s, from, columns, target, width);
    }

    /// <summary>Packs contiguous rows.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackRowMajor<V>(in PanelSource s, float* from, nint columns, float* target) where V : unmanaged
    {
        nint n = Count<V>(), width = 2 * n;
        nint first = Math.Min(n, columns), second = columns - first;
        for (nint i = 0; i < s.Outer; i++)
            for (nint j = 0; j < s.Inner; j++)
            {
                float* row = from + i * s.OuterStride + j * s.InnerStride;
                for (nint l = 0; l < s.Length; l++, row += s.RowStride, target += width)
                {
                    Store(Load<V>(row, first), target);
                    Store(second > 0 ? Load<V>(row + n, second) : default, target + n);
                }
            }
    }

    /// <summary>Packs rows with strided columns.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void PackStrided(in PanelSource s, float* from, nint columns, float* target, nint width)
    {
        if (columns < width) new Span<float>(target, (int)(width * s.Depth)).Clear();
        // One block of a run is packed for all adjacent runs before the next block. In convolution weights the taps lie between the
        // channels, so each line is read while it is in L1.
        for (nint begin = 0; begin < s.Length; begin += RunBlock)
        {
            nint end = Math.Min(s.Length, begin + RunBlock);
            for (nint i = 0; i < s.Outer; i++)
                for (nint j = 0; j < s.Inner; j++)
                {
                    float* run = from + i * s.OuterStride + j * s.InnerStride, to = target + (i * s.Inner + j) * s.Length * width;
                    if (s.RowStride == 1) Transpose.Run(run + begin, s.ColumnStride, columns, end - begin, to + begin * width, width);
                    else
                        for (nint c = 0; c < columns; c++)
                            for (nint l = begin; l < end; l++) to[l * width + c] = run[c * s.ColumnStride + l * s.RowStride];
                }
        }
    }

    /// <summary>
    /// Packs the weights of a convolution. In each column, a block of channels with all its taps is contiguous. It is transposed in a
    /// buffer, whose rows are then copied to the panel.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private static void PackTaps<V>(in PanelSource s, float* from, nint columns, float* target) where V : unmanaged
    {
        nint width = 2 * Count<V>(), taps = s.RowStride, block = TransposeRows / taps;
        float* transposed = stackalloc float[(int)(TransposeRows * 2 * 16)];
        for (nint begin = 0; begin < s.Length; begin += block)
        {
            nint channels = Math.Min(block, s.Length - begin), rows = channels * taps;
            nint next = Math.Min(block, s.Length - begin - channels) * taps;
            if (columns < width) new Span<float>(transposed, (int)(rows * width)).Clear();
            float* these = from + begin * taps;
            nint shares = Launch.CeilDiv(columns, Transpose.Side);
            for (nint share = 0; share < shares; share++)
            {
                // Prefetch the next block of all columns, and the destinations of all taps of this one.
                PrefetchShare(these + rows, s.ColumnStride, columns, next, share, shares);
                PrefetchShare(target + begin * width, s.Length * width, taps, channels * width, share, shares);
                nint c = share * Transpose.Side;
                Transpose.Run(
                    these + c * s.ColumnStride, s.ColumnStride, Math.Min(Transpose.Side, columns - c), rows, transposed + c, width);
            }
            for (nint tap = 0; tap < taps; tap++)
                for (nint l = 0; l < channels; l++)
                    CopyRow<V>(transposed + (l * taps + tap) * width, target + (tap * s.Length + begin + l) * width);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    public static void PackColumnsOfTaps<V>(float* weights, nint step, nint steps, nint columns, nint taps, float* target, nint tapStride)
        where V : unmanaged
    {
        nint width = 2 * Count<V>();
        float* transposed = stackalloc float[(int)(TransposeRows * 2 * 16)];
        if (columns < width) new Span<float>(transposed, (int)(taps * width)).Clear();
        for (nint l = 0; l < steps; l++, weights += step, target += width)
        {
            if (l < steps - PrefetchSteps) Prefetch(weights + PrefetchSteps * step, columns * taps);
            Transpose.Run(weights, taps, columns, taps, transposed, width);
            for (nint tap = 0; tap < taps; tap++)
            {
                float* to = target + tap * tapStride;
                Prefetch(to + PrefetchSteps * width, width);
                CopyRow<V>(transposed + tap * width, to);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void CopyRow<V>(float* from, float* to) where V : unmanaged
    {
        Store(Load<V>(from), to);
        Store(Load<V>(from + Count<V>()), to + Count<V>());
    }
}

/// <summary>
/// The same for a matrix with contiguous rows wider than a panel. A few rows are distributed to all panels, so that the matrix is read in
/// order. A large matrix is packed row by row, unless its panels exceed the streams that the processor can follow. One item is a row.
/// </summary>
internal unsafe struct PackRows : IKernel
{
    private const nint RowsPerPass = 8;

    // Row by row if at least a megabyte, which does not fit in L2, and at most so many panels.
    private const nint LargeMatrix = 1 << 18, MaxStreams = 16, RowsAhead = 4;

    public PanelSource Source;
    public float* Target;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint width = 2 * Count<V>(), columns = Source.Columns, step = Source.RowStride;
        bool rowByRow = Source.Length * columns >= LargeMatrix && columns <= MaxStreams * width;
        (nint pass, nint ahead) = rowByRow ? (1, RowsAhead) : (RowsPerPass, RowsPerPass);
        PanelSource rows = Source;
        for (nint row = begin; row < end; row += rows.Length)
        {
            rows.Base = Source.Base + row * step;
            rows.Length = Math.Min(pass, end - row);
            for (nint column = 0; column < columns; column += width)
            {
                PrefetchShare(rows.Base + ahead * step + column, step, pass, width, 0, 1);
                PackedPanels.Pack<V>(rows, column, Target + column * Source.Length + row * width);
            }
        }
    }
}
