using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>B as panels of two vectors of columns, packed or in place.</summary>
internal readonly unsafe struct PanelView
{
    private readonly float* _pointer;

    private PanelView(float* pointer, nint rowStride, nint panelStride)
    {
        _pointer = pointer;
        RowStride = rowStride;
        PanelStride = panelStride;
    }

    /// <summary>Row stride in floats.</summary>
    public readonly nint RowStride;

    /// <summary>Panel stride in floats.</summary>
    public readonly nint PanelStride;

    /// <summary>Panels as <see cref="PackedPanels"/> writes them.</summary>
    public static PanelView Packed(float* panels, nint k, nint width) => new(panels, width, k * width);

    /// <summary>Contiguous rows of full vectors, read in place.</summary>
    public static PanelView InPlace(Matrix b, nint width) => new(b.Pointer, b.RowStride, width);

    public float* At(nint k, nint panel) => _pointer + k * RowStride + panel * PanelStride;
}

/// <summary>
/// The five loops of Goto and van de Geijn, numbered as in BLIS. One item is a block of rows times a share of the panels, over a part of K.
/// </summary>
/// <remarks>
/// <code>
/// items   loop 5 (jc): share of the panels       loop 3 (ic): block of rows       split-K: part of K
///   loop 4 (pc): depth of a block                copied rows of A             in L2
///     loop 5 again: group of panels              at most half a megabyte of B in L2
///       loop 2 (jr): a panel                     a block of its terms         in L1
///         loop 1 (ir): a tile of rows            12 rows x 2 vectors          in registers
///           micro-kernel: a term                 one load of B feeds 12 multiply-adds
/// </code>
/// Loop 3 is outside loop 4, unlike in BLIS: A is mostly read in place, and an item then writes its part of C once.
/// </remarks>
internal unsafe struct GemmKernel : IKernel
{
    public GemmPlan Plan;
    public Matrix A;
    public PanelView B;
    public float* C;
    public Epilogue Epilogue;

    /// <summary>Row stride of C, and stride between the results of parts of K, in floats.</summary>
    public nint CRowStride, PartSize;

