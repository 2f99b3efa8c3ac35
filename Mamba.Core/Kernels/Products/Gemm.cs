using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Layout;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>
/// Matrix products, C (+)= A B (+ bias), ReLU. <see cref="GemmPlan"/> makes the choices; <see cref="GemmKernel"/> has the loops.
/// </summary>
internal static unsafe class Gemm
{
    // At most so many columns after the last full panel are computed as dot products.
    private const nint MaxDotColumns = 2;

    public static void Run(nint m, nint n, nint k, Matrix a, Matrix b, float* c, nint cRowStride, in Epilogue epilogue = default)
    {
        VectorWidth width = Isa.For(n);
        GemmPlan plan = GemmPlan.Of(new GemmShape(m, n, k, a.RowStride, a.ColumnStride, b.ColumnStride, IsBPacked: false, width));
        bool packs = plan.BPanels == BPanels.PackFirst && plan.Algorithm == GemmAlgorithm.Tiles;
        using Scratch packed = new(packs ? PackedPanels.Size(k, n, width) : 0);
        if (packs) PackedPanels.Run(PanelSource.Of(k, n, b), packed.Pointer, width);
        PanelView panels = packs ? PanelView.Packed(packed.Pointer, k, plan.PanelWidth) : PanelView.InPlace(b, plan.PanelWidth);
        Execute(plan, a, panels, c, cRowStride, epilogue);
    }

    /// <summary>The same with B already packed, at <paramref name="width"/>.</summary>
    public static void RunPacked(
        nint m, nint n, nint k, Matrix a, float* panels, float* c, nint cRowStride, in Epilogue epilogue, VectorWidth width)
    {
        GemmPlan plan = GemmPlan.Of(new GemmShape(m, n, k, a.RowStride, a.ColumnStride, BColumnStride: 1, IsBPacked: true, width));
        Execute(plan, a, PanelView.Packed(panels, k, plan.PanelWidth), c, cRowStride, epilogue);
    }

    /// <summary>Executes a plan.</summary>
    private static void Execute(in GemmPlan plan, Matrix a, PanelView b, float* c, nint cRowStride, in Epilogue epilogue)
    {
        switch (plan.Algorithm)
        {
            case GemmAlgorithm.Empty:
                break;
            case GemmAlgorithm.EpilogueOnly:
                SplitKReduction nothing = new() { Columns = plan.N, C = c, CRowStride = cRowStride, Epilogue = epilogue };
                Launch.Run(nothing, plan.M, plan.Grain, plan.Width);
                break;
            case GemmAlgorithm.MatrixVector:
                MatrixVector(plan, a, b, c, cRowStride, epilogue);
                break;
            default:
                Tiles(plan, a, b, c, cRowStride, epilogue);
                break;
        }
    }

    private static void MatrixVector(in GemmPlan plan, Matrix a, PanelView b, float* c, nint cRowStride, in Epilogue epilogue)
    {
        using Scratch column = new(plan.K);
        for (nint i = 0; i < plan.K; i++) column.Pointer[i] = b.At(i, 0)[0];
        MatrixVectorProduct kernel = new() { K = plan.K, A = a, B = column.Pointer, C = c, CRowStride = cRowStride, Epilogue = epilogue };
        Launch.Run(kernel, plan.M, plan.Grain, Isa.For(plan.K)); // the lanes are terms of the sum
    }

