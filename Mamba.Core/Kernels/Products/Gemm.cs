using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Layout;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>A matrix by its strides: element (i, j) lies at Pointer[i RowStride + j ColumnStride]. A transpose swaps them and copies nothing.</summary>
internal readonly unsafe struct Matrix(float* pointer, nint rowStride, nint columnStride = 1)
{
    public readonly float* Pointer = pointer;
    public readonly nint RowStride = rowStride, ColumnStride = columnStride;

    public Matrix Transposed => new(Pointer, ColumnStride, RowStride);

    public Matrix Offset(nint elements) => new(Pointer + elements, RowStride, ColumnStride);
}

/// <summary>A stretch of memory that the steps of a product ask for, a cache line each, so that it is there when the work after it comes.</summary>
internal readonly unsafe struct PrefetchRange(float* pointer, nint length)
{
    public readonly float* Pointer = pointer;
    public readonly nint Length = length;

    public PrefetchRange Skip(nint floats) => floats < Length ? new(Pointer + floats, Length - floats) : default;
}

/// <summary>
/// C (+)= A B (+ bias). B is packed once into panels of two vectors of columns, as many at a time as stay in the second-level cache. Tiles of twelve rows go
/// down a panel, so that one load from it feeds twelve multiply-adds; A is read in place, the rows of the next tile on their way meanwhile.
/// </summary>
internal static unsafe class Gemm
{
    // Rows of a work item: enough tiles to pay for fetching panels, few enough to share the work of small products.
    private const nint RowBlock = 96;

    // Enough for the threads to end at about the same time; more where an item is large, because its copy serves all columns.
    private const nint FewestItems = 8, FewestCopyingItems = 16;

    // Every block of rows reads B once. One of so many floats comes from behind a cache that others use, too: blocks twice as high read it half as often.
    private const nint LargeFactor = 1 << 21;

    // Panels of half a megabyte, and a copied block of rows, stay in the second-level cache.
    private const nint PanelFloats = 1 << 17;
    private const nint CopiedFloats = RowBlock * 1024;

    // Rows this many floats apart, or a multiple of it, fall into the same two places of the first-level cache, where the twelve of a tile push each other out;
    // so do the steps of a transposed A.
    private const nint ConflictingRows = 512;

    // A long inner dimension with a small result (weight gradients) is split into parts, each with a result of its own.
    private const nint LongestPart = 512;
    private const nint SplitLargestResult = 1 << 16;
    private const nint MostParts = 32;

    // A product of fewer multiply-adds, those of unused lanes among them, takes one thread less time than a second one needs to join.
    private const nint WorthSharing = 1 << 18;

    // Rows of a product for which packing B does not pay.
    private const nint MostRowsInPlace = 9 * MicroKernel.MaxRows;

    // Columns past the last whole panel that are taken as dot products, and rows of these at once.
    private const nint MostDots = 2;
    private const int DotRows = 4;

    /// <summary>C (M x N, rows CRowStride apart) = A (M x K) B (K x N), over several threads.</summary>
    public static void Run(nint m, nint n, nint k, Matrix a, Matrix b, float* c, nint cRowStride, in Epilogue epilogue = default)
    {
        if (m == 0 || n == 0) return;
        VectorWidth width = Isa.For(n);
        // Contiguous rows of whole vectors are panels as they are, only spread out: good enough for a few tiles. So is a single column for its dot products.
        if (n == 1 ? a.ColumnStride == 1 : b.ColumnStride == 1 && n % Isa.Lanes(width) == 0 && m <= MostRowsInPlace)
        {
            Run(m, n, k, a, new PanelView(b.Pointer, b.RowStride, PackedPanels.Width(width)), c, cRowStride, epilogue, width);
            return;
        }
        using Scratch panels = new(PackedPanels.Size(k, n, width));
        PackedPanels.Run(Columns(k, n, b), panels.Pointer, width);
        RunPacked(m, n, k, a, panels.Pointer, c, cRowStride, epilogue, width);
    }

    /// <summary>The same with B packed before, at <paramref name="width"/>.</summary>
    public static void RunPacked(nint m, nint n, nint k, Matrix a, float* panels, float* c, nint cRowStride, in Epilogue epilogue, VectorWidth width) =>
        Run(m, n, k, a, new PanelView(panels, PackedPanels.Width(width), k * PackedPanels.Width(width)), c, cRowStride, epilogue, width);

