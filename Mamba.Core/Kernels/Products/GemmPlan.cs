using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Products;

/// <summary>Everything that a plan depends on. It holds no pointer, and nothing about threads.</summary>
/// <param name="M">Rows of A and C.</param>
/// <param name="N">Columns of B and C.</param>
/// <param name="K">Columns of A, rows of B.</param>
/// <param name="ARowStride">Row stride of A in floats.</param>
/// <param name="AColumnStride">Column stride of A in floats; not 1 where A is transposed.</param>
/// <param name="BColumnStride">Column stride of B in floats; ignored where B is packed.</param>
/// <param name="IsBPacked">Whether the caller packed B into panels.</param>
/// <param name="Width">The vector width, also of packed panels.</param>
internal readonly record struct GemmShape(
    nint M, nint N, nint K, nint ARowStride, nint AColumnStride, nint BColumnStride, bool IsBPacked, VectorWidth Width);

/// <summary>How C is computed.</summary>
internal enum GemmAlgorithm
{
    /// <summary>C has no elements.</summary>
    Empty,

    /// <summary>K = 0: C is its bias and addend.</summary>
    EpilogueOnly,

    /// <summary>N = 1 and contiguous rows of A: one dot product per row, since a tile would use a single lane.</summary>
    MatrixVector,

    /// <summary>The five loops around the micro-kernel.</summary>
    Tiles,
}

/// <summary>Where the panels of B are.</summary>
internal enum BPanels
{
    /// <summary>Packed by the caller.</summary>
    Packed,

    /// <summary>Read in place: for few rows, packing would cost up to a tenth of the product.</summary>
    InPlace,

    /// <summary>Packed before the product.</summary>
    PackFirst,
}

/// <summary>Which part of A is copied before the product, because its strides conflict in L1.</summary>
internal enum ACopy
{
    /// <summary>A is read in place.</summary>
    None,

    /// <summary>All rows, once, before the product.</summary>
    AllRows,

    /// <summary>Each work item copies its own block of rows.</summary>
    RowBlocks,

    /// <summary>A is transposed: each work item gathers the columns of its tiles, step by step.</summary>
    TransposedTiles,
}