    private static void Tiles(in GemmPlan plan, Matrix a, PanelView b, float* c, nint cRowStride, in Epilogue epilogue)
    {
        GemmKernel kernel = new() { Plan = plan, A = a, B = b, C = c, CRowStride = cRowStride, Epilogue = epilogue };
        using Scratch copied = new(plan.ACopy == ACopy.AllRows ? plan.M * OddCacheLines(plan.K) : 0);
        if (plan.ACopy == ACopy.AllRows)
        {
            kernel.A = new Matrix(copied.Pointer, OddCacheLines(plan.K));
            StridedCopy.Run(a.Pointer, a.RowStride, copied.Pointer, kernel.A.RowStride, plan.K, plan.M);
        }
        nint parts = plan.Parts, size = plan.M * plan.N;
        if (parts == 1)
        {
            Launch.Run(kernel, plan.Items, plan.Grain, plan.Width);
            return;
        }
        // Split-K: each part has its own result. They are added in order, so the number of threads does not change the bits.
        using Scratch results = new(parts * size);
        kernel.C = results.Pointer;
        (kernel.CRowStride, kernel.PartSize, kernel.Epilogue) = (plan.N, size, default);
        Launch.Run(kernel, plan.Items, plan.Grain, plan.Width);
        SplitKReduction sum = new()
        {
            Parts = parts,
            PartSize = size,
            Results = results.Pointer,
            Columns = plan.N,
            C = c,
            CRowStride = cRowStride,
            Epilogue = epilogue,
        };
        Launch.Run(sum, plan.M, GemmPlan.RowBlock, plan.Width);
    }

    /// <summary>
    /// C (+)= A B on the calling thread, for products inside a kernel. Panels of B that cannot be read in place are packed into a buffer of
    /// <see cref="PanelSize{V}"/> floats. Each step of a tile prefetches one cache line of <paramref name="prefetch"/>.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Serial<V>(nint m, nint n, nint k, Matrix a, Matrix b, Matrix c, float* panel, bool add,
        PrefetchRange prefetch = default)
        where V : unmanaged
    {
        nint width = 2 * Count<V>();
        PanelSource source = PanelSource.Of(k, n, b);
        TileShape tile = TileShape.OfProduct<V>(a, k, c.RowStride);
        // For one or two columns, a panel would take as long as one of half a vector.
        nint dots = a.ColumnStride == 1 && b.RowStride == 1 && k >= Count<V>() && n % width <= MaxDotColumns ? n % width : 0;
        if (dots > 0) DotProducts.Run<V>(m, dots, k, a, b.Offset((n - dots) * b.ColumnStride), c.Offset(n - dots), new Epilogue(add: add));
        for (nint column = 0; column < n - dots; column += width)
        {
            nint lanes = Math.Min(width, n - dots - column);
            // Contiguous rows of full vectors are a panel already.
            bool inPlace = b.ColumnStride == 1 && lanes % Count<V>() == 0;
            if (!inPlace) PackedPanels.Pack<V>(source, column, panel);
            float* panelOfB = inPlace ? b.Pointer + column : panel;
            tile.BRowStride = inPlace ? b.RowStride : width;
            nint largest = lanes <= Count<V>() ? MicroKernel.MaxRows : MicroKernel.MaxRowsOfTwoVectors;
            for (nint row = 0, rows; row < m; row += rows)
            {
                // The prefetch distance is relative to the first row of a tile, so it changes from tile to tile.
                rows = prefetch.Length > 0 ? PanelProduct.Height(m - row, largest) : m - row;
                float* rowOfA = a.Pointer + row * a.RowStride;
                (tile.PrefetchDistance, tile.PrefetchStride) =
                    prefetch.Length > 0 ? ((nint)(prefetch.Pointer - rowOfA), prefetch.Stride) : (0, 0);
                prefetch = prefetch.Skip(k);
                PanelProduct.Run<V>(tile, rows, rowOfA, panelOfB, c.Pointer + row * c.RowStride + column, lanes, new Epilogue(add: add));
            }
        }
    }

    /// <summary>Rounds up to an odd number of cache lines. Rows with such a stride do not map to the same cache sets.</summary>
    public static nint OddCacheLines(nint length) => Launch.CeilDiv(length, CacheLine) / 2 * (2 * CacheLine) + CacheLine;

    /// <summary>Floats per panel.</summary>
    public static nint PanelSize<V>(nint depth) where V : unmanaged => 2 * Count<V>() * depth;
}