    public override readonly string ToString() => $"GemmKernel {Plan.M}x{Plan.K} {Plan.K}x{Plan.N}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint width = 2 * Count<V>(), blocks = Plan.RowBlocks, shares = Plan.ColumnShares;
        nint blockRows = Plan.RowsPerBlock, blockDepth = Plan.BlockDepth, itemColumns = Plan.PanelsPerItem * width;
        using Scratch copied = new(Plan.CopiesPerItem ? blockRows * Gemm.OddCacheLines(blockDepth) : 0);
        for (nint item = begin; item < end; item++)
        {
            // Loops 5 and 3, and split-K: the items.
            nint row = item % blocks * blockRows, share = item / blocks % shares, part = item / blocks / shares;
            nint rows = Math.Min(blockRows, Plan.M - row);
            nint left = share * itemColumns, right = Math.Min(Plan.N, left + itemColumns);
            nint start = part * Plan.PartDepth, stop = Math.Min(Plan.K, start + Plan.PartDepth);
            float* c = C + part * PartSize + row * CRowStride;
            // Loop 4: the first block of terms writes C with the bias, later ones add, and the last one applies ReLU.
            for (nint k = start; k < stop; k += blockDepth)
            {
                nint depth = Math.Min(blockDepth, stop - k);
                bool first = k == start, last = k + depth >= stop;
                RowsOfA a = Rows<V>(row, rows, k, depth, copied.Pointer);
                // The block to prefetch: the rows below this one, or more terms of the same rows.
                a.NextBlock = last && row + blockRows < Plan.M
                    ? blockRows * A.RowStride + (start - k) * A.ColumnStride
                    : depth * A.ColumnStride;
                Epilogue epilogue = new(
                    first ? Epilogue.Bias : null, Epilogue.Add || !first, Epilogue.Relu && last, first ? Epilogue.AddendOffset : 0);
                Groups<V>(a, k, left, right, c, epilogue);
            }
        }
    }

    /// <summary>A block of rows and terms: in place, copied, or gathered tile by tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly RowsOfA Rows<V>(nint row, nint rows, nint k, nint depth, float* scratch) where V : unmanaged
    {
        Matrix a = A.Offset(row * A.RowStride + k * A.ColumnStride);
        if (Plan.ACopy == ACopy.RowBlocks) a = CopyBlock<V>(a, rows, depth, scratch);
        if (Plan.ACopy == ACopy.TransposedTiles) a = GatherTiles(a, rows, depth, scratch);
        // Twelve gathered rows take twelve times the depth.
        return new RowsOfA
        {
            Matrix = a,
            RowStride = Plan.ACopy == ACopy.TransposedTiles ? depth : a.RowStride,
            Rows = rows,
            Depth = depth,
        };
    }

    /// <summary>Loop 5 inside an item: groups of panels that fit in L2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Groups<V>(in RowsOfA a, nint k, nint left, nint right, float* c, in Epilogue epilogue) where V : unmanaged
    {
        nint width = 2 * Count<V>(), group = Plan.PanelsPerGroup * width;
        for (nint from = left; from < right; from += group)
            Group<V>(a, B.At(k, from / width), c + from, Math.Min(group, right - from), epilogue.At(from));
    }

    /// <summary>Loops 2 and 1: C (+)= A B for a block of rows and a group of panels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void Group<V>(in RowsOfA block, float* panels, float* c, nint columns, in Epilogue epilogue) where V : unmanaged
    {
        Matrix a = block.Matrix;
        nint rows = block.Rows, depth = block.Depth, rowStride = block.RowStride;
        TileShape tile = TileShape.OfProduct<V>(a, depth, CRowStride);
        tile.BRowStride = B.RowStride;
        // All rows use a panel before the next one, so that the panel stays in L1. Gathered tiles are not contiguous: they are processed
        // one at a time.
        nint width = 2 * Count<V>(), height = rowStride == a.RowStride ? rows : MicroKernel.MaxRows;
        bool transposedInPlace = a.RowStride == 1 && rowStride == 1;
        for (nint r = 0; r < rows; r += height)
        {
            if (transposedInPlace) (tile.PrefetchDistance, tile.PrefetchStride) = (MicroKernel.MaxRows, a.ColumnStride);
            else if (a.RowStride == depth)
                (tile.PrefetchDistance, tile.PrefetchStride) = (MicroKernel.MaxRows * depth, MicroKernel.MaxRows);
            for (nint column = 0; column < columns; column += width)
            {
                PanelProduct.Run<V>(
                    tile, Math.Min(height, rows - r), a.Pointer + r * rowStride, panels + column / width * B.PanelStride,
                    c + r * CRowStride + column, Math.Min(width, columns - column), epilogue.At(column));
                // After the first panel the rows are in the cache. The second one prefetches the next block of a transposed A.
                (tile.PrefetchDistance, tile.PrefetchStride) =
                    column == 0 && transposedInPlace ? (block.NextBlock, a.ColumnStride) : (0, 0);
            }
        }
    }

    /// <summary>Copies rows to a stride of an odd number of cache lines.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Matrix CopyBlock<V>(Matrix a, nint rows, nint depth, float* to) where V : unmanaged
    {
        const int PrefetchRows = 2;
        nint n = Count<V>(), stride = Gemm.OddCacheLines(depth);
        for (nint r = 0; r < rows; r++)
        {
            float* from = a.Pointer + r * a.RowStride, target = to + r * stride;
            if (r < rows - PrefetchRows) Prefetch(from + PrefetchRows * a.RowStride, depth);
            for (nint k = 0; k < depth; k += n) Store(Load<V>(from + k, Math.Min(n, depth - k)), target + k, Math.Min(n, depth - k));
        }
        return new Matrix(to, stride);
    }

    /// <summary>Gathers a transposed A tile by tile: for each term, the twelve rows of a tile are contiguous.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Matrix GatherTiles(Matrix a, nint rows, nint depth, float* to)
    {
        const int Height = MicroKernel.MaxRows, PrefetchSteps = 8;
        float* from = a.Pointer;
        for (nint k = 0; k < depth; k++, from += a.ColumnStride, to += Height)
        {
            if (k < depth - PrefetchSteps) Prefetch(from + PrefetchSteps * a.ColumnStride, rows);
            nint r = 0;
            for (; r <= rows - Height; r += Height) CopyTwelve(from + r, to + r * depth);
            for (nint i = r; i < rows; i++) to[r * depth + i - r] = from[i];
        }
        return new Matrix(to - depth * Height, 1, Height);
    }

    /// <summary>A block of A.</summary>
    private struct RowsOfA
    {
        public Matrix Matrix;

        /// <summary>The tile stride in floats divided by the rows of a tile.</summary>
        public nint RowStride;

        public nint Rows, Depth;

        /// <summary>The distance in floats from this block of a transposed A to the prefetched one.</summary>
        public nint NextBlock;
    }
}