/// <summary>
/// The choices of a product C = A B: algorithm, copies, packing, and the block of each loop. It is a pure function of
/// <see cref="GemmShape"/>, so the bits of C depend neither on threads nor on addresses.
/// </summary>
/// <remarks>
/// The blocks follow Goto and van de Geijn (2008) and BLIS. A panel of B stays in L1. A group of panels, or a copied block of A, stays in
/// L2. Work items are (block of rows) x (share of panels) x (part of K).
/// </remarks>
internal readonly record struct GemmPlan
{
    /// <summary>
    /// Rows of a work item: eight tiles of twelve. They amortize loading a panel, and small products still have several items.
    /// </summary>
    public const nint RowBlock = 96;

    /// <summary>Minimum work items of a product: enough for all threads to finish at about the same time.</summary>
    public const nint MinItems = 8;

    /// <summary>
    /// The same where each item copies a part of A. The copy serves all columns of an item, so items are wide and more numerous.
    /// </summary>
    public const nint MinCopyingItems = 16;

    /// <summary>Floats of a group of panels: half a megabyte, which stays in L2.</summary>
    public const nint PanelGroupFloats = 1 << 17;

    /// <summary>Floats of a copied block of rows: it stays in L2 too.</summary>
    public const nint CopiedBlockFloats = RowBlock * 1024;

    /// <summary>
    /// A row stride that is a multiple of 2 KiB maps all rows to the same two sets of L1. The twelve rows of a tile then evict each other.
    /// </summary>
    public const nint ConflictStride = 512;

    /// <summary>
    /// Floats from which B comes from beyond the shared cache. Each block of rows reads all of B, so blocks of twice the height halve the
    /// reads.
    /// </summary>
    public const nint LargeB = 1 << 21;

    /// <summary>Rows of A from which a large B gets blocks of twice the height.</summary>
    public const nint MinRowsForTallBlocks = 16 * RowBlock;

    /// <summary>Split-K: minimum terms of a part of K.</summary>
    public const nint MinPartDepth = 512;

    /// <summary>Split-K: maximum parts of K. Each has its own result, and all are added in order.</summary>
    public const nint MaxParts = 32;

    /// <summary>Split-K: elements of the largest C computed in parts; weight gradients are such products.</summary>
    public const nint MaxSplitResult = 1 << 16;

    /// <summary>
    /// Multiply-adds, including unused lanes, up to which a product runs on one thread. Waking a second thread would take longer than the
    /// product.
    /// </summary>
    public const nint MaxSerialMacs = 1 << 18;

    /// <summary>Rows of A up to which packing B does not pay.</summary>
    public const nint MaxRowsInPlace = 9 * MicroKernel.MaxRows;

    /// <summary>The rows of C, and of A.</summary>
    public nint M { get; private init; }

    /// <summary>The columns of C, and of B.</summary>
    public nint N { get; private init; }

    /// <summary>The terms of each sum.</summary>
    public nint K { get; private init; }

    /// <summary>The vector width of the panels.</summary>
    public VectorWidth Width { get; private init; }

    /// <summary>How C is computed.</summary>
    public GemmAlgorithm Algorithm { get; private init; }

    /// <summary>Where the panels of B are.</summary>
    public BPanels BPanels { get; private init; }

    /// <summary>Which part of A is copied.</summary>
    public ACopy ACopy { get; private init; }

    /// <summary>Loop 3, rows of A: rows of a work item.</summary>
    public nint RowsPerBlock { get; private init; }

    /// <summary>Loop 4, terms: the number that a work item multiplies at a time.</summary>
    public nint BlockDepth { get; private init; }

    /// <summary>Split-K: terms per part; K if there is one part.</summary>
    public nint PartDepth { get; private init; }

    /// <summary>Loop 5, columns of B: panels per work item.</summary>
    public nint PanelsPerItem { get; private init; }

    /// <summary>Loop 5 inside a work item: panels that stay in L2 together.</summary>
    public nint PanelsPerGroup { get; private init; }

    /// <summary>Work items per grain: all of them where the product is too small to split.</summary>
    public nint Grain { get; private init; }

    /// <summary>Columns of a panel: two vectors, as in the micro-kernel.</summary>
    public nint PanelWidth => PackedPanels.Width(Width);

    /// <summary>Panels of B.</summary>
    public nint PanelCount => Launch.CeilDiv(N, PanelWidth);

    /// <summary>Blocks of rows.</summary>
    public nint RowBlocks => Launch.CeilDiv(M, RowsPerBlock);

    /// <summary>Shares of the panels.</summary>
    public nint ColumnShares => Launch.CeilDiv(PanelCount, PanelsPerItem);

    /// <summary>Parts of K.</summary>
    public nint Parts => Launch.CeilDiv(K, PartDepth);

    /// <summary>Work items.</summary>
    public nint Items => RowBlocks * ColumnShares * Parts;

    /// <summary>Whether each work item copies its part of A into scratch.</summary>
    public bool CopiesPerItem => ACopy is ACopy.RowBlocks or ACopy.TransposedTiles;

    /// <summary>The plan of a product.</summary>
    public static GemmPlan Of(in GemmShape s)
    {
        GemmPlan plan = new() { M = s.M, N = s.N, K = s.K, Width = s.Width, Algorithm = AlgorithmOf(s), BPanels = BPanelsOf(s) };
        return plan.Algorithm switch
        {
            GemmAlgorithm.Tiles => plan.WithBlocks(s),
            GemmAlgorithm.MatrixVector => plan with { Grain = Launch.CeilDiv(MaxSerialMacs / 8, s.K) },
            _ => plan with { Grain = RowBlock },
        };
    }

    private static GemmAlgorithm AlgorithmOf(in GemmShape s) =>
        s.M == 0 || s.N == 0 ? GemmAlgorithm.Empty
        : s.K == 0 ? GemmAlgorithm.EpilogueOnly
        : s.N == 1 && s.AColumnStride == 1 ? GemmAlgorithm.MatrixVector
        : GemmAlgorithm.Tiles;

    /// <summary>
    /// Contiguous rows of full vectors are strided panels already: good enough for a few tiles. A single column needs no panels for its dot
    /// products.
    /// </summary>
    private static BPanels BPanelsOf(in GemmShape s)
    {
        if (s.IsBPacked) return BPanels.Packed;
        bool isReadable = s.N == 1
            ? s.AColumnStride == 1
            : s.BColumnStride == 1 && s.N % Isa.Lanes(s.Width) == 0 && s.M <= MaxRowsInPlace;
        return isReadable ? BPanels.InPlace : BPanels.PackFirst;
    }

    /// <summary>
    /// All rows are copied once if they are few, or if a large B makes many work items read them. Otherwise each item copies its own.
    /// </summary>
    private static ACopy ACopyOf(in GemmShape s, bool isTransposed, bool isLargeB)
    {
        if ((isTransposed ? s.AColumnStride : s.ARowStride) % ConflictStride != 0) return ACopy.None;
        if (isTransposed) return ACopy.TransposedTiles;
        return isLargeB || s.M < MinCopyingItems * RowBlock ? ACopy.AllRows : ACopy.RowBlocks;
    }

    /// <summary>The blocks of the five loops.</summary>
    private GemmPlan WithBlocks(in GemmShape s)
    {
        bool isTransposed = s.ARowStride == 1 && s.AColumnStride != 1, isLargeB = K * N >= LargeB;
        GemmPlan plan = this with { ACopy = ACopyOf(s, isTransposed, isLargeB), PartDepth = PartDepthOf(s) };
        bool copies = plan.CopiesPerItem;
        nint panels = PanelCount, parts = plan.Parts;
        // Few rows and columns: lower blocks, so that every thread has work.
        nint maxRows = copies && isLargeB && M >= MinRowsForTallBlocks ? 2 * RowBlock : RowBlock;
        nint rows = Math.Min(maxRows, MicroKernel.MaxRows * Launch.CeilDiv(M * panels * parts, MinItems * MicroKernel.MaxRows));
        // A transposed A is processed in blocks of terms; a copied block of rows fits in L2.
        nint depth = isTransposed ? TileShape.BalancedProductBlock(plan.PartDepth)
            : copies ? Launch.BalancedSize(plan.PartDepth, CopiedBlockFloats / rows)
            : plan.PartDepth;
        // Few rows and many columns: also split the columns. A copy serves all columns of an item.
        nint blocks = Launch.CeilDiv(M, rows), items = copies ? MinCopyingItems : MinItems;
        nint shared = Math.Max(1, panels * Math.Min(blocks, items) / items), fit = Math.Max(1, PanelGroupFloats / (depth * PanelWidth));
        nint perItem = Launch.BalancedSize(panels, copies ? shared : Math.Min(shared, fit));
        plan = plan with { RowsPerBlock = rows, BlockDepth = depth, PanelsPerItem = perItem };
        plan = plan with { PanelsPerGroup = Launch.BalancedSize(perItem, fit) };
        bool isSerial = parts == 1 && M * panels * PanelWidth * K <= MaxSerialMacs;
        return plan with { Grain = isSerial ? plan.Items : 1 };
    }

    /// <summary>A long K with a small result is split, so that every thread has work.</summary>
    private static nint PartDepthOf(in GemmShape s) =>
        s.K >= 4 * MinPartDepth && s.M * s.N <= MaxSplitResult
            ? Launch.BalancedSize(s.K, Math.Max(MinPartDepth, Launch.CeilDiv(s.K, MaxParts)))
            : s.K;
}