    private static void Run(nint m, nint n, nint k, Matrix a, PanelView panels, float* c, nint cRowStride, in Epilogue epilogue, VectorWidth width)
    {
        if (m == 0 || n == 0) return;
        SplitKReduction adding = new() { Columns = n, PartResult = m * n, C = c, CRowStride = cRowStride, Epilogue = epilogue };
        if (k == 0)
        {
            Launch.Run(adding, m, RowBlock, width);
            return;
        }
        if (n == 1 && a.ColumnStride == 1)
        {
            // A tile would be empty but for one of its lanes.
            using Scratch column = new(k);
            for (nint i = 0; i < k; i++) column.Pointer[i] = panels.At(i, 0)[0];
            Launch.Run(
                new MatrixVectorProduct { K = k, A = a, B = column.Pointer, C = c, CRowStride = cRowStride, Epilogue = epilogue }, m, Launch.CeilDiv(WorthSharing / 8, k), Isa.For(k));
            return;
        }
        bool transposed = a.RowStride == 1 && a.ColumnStride != 1, split = k >= 4 * LongestPart && m * n <= SplitLargestResult;
        GemmKernel kernel = new() { M = m, N = n, K = k, A = a, B = panels, C = c, CRowStride = cRowStride, Epilogue = epilogue };
        // Rows that conflict are copied: at once where they are few, or many columns need them, else by each work item for itself.
        bool conflicts = (transposed ? a.ColumnStride : a.RowStride) % ConflictingRows == 0, large = k * n >= LargeFactor;
        bool atOnce = conflicts && !transposed && (large || m < FewestCopyingItems * RowBlock);
        using Scratch copied = new(atOnce ? m * OddCacheLines(k) : 0);
        if (atOnce)
        {
            kernel.A = new Matrix(copied.Pointer, OddCacheLines(k));
            StridedCopy.Run(a.Pointer, a.RowStride, copied.Pointer, kernel.A.RowStride, k, m);
        }
        kernel.Copy = conflicts && !atOnce;
        kernel.PartDepth = split ? Launch.BalancedSize(k, Math.Max(LongestPart, Launch.CeilDiv(k, MostParts))) : k;
        // By shape alone, as all of the cutting. Few rows and columns: lower blocks, so that there is work for every thread.
        nint panel = PackedPanels.Width(width), panelCount = Launch.CeilDiv(n, panel), parts = Launch.CeilDiv(k, kernel.PartDepth);
        nint highest = kernel.Copy && large && m >= 16 * RowBlock ? 2 * RowBlock : RowBlock;
        kernel.Rows = Math.Min(highest, MicroKernel.MaxRows * Launch.CeilDiv(m * panelCount * parts, FewestItems * MicroKernel.MaxRows));
        kernel.Depth = transposed ? TileShape.BalancedProductBlock(kernel.PartDepth) : kernel.Copy ? Launch.BalancedSize(kernel.PartDepth, CopiedFloats / kernel.Rows) : kernel.PartDepth;
        // Few rows and many columns: share the columns, too. A copy serves all columns of an item.
        nint blocks = Launch.CeilDiv(m, kernel.Rows), fewest = kernel.Copy ? FewestCopyingItems : FewestItems, wanted = Math.Max(1, panelCount * Math.Min(blocks, fewest) / fewest);
        nint fit = Math.Max(1, PanelFloats / (kernel.Depth * panel));
        kernel.PanelsPerItem = Launch.BalancedSize(panelCount, kernel.Copy ? wanted : Math.Min(wanted, fit));
        kernel.PanelsPerGroup = Launch.BalancedSize(kernel.PanelsPerItem, fit);
        kernel.Shares = Launch.CeilDiv(panelCount, kernel.PanelsPerItem);
        nint items = blocks * kernel.Shares * parts;
        if (parts == 1)
        {
            Launch.Run(kernel, items, m * panelCount * panel * k <= WorthSharing ? items : 1, width);
            return;
        }
        using Scratch results = new(parts * m * n);
        kernel.C = results.Pointer;
        (kernel.CRowStride, kernel.PartResult, kernel.Epilogue) = (n, m * n, default);
        Launch.Run(kernel, items, 1, width);
        adding.Parts = parts;
        adding.Results = results.Pointer;
        Launch.Run(adding, m, RowBlock, width);
    }

