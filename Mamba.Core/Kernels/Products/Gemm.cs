using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Layout;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>A matrix by its strides: element (i, j) lies at Pointer[i Row + j Column]. A transpose swaps them and copies nothing.</summary>
internal readonly unsafe struct Matrix(float* pointer, nint row, nint column = 1)
{
    public readonly float* Pointer = pointer;
    public readonly nint Row = row, Column = column;

    public Matrix Transposed => new(Pointer, Column, Row);

    public Matrix Offset(nint elements) => new(Pointer + elements, Row, Column);
}

/// <summary>A stretch of memory that the steps of a product ask for, a cache line each, so that it is there when the work after it comes.</summary>
internal readonly unsafe struct Lookahead(float* pointer, nint length)
{
    public readonly float* Pointer = pointer;
    public readonly nint Length = length;

    public Lookahead After(nint floats) => floats < Length ? new(Pointer + floats, Length - floats) : default;
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
    private const nint MostRowsInPlace = 9 * MatrixTile.MostRows;

    // Columns past the last whole panel that are taken as dot products, and rows of these at once.
    private const nint MostDots = 2;
    private const int DotRows = 4;

    /// <summary>C (M x N, rows CRow apart) = A (M x K) B (K x N), over several threads.</summary>
    public static void Run(nint m, nint n, nint k, Matrix a, Matrix b, float* c, nint cRow, in Epilogue epilogue = default)
    {
        if (m == 0 || n == 0) return;
        VectorWidth width = Isa.For(n);
        // Contiguous rows of whole vectors are panels as they are, only spread out: good enough for a few tiles. So is a single column for its dot products.
        if (n == 1 ? a.Column == 1 : b.Column == 1 && n % Isa.Lanes(width) == 0 && m <= MostRowsInPlace)
        {
            Run(m, n, k, a, new Panels(b.Pointer, b.Row, PackPanels.Width(width)), c, cRow, epilogue, width);
            return;
        }
        using Scratch panels = new(PackPanels.Size(k, n, width));
        PackPanels.Run(Columns(k, n, b), panels.Pointer, width);
        RunPacked(m, n, k, a, panels.Pointer, c, cRow, epilogue, width);
    }

    /// <summary>The same with B packed before, at <paramref name="width"/>.</summary>
    public static void RunPacked(nint m, nint n, nint k, Matrix a, float* panels, float* c, nint cRow, in Epilogue epilogue, VectorWidth width) =>
        Run(m, n, k, a, new Panels(panels, PackPanels.Width(width), k * PackPanels.Width(width)), c, cRow, epilogue, width);

    private static void Run(nint m, nint n, nint k, Matrix a, Panels panels, float* c, nint cRow, in Epilogue epilogue, VectorWidth width)
    {
        if (m == 0 || n == 0) return;
        AddParts adding = new() { Columns = n, PartResult = m * n, C = c, CRow = cRow, Epilogue = epilogue };
        if (k == 0)
        {
            Launch.Run(adding, m, RowBlock, width);
            return;
        }
        if (n == 1 && a.Column == 1)
        {
            // A tile would be empty but for one of its lanes.
            using Scratch column = new(k);
            for (nint i = 0; i < k; i++) column.Pointer[i] = panels.At(i, 0)[0];
            Launch.Run(
                new ColumnProduct { K = k, A = a, B = column.Pointer, C = c, CRow = cRow, Epilogue = epilogue }, m, Launch.Chunks(WorthSharing / 8, k), Isa.For(k));
            return;
        }
        bool transposed = a.Row == 1 && a.Column != 1, split = k >= 4 * LongestPart && m * n <= SplitLargestResult;
        GemmKernel kernel = new() { M = m, N = n, K = k, A = a, B = panels, C = c, CRow = cRow, Epilogue = epilogue };
        // Rows that conflict are copied: at once where they are few, or many columns need them, else by each work item for itself.
        bool conflicts = (transposed ? a.Column : a.Row) % ConflictingRows == 0, large = k * n >= LargeFactor;
        bool atOnce = conflicts && !transposed && (large || m < FewestCopyingItems * RowBlock);
        using Scratch copied = new(atOnce ? m * OddLines(k) : 0);
        if (atOnce)
        {
            kernel.A = new Matrix(copied.Pointer, OddLines(k));
            CopyRows.Run(a.Pointer, a.Row, copied.Pointer, kernel.A.Row, k, m);
        }
        kernel.Copy = conflicts && !atOnce;
        kernel.PartDepth = split ? Launch.Even(k, Math.Max(LongestPart, Launch.Chunks(k, MostParts))) : k;
        // By shape alone, as all of the cutting. Few rows and columns: lower blocks, so that there is work for every thread.
        nint panel = PackPanels.Width(width), panelCount = Launch.Chunks(n, panel), parts = Launch.Chunks(k, kernel.PartDepth);
        nint highest = kernel.Copy && large && m >= 16 * RowBlock ? 2 * RowBlock : RowBlock;
        kernel.Rows = Math.Min(highest, MatrixTile.MostRows * Launch.Chunks(m * panelCount * parts, FewestItems * MatrixTile.MostRows));
        kernel.Depth = transposed ? TileShape.ProductBlock(kernel.PartDepth) : kernel.Copy ? Launch.Even(kernel.PartDepth, CopiedFloats / kernel.Rows) : kernel.PartDepth;
        // Few rows and many columns: share the columns, too. A copy serves all columns of an item.
        nint blocks = Launch.Chunks(m, kernel.Rows), fewest = kernel.Copy ? FewestCopyingItems : FewestItems, wanted = Math.Max(1, panelCount * Math.Min(blocks, fewest) / fewest);
        nint fit = Math.Max(1, PanelFloats / (kernel.Depth * panel));
        kernel.PanelsPerItem = Launch.Even(panelCount, kernel.Copy ? wanted : Math.Min(wanted, fit));
        kernel.PanelsPerGroup = Launch.Even(kernel.PanelsPerItem, fit);
        kernel.Shares = Launch.Chunks(panelCount, kernel.PanelsPerItem);
        nint items = blocks * kernel.Shares * parts;
        if (parts == 1)
        {
            Launch.Run(kernel, items, m * panelCount * panel * k <= WorthSharing ? items : 1, width);
            return;
        }
        using Scratch results = new(parts * m * n);
        kernel.C = results.Pointer;
        (kernel.CRow, kernel.PartResult, kernel.Epilogue) = (n, m * n, default);
        Launch.Run(kernel, items, 1, width);
        adding.Parts = parts;
        adding.Results = results.Pointer;
        Launch.Run(adding, m, RowBlock, width);
    }

    /// <summary>
    /// C (+)= A B on the calling thread, for products inside a kernel: panels of B that cannot be read in place go to a buffer of <see cref="PanelSize{V}"/>.
    /// A tile takes <paramref name="ahead"/> on by as many lines as it has steps.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Serial<V>(nint m, nint n, nint k, Matrix a, Matrix b, Matrix c, float* panel, bool add, Lookahead ahead = default) where V : unmanaged
    {
        nint width = 2 * Count<V>();
        PanelSource source = Columns(k, n, b);
        TileShape tile = new TileShape { ARow = a.Row, AStep = a.Column, Outer = 1, Inner = 1, Length = k, CRow = c.Row }.Cut<V>(TileShape.LongestProduct);
        // A panel for one column or two would cost the tiles as much as for half a vector of them.
        nint dots = a.Column == 1 && b.Row == 1 && k >= Count<V>() && n % width <= MostDots ? n % width : 0;
        if (dots > 0) Dots<V>(m, dots, k, a, b.Offset((n - dots) * b.Column), c.Offset(n - dots), new Epilogue(add: add));
        for (nint column = 0; column < n - dots; column += width)
        {
            nint lanes = Math.Min(width, n - dots - column);
            // Whole vectors of contiguous rows are a panel as they are.
            bool inPlace = b.Column == 1 && lanes % Count<V>() == 0;
            if (!inPlace) PackPanels.Pack<V>(source, column, panel);
            tile.BStep = inPlace ? b.Row : width;
            for (nint row = 0, rows; row < m; row += rows)
            {
                // What a tile asks for moves with its first row.
                rows = ahead.Length > 0 ? Math.Min(MatrixTile.Rows, m - row) : m - row;
                float* rowOfA = a.Pointer + row * a.Row;
                (tile.Ahead, tile.AheadStep) = ahead.Length > 0 ? ((nint)(ahead.Pointer - rowOfA), CacheLine) : (0, 0);
                ahead = ahead.After(k * CacheLine);
                TileColumn.Run<V>(tile, rows, rowOfA, inPlace ? b.Pointer + column : panel, c.Pointer + row * c.Row + column, lanes, new Epilogue(add: add));
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
            float* right = b.Pointer + column * b.Column;
            for (nint row = 0; row < m; row += DotRows)
            {
                // Past the last row it is taken again.
                nint rows = Math.Min(DotRows, m - row), step = a.Row;
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
                RowSums.Run(s0, s1, s2, s3, sums, add: false);
                float* to = c.Pointer + row * c.Row + column;
                for (nint r = 0; r < rows; r++) to[r * c.Row] = epilogue.Add ? to[r * c.Row + epilogue.Apart] + sums[r] : sums[r];
            }
        }
    }

    /// <summary>A length of an odd number of cache lines, at least this one: rows so far apart do not fall into the same places of the cache.</summary>
    public static nint OddLines(nint length) => Launch.Chunks(length, CacheLine) / 2 * (2 * CacheLine) + CacheLine;

    /// <summary>Floats of a panel.</summary>
    public static nint PanelSize<V>(nint depth) where V : unmanaged => 2 * Count<V>() * depth;

    public static PanelSource Columns(nint k, nint n, Matrix b) =>
        new() { Base = b.Pointer, Outer = 1, Inner = 1, Length = k, Step = b.Row, Columns = n, ColumnStep = b.Column };

    /// <summary>B by panels of two vectors of columns: steps of the inner dimension, and panels, lie so far apart.</summary>
    private readonly struct Panels(float* pointer, nint step, nint apart)
    {
        public readonly nint Step = step, Apart = apart;

        public float* At(nint k, nint panel) => pointer + k * Step + panel * Apart;
    }

    /// <summary>One item: a block of rows times some groups of panels, over a part of the inner dimension.</summary>
    private struct GemmKernel : IKernel
    {
        public nint M, N, K, CRow, Rows, PanelsPerItem, PanelsPerGroup, Shares, PartDepth, PartResult;
        public Matrix A;
        public Panels B;
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
            nint width = 2 * Count<V>(), blocks = Launch.Chunks(M, Rows), group = PanelsPerGroup * width;
            bool transposed = A.Row == 1;
            using Scratch copied = new(Copy ? Rows * OddLines(Depth) : 0);
            for (nint item = begin; item < end; item++)
            {
                nint row = item % blocks * Rows, rows = Math.Min(Rows, M - row), share = item / blocks % Shares, part = item / blocks / Shares;
                nint start = part * PartDepth, stop = Math.Min(K, start + PartDepth);
                nint left = share * PanelsPerItem * width, right = Math.Min(N, left + PanelsPerItem * width);
                float* c = C + part * PartResult + row * CRow;
                for (nint k = start; k < stop; k += Depth)
                {
                    nint depth = Math.Min(Depth, stop - k);
                    Matrix a = A.Offset(row * A.Row + k * A.Column);
                    if (Copy) a = transposed ? GatherTiles(a, rows, depth, copied.Pointer) : CopyBlock<V>(a, rows, depth, copied.Pointer);
                    nint next = Copy && transposed ? depth : a.Row; // twelve gathered rows take twelve times the depth
                    bool first = k == start, last = k + depth >= stop;
                    Epilogue epilogue = new(first ? Epilogue.Bias : null, Epilogue.Add || !first, Epilogue.Relu && last, first ? Epilogue.Apart : 0);
                    // What comes after this: the rows below, or more of these.
                    nint beyond = last && row + Rows < M ? Rows * A.Row + (start - k) * A.Column : depth * A.Column;
                    for (nint from = left; from < right; from += group)
                        Group<V>(a, next, beyond, rows, depth, B.At(k, from / width), c + from, Math.Min(group, right - from), epilogue.At(from));
                }
            }
        }

        /// <summary>
        /// C (+)= A B for rows of A, the next of which is <paramref name="next"/> floats on, and adjacent panels. What is <paramref name="beyond"/> these rows
        /// of a transposed A is asked for meanwhile.
        /// </summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private readonly void Group<V>(Matrix a, nint next, nint beyond, nint rows, nint depth, float* panels, float* c, nint columns, in Epilogue epilogue) where V : unmanaged
        {
            TileShape tile = new TileShape { ARow = a.Row, AStep = a.Column, Outer = 1, Inner = 1, Length = depth, CRow = CRow }.Cut<V>(TileShape.LongestProduct);
            tile.BStep = B.Step;
            // Rows go down a panel in one go, so that it stays in the first-level cache.
            nint width = 2 * Count<V>(), height = next == a.Row ? rows : MatrixTile.MostRows;
            for (nint r = 0; r < rows; r += height)
            {
                if (a.Row == 1 && next == 1) (tile.Ahead, tile.AheadStep) = (MatrixTile.MostRows, a.Column);
                else if (a.Row == depth) (tile.Ahead, tile.AheadStep) = (MatrixTile.MostRows * depth, MatrixTile.MostRows);
                for (nint column = 0; column < columns; column += width)
                {
                    TileColumn.Run<V>(
                        tile, Math.Min(height, rows - r), a.Pointer + r * next, panels + column / width * B.Apart, c + r * CRow + column, Math.Min(width, columns - column),
                        epilogue.At(column));
                    (tile.Ahead, tile.AheadStep) = column == 0 && a.Row == 1 && next == 1 ? (beyond, a.Column) : (0, 0);
                }
            }
        }

        /// <summary>Rows go to where the next one is an odd number of cache lines on.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static Matrix CopyBlock<V>(Matrix a, nint rows, nint depth, float* to) where V : unmanaged
        {
            const int RowsAhead = 2;
            nint n = Count<V>(), row = OddLines(depth);
            for (nint r = 0; r < rows; r++)
            {
                float* from = a.Pointer + r * a.Row, target = to + r * row;
                if (r < rows - RowsAhead) Prefetch(from + RowsAhead * a.Row, depth);
                for (nint k = 0; k < depth; k += n) Store(Load<V>(from + k, Math.Min(n, depth - k)), target + k, Math.Min(n, depth - k));
            }
            return new Matrix(to, row);
        }

        /// <summary>The columns of a transposed A go to where those of a tile follow each other, step by step.</summary>
        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private static Matrix GatherTiles(Matrix a, nint rows, nint depth, float* to)
        {
            const int Height = MatrixTile.MostRows, StepsAhead = 8;
            float* from = a.Pointer;
            for (nint k = 0; k < depth; k++, from += a.Column, to += Height)
            {
                if (k < depth - StepsAhead) Prefetch(from + StepsAhead * a.Column, rows);
                nint r = 0;
                for (; r <= rows - Height; r += Height) CopyTwelve(from + r, to + r * depth);
                for (nint i = r; i < rows; i++) to[r * depth + i - r] = from[i];
            }
            return new Matrix(to - depth * Height, 1, Height);
        }
    }

    /// <summary>A times a single column; one item is a row.</summary>
    private struct ColumnProduct : IKernel
    {
        public nint K, CRow;
        public Matrix A;
        public float* B, C;
        public Epilogue Epilogue;

        public override readonly string ToString() => $"ColumnProduct x{K}";

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            float* c = C + begin * CRow;
            Dots<V>(end - begin, 1, K, A.Offset(begin * A.Row), new Matrix(B, 1), new Matrix(c, CRow), Epilogue);
            if (Epilogue.Bias == null && !Epilogue.Relu) return;
            float bias = Epilogue.Bias == null ? 0f : *Epilogue.Bias;
            for (nint row = begin; row < end; row++, c += CRow) *c = Epilogue.Relu ? MathF.Max(0f, *c + bias) : *c + bias;
        }
    }

    /// <summary>C (+)= the sum of the results of parts of the inner dimension; one item is a row.</summary>
    private struct AddParts : IKernel
    {
        public nint Parts, Columns, PartResult, CRow;
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
                    float* to = C + row * CRow + column;
                    V sum = Epilogue.Bias == null ? default : Load<V>(Epilogue.Bias + column, lanes);
                    for (nint part = 0; part < Parts; part++) sum += Load<V>(Results + part * PartResult + row * Columns + column, lanes);
                    if (Epilogue.Add) sum += Load<V>(to + Epilogue.Apart, lanes);
                    Store(Epilogue.Relu ? Max(default, sum) : sum, to, lanes);
                }
        }
    }
}
