using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels;

/// <summary>A matrix by its strides: element (i, j) lies at Pointer[i Row + j Column]. A transpose swaps them and copies nothing.</summary>
internal readonly unsafe struct Matrix(float* pointer, nint row, nint column = 1)
{
    public readonly float* Pointer = pointer;
    public readonly nint Row = row, Column = column;

    public Matrix Transposed => new(Pointer, Column, Row);

    public Matrix Offset(nint elements) => new(Pointer + elements, Row, Column);
}

/// <summary>
/// C (+)= A B (+ bias): B is packed once into panels of two vectors of columns, A is read where it lies, one broadcast a multiply-add. The inner
/// dimension is not blocked: a panel of the depths that occur (up to some 4,600) stays in the second-level cache, from which one load feeds
/// twelve multiply-adds.
/// </summary>
internal static unsafe class Gemm
{
    // Rows of a work item: enough tiles to pay for fetching a panel, few enough to share the work of small products.
    private const nint RowBlock = 96;

    // From so many panels on the rows of an item are copied first: streamed once, instead of fetched line by line from twelve rows at a time, and an odd
    // number of cache lines apart, since rows a power of two apart fall into the same few places of the first-level cache.
    private const nint FewestPanelsToCopy = 3;

    // A long inner dimension with a small result (weight gradients) is split into parts, each with a result of its own.
    private const nint SplitDepth = 512;
    private const nint SplitLargestResult = 1 << 16;

    /// <summary>C (M x N, rows CRow apart) = A (M x K) B (K x N), over several threads.</summary>
    public static void Run(nint m, nint n, nint k, Matrix a, Matrix b, float* c, nint cRow, in Epilogue epilogue = default)
    {
        if (m == 0 || n == 0) return;
        if (k >= 4 * SplitDepth && m * n <= SplitLargestResult)
        {
            RunSplit(m, n, k, a, b, c, cRow, epilogue);
            return;
        }
        VectorWidth width = Isa.For(n);
        using Scratch panels = new(PackPanels.Size(k, n, width));
        PackPanels.Run(Columns(k, n, b), panels.Pointer, width);
        RunPacked(m, n, k, a, panels.Pointer, c, cRow, epilogue, width);
    }

    /// <summary>The same with B packed before, at <paramref name="width"/>.</summary>
    public static void RunPacked(nint m, nint n, nint k, Matrix a, float* panels, float* c, nint cRow, in Epilogue epilogue, VectorWidth width)
    {
        GemmKernel kernel = new() { M = m, N = n, K = k, A = a, Panels = panels, C = c, CRow = cRow, Epilogue = epilogue };
        // Few rows and many columns: share the columns, too. By shape alone.
        nint blocks = Launch.Chunks(m, RowBlock), groups = Launch.Chunks(n, PackPanels.Width(width));
        kernel.RowBlock = RowBlock;
        kernel.PanelsPerItem = blocks >= 8 ? groups : Math.Max(1, groups * blocks / 8);
        kernel.Groups = Launch.Chunks(groups, kernel.PanelsPerItem);
        Launch.Run(kernel, blocks * kernel.Groups, 1, width);
    }

    /// <summary>
    /// C (+)= A B on the calling thread, for products inside a kernel: B is packed panel by panel into a buffer of <see cref="PanelSize{V}"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Serial<V>(nint m, nint n, nint k, Matrix a, Matrix b, Matrix c, float* panel, bool add) where V : unmanaged
    {
        nint width = 2 * Count<V>();
        PanelSource source = Columns(k, n, b);
        TileShape tile = new() { ARow = a.Row, AStep = a.Column, Outer = 1, Inner = 1, Length = k, CRow = c.Row };
        for (nint column = 0; column < n; column += width)
        {
            PackPanels.Pack<V>(source, column, panel);
            MatrixTile.Column<V>(tile, m, a.Pointer, panel, c.Pointer + column, Math.Min(width, n - column), new Epilogue(add: add));
        }
    }

    /// <summary>Floats of a panel.</summary>
    public static nint PanelSize<V>(nint depth) where V : unmanaged => 2 * Count<V>() * depth;

    public static PanelSource Columns(nint k, nint n, Matrix b) =>
        new() { Base = b.Pointer, Outer = 1, Inner = 1, Length = k, Step = b.Row, Columns = n, ColumnStep = b.Column };