    /// <summary>
    /// C (+)= A B on the calling thread, for products inside a kernel: panels of B that cannot be read in place go to a buffer of <see cref="PanelSize{V}"/>.
    /// A tile takes <paramref name="prefetch"/> on by as many lines as it has steps.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Serial<V>(nint m, nint n, nint k, Matrix a, Matrix b, Matrix c, float* panel, bool add, PrefetchRange prefetch = default) where V : unmanaged
    {
        nint width = 2 * Count<V>();
        PanelSource source = Columns(k, n, b);
        TileShape tile = new TileShape { ARowStride = a.RowStride, AColumnStride = a.ColumnStride, Outer = 1, Inner = 1, Length = k, CRowStride = c.RowStride }.InBlocks<V>(TileShape.ProductBlock);
        // A panel for one column or two would cost the tiles as much as for half a vector of them.
        nint dots = a.ColumnStride == 1 && b.RowStride == 1 && k >= Count<V>() && n % width <= MostDots ? n % width : 0;
        if (dots > 0) Dots<V>(m, dots, k, a, b.Offset((n - dots) * b.ColumnStride), c.Offset(n - dots), new Epilogue(add: add));
        for (nint column = 0; column < n - dots; column += width)
        {
            nint lanes = Math.Min(width, n - dots - column);
            // Whole vectors of contiguous rows are a panel as they are.
            bool inPlace = b.ColumnStride == 1 && lanes % Count<V>() == 0;
            if (!inPlace) PackedPanels.Pack<V>(source, column, panel);
            tile.BRowStride = inPlace ? b.RowStride : width;
            for (nint row = 0, rows; row < m; row += rows)
            {
                // What a tile asks for moves with its first row.
                rows = prefetch.Length > 0 ? Math.Min(MicroKernel.MaxRowsOfTwoVectors, m - row) : m - row;
                float* rowOfA = a.Pointer + row * a.RowStride;
                (tile.PrefetchDistance, tile.PrefetchStride) = prefetch.Length > 0 ? ((nint)(prefetch.Pointer - rowOfA), CacheLine) : (0, 0);
                prefetch = prefetch.Skip(k * CacheLine);
                PanelProduct.Run<V>(tile, rows, rowOfA, inPlace ? b.Pointer + column : panel, c.Pointer + row * c.RowStride + column, lanes, new Epilogue(add: add));
            }
        }
    }

    /// <summary>C = A B, to which the epilogue may add, column by column, where the rows of A and the columns of B are contiguous.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Dots<V>(nint m, nint n, nint k, Matrix a, Matrix b, Matrix c, in Epilogue epilogue) where V : unmanaged
    {
        float* sums = stackalloc float[DotRows];
        for (nint column = 0; column < n; column++)
        {
            float* right = b.Pointer + column * b.ColumnStride;
            for (nint row = 0; row < m; row += DotRows)
            {
                // Past the last row it is taken again.
                nint rows = Math.Min(DotRows, m - row), step = a.RowStride;
                float* a0 = a.Pointer + row * step, a1 = a0 + Math.Min(1, rows - 1) * step, a2 = a0 + Math.Min(2, rows - 1) * step, a3 = a0 + (rows - 1) * step;
                V s0 = default, s1 = default, s2 = default, s3 = default;
                for (nint i = 0; i < k; i += Count<V>())
                {
                    nint lanes = Math.Min(Count<V>(), k - i);
                    V x = Load<V>(right + i, lanes);
                    s0 = Fma(x, Load<V>(a0 + i, lanes), s0);
                    s1 = Fma(x, Load<V>(a1 + i, lanes), s1);
                    s2 = Fma(x, Load<V>(a2 + i, lanes), s2);
                    s3 = Fma(x, Load<V>(a3 + i, lanes), s3);
                }
                HorizontalSums.Run(s0, s1, s2, s3, sums, add: false);
                float* to = c.Pointer + row * c.RowStride + column;
                for (nint r = 0; r < rows; r++) to[r * c.RowStride] = epilogue.Add ? to[r * c.RowStride + epilogue.AddendOffset] + sums[r] : sums[r];
            }
        }
    }

    /// <summary>A length of an odd number of cache lines, at least this one: rows so far apart do not fall into the same places of the cache.</summary>
    public static nint OddCacheLines(nint length) => Launch.CeilDiv(length, CacheLine) / 2 * (2 * CacheLine) + CacheLine;

    /// <summary>Floats of a panel.</summary>
    public static nint PanelSize<V>(nint depth) where V : unmanaged => 2 * Count<V>() * depth;

    public static PanelSource Columns(nint k, nint n, Matrix b) =>
        new() { Base = b.Pointer, Outer = 1, Inner = 1, Length = k, RowStride = b.RowStride, Columns = n, ColumnStride = b.ColumnStride };

    /// <summary>B by panels of two vectors of columns: steps of the inner dimension, and panels, lie so far apart.</summary>
    private readonly struct PanelView(float* pointer, nint rowStride, nint panelStride)
    {
        public readonly nint RowStride = rowStride, PanelStride = panelStride;

        public float* At(nint k, nint panel) => pointer + k * RowStride + panel * PanelStride;
    }

    /// <summary>One item: a block of rows times some groups of panels, over a part of the inner dimension.</summary>
    private struct GemmKernel : IKernel
    {
        public nint M, N, K, CRowStride, Rows, PanelsPerItem, PanelsPerGroup, Shares, PartDepth, PartResult;
        public Matrix A;
        public PanelView B;
        public float* C;
        public Epilogue Epilogue;

        /// <summary>How much of the inner dimension is taken at a time.</summary>
        public nint Depth;

        /// <summary>Whether A is copied first, because its rows, or the steps of a transposed one, conflict in the cache.</summary>
        public bool Copy;

        public override readonly string ToString() => $"GemmKernel {M}x{K} {K}x{N}";

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint width = 2 * Count<V>(), blocks = Launch.CeilDiv(M, Rows), group = PanelsPerGroup * width;
            bool transposed = A.RowStride == 1;
            using Scratch copied = new(Copy ? Rows * OddCacheLines(Depth) : 0);
            for (nint item = begin; item < end; item++)
            {
                nint row = item % blocks * Rows, rows = Math.Min(Rows, M - row), share = item / blocks % Shares, part = item / blocks / Shares;
                nint start = part * PartDepth, stop = Math.Min(K, start + PartDepth);
                nint left = share * PanelsPerItem * width, right = Math.Min(N, left + PanelsPerItem * width);
                float* c = C + part * PartResult + row * CRowStride;
                for (nint k = start; k < stop; k += Depth)
                {
                    nint depth = Math.Min(Depth, stop - k);
                    Matrix a = A.Offset(row * A.RowStride + k * A.ColumnStride);
                    if (Copy) a = transposed ? GatherTiles(a, rows, depth, copied.Pointer) : CopyBlock<V>(a, rows, depth, copied.Pointer);
                    nint rowStride = Copy && transposed ? depth : a.RowStride; // twelve gathered rows take twelve times the depth
                    bool first = k == start, last = k + depth >= stop;
                    Epilogue epilogue = new(first ? Epilogue.Bias : null, Epilogue.Add || !first, Epilogue.Relu && last, first ? Epilogue.AddendOffset : 0);
                    // What comes after this: the rows below, or more of these.
                    nint nextBlock = last && row + Rows < M ? Rows * A.RowStride + (start - k) * A.ColumnStride : depth * A.ColumnStride;
                    for (nint from = left; from < right; from += group)
                        Group<V>(a, rowStride, nextBlock, rows, depth, B.At(k, from / width), c + from, Math.Min(group, right - from), epilogue.At(from));
                }
            }
        }