    private static void RunSplit(nint m, nint n, nint k, Matrix a, Matrix b, float* c, nint cRow, in Epilogue epilogue)
    {
        nint parts = Math.Min(32, Launch.Chunks(k, SplitDepth)), depth = Launch.Chunks(k, parts);
        parts = Launch.Chunks(k, depth);
        VectorWidth width = Isa.For(n);
        nint packed = PackPanels.Width(width) * depth;
        using Scratch results = new(parts * m * n), panels = new(parts * packed);
        Launch.Run(
            new SplitGemmKernel { M = m, N = n, K = k, Depth = depth, A = a, B = b, Panels = panels.Pointer, PackedSize = packed, Results = results.Pointer },
            parts, 1, width);
        for (nint i = 0; i < m; i++)
            for (nint j = 0; j < n; j++)
            {
                float sum = epilogue.Bias == null ? 0f : epilogue.Bias[j];
                for (nint p = 0; p < parts; p++) sum += results.Pointer[(p * m + i) * n + j];
                if (epilogue.Add) sum += c[i * cRow + j];
                c[i * cRow + j] = epilogue.Relu ? Math.Max(0f, sum) : sum;
            }
    }

    /// <summary>One item: a block of rows times a group of panels.</summary>
    private struct GemmKernel : IKernel
    {
        public nint M, N, K, CRow, RowBlock, PanelsPerItem, Groups;
        public Matrix A;
        public float* Panels, C;
        public Epilogue Epilogue;

        public override readonly string ToString() => $"GemmKernel {M}x{K} {K}x{N}";

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            nint width = 2 * Count<V>();
            TileShape tile = new() { ARow = A.Row, AStep = A.Column, Outer = 1, Inner = 1, Length = K, CRow = CRow };
            bool copy = A.Column == 1 && PanelsPerItem >= FewestPanelsToCopy;
            nint copyRow = Launch.Chunks(K, 16) / 2 * 32 + 16;
            using Scratch copied = new(copy ? RowBlock * copyRow : 0);
            for (nint item = begin; item < end; item++)
            {
                nint row = item / Groups * RowBlock, rows = Math.Min(RowBlock, M - row);
                float* a = A.Pointer + row * A.Row;
                if (copy)
                {
                    for (nint r = 0; r < rows; r++) new ReadOnlySpan<float>(a + r * A.Row, (int)K).CopyTo(new Span<float>(copied.Pointer + r * copyRow, (int)K));
                    a = copied.Pointer;
                    tile.ARow = copyRow;
                }
                nint first = item % Groups * PanelsPerItem * width, last = Math.Min(N, first + PanelsPerItem * width);
                for (nint column = first; column < last; column += width)
                    MatrixTile.Column<V>(
                        tile, rows, a, Panels + column * K, C + row * CRow + column, Math.Min(width, N - column), Epilogue.At(column));
            }
        }
    }

    /// <summary>One item: a part of the inner dimension, packed and multiplied into a result of its own.</summary>
    private struct SplitGemmKernel : IKernel
    {
        public nint M, N, K, Depth, PackedSize;
        public Matrix A, B;
        public float* Panels, Results;

        public override readonly string ToString() => $"SplitGemmKernel {M}x{K} {K}x{N}";

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        public readonly void Run<V>(nint begin, nint end) where V : unmanaged
        {
            for (nint part = begin; part < end; part++)
            {
                nint start = part * Depth, depth = Math.Min(Depth, K - start);
                Serial<V>(M, N, depth, A.Offset(start * A.Column), B.Offset(start * B.Row), new Matrix(Results + part * M * N, N), Panels + part * PackedSize, add: false);
            }
        }
    }
}

/// <summary>Column sums of a matrix of contiguous rows, per chunk of rows: the gradient of a bias.</summary>
internal unsafe struct ColumnSums : IKernel
{
    private const nint RowsPerChunk = 1024;

    private float* _x;
    private float* _partial;
    private nint _columns, _row;

    /// <summary>sums (+)= the sum over <paramref name="rows"/> rows, <paramref name="row"/> apart, of each of the columns.</summary>
    public static void Run(float* x, nint rows, nint columns, nint row, float* sums, bool add)
    {
        nint chunks = Launch.Chunks(rows, RowsPerChunk);
        using Scratch partial = new(chunks * columns);
        Launch.Run(new ColumnSums { _x = x, _partial = partial.Pointer, _columns = columns, _row = row }, rows, RowsPerChunk);
        for (nint c = 0; c < columns; c++)
        {
            float sum = 0f;
            for (nint i = 0; i < chunks; i++) sum += partial.Pointer[i * columns + c];
            sums[c] = add ? sums[c] + sum : sum;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>();
        float* sums = _partial + begin / RowsPerChunk * _columns;
        for (nint c = 0; c < _columns; c += n)
        {
            nint lanes = Math.Min(n, _columns - c);
            V sum = default, sum2 = default;
            float* x = _x + begin * _row + c;
            nint r = begin;
            if (lanes == n)
            {
                for (; r < end - 1; r += 2, x += 2 * _row)
                {
                    sum += Load<V>(x);
                    sum2 += Load<V>(x + _row);
                }
            }
            for (; r < end; r++, x += _row) sum += Load<V>(x, lanes);
            Store(sum + sum2, sums + c, lanes);
        }
    }
}