        /// <summary>
        /// C (+)= A B for rows of A, the next of which is <paramref name="rowStride"/> floats on, and adjacent panels. What is <paramref name="nextBlock"/> these rows
        /// of a transposed A is asked for meanwhile.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Group<V>(Matrix a, nint rowStride, nint nextBlock, nint rows, nint depth, float* panels, float* c, nint columns, in Epilogue epilogue) where V : unmanaged
        {
            TileShape tile = new TileShape { ARowStride = a.RowStride, AColumnStride = a.ColumnStride, Outer = 1, Inner = 1, Length = depth, CRowStride = CRowStride }.InBlocks<V>(TileShape.ProductBlock);
            tile.BRowStride = B.RowStride;
            // Rows go down a panel in one go, so that it stays in the first-level cache.
            nint width = 2 * Count<V>(), height = rowStride == a.RowStride ? rows : MicroKernel.MaxRows;
            for (nint r = 0; r < rows; r += height)
            {
                if (a.RowStride == 1 && rowStride == 1) (tile.PrefetchDistance, tile.PrefetchStride) = (MicroKernel.MaxRows, a.ColumnStride);
                else if (a.RowStride == depth) (tile.PrefetchDistance, tile.PrefetchStride) = (MicroKernel.MaxRows * depth, MicroKernel.MaxRows);
                for (nint column = 0; column < columns; column += width)
                {
                    PanelProduct.Run<V>(
                        tile, Math.Min(height, rows - r), a.Pointer + r * rowStride, panels + column / width * B.PanelStride, c + r * CRowStride + column, Math.Min(width, columns - column),
                        epilogue.At(column));
                    (tile.PrefetchDistance, tile.PrefetchStride) = column == 0 && a.RowStride == 1 && rowStride == 1 ? (nextBlock, a.ColumnStride) : (0, 0);
                }
            }
        }

        /// <summary>Rows go to where the next one is an odd number of cache lines on.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static Matrix CopyBlock<V>(Matrix a, nint rows, nint depth, float* to) where V : unmanaged
        {
            const int RowsAhead = 2;
            nint n = Count<V>(), row = OddCacheLines(depth);
            for (nint r = 0; r < rows; r++)
            {
                float* from = a.Pointer + r * a.RowStride, target = to + r * row;
                if (r < rows - RowsAhead) Prefetch(from + RowsAhead * a.RowStride, depth);
                for (nint k = 0; k < depth; k += n) Store(Load<V>(from + k, Math.Min(n, depth - k)), target + k, Math.Min(n, depth - k));
            }
            return new Matrix(to, row);
        }

        /// <summary>The columns of a transposed A go to where those of a tile follow each other, step by step.</summary>
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
    }

    /// <summary>A times a single column; one item is a row.</summary>
    private struct MatrixVectorProduct : IKernel
    {
        public nint K, CRowStride;
        public Matrix A;
        public float* B, C;
        public Epilogue Epilogue;

        public override readonly string ToString() => $"MatrixVectorProduct x{K}";

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            float* c = C + begin * CRowStride;
            Dots<V>(end - begin, 1, K, A.Offset(begin * A.RowStride), new Matrix(B, 1), new Matrix(c, CRowStride), Epilogue);
            if (Epilogue.Bias == null && !Epilogue.Relu) return;
            float bias = Epilogue.Bias == null ? 0f : *Epilogue.Bias;
            for (nint row = begin; row < end; row++, c += CRowStride) *c = Epilogue.Relu ? MathF.Max(0f, *c + bias) : *c + bias;
        }
    }

    /// <summary>C (+)= the sum of the results of parts of the inner dimension; one item is a row.</summary>
    private struct SplitKReduction : IKernel
    {
        public nint Parts, Columns, PartResult, CRowStride;
        public float* Results, C;
        public Epilogue Epilogue;

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint n = Count<V>();
            for (nint row = begin; row < end; row++)
                for (nint column = 0; column < Columns; column += n)
                {
                    nint lanes = Math.Min(n, Columns - column);
                    float* to = C + row * CRowStride + column;
                    V sum = Epilogue.Bias == null ? default : Load<V>(Epilogue.Bias + column, lanes);
                    for (nint part = 0; part < Parts; part++) sum += Load<V>(Results + part * PartResult + row * Columns + column, lanes);
                    if (Epilogue.Add) sum += Load<V>(to + Epilogue.AddendOffset, lanes);
                    Store(Epilogue.Relu ? Max(default, sum) : sum, to, lanes);
                }
        }
    }
}
