using Mamba.Core;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Simd;

namespace Mamba.Tests.Core;

/// <summary>
/// The choices of matrix products. A plan needs no hardware: the fixed widths are all tested wherever this runs.
/// </summary>
internal sealed class GemmPlanTests
{
    private static readonly VectorWidth[] s_widths = [VectorWidth.Scalar, VectorWidth.V128, VectorWidth.V256, VectorWidth.V512];

    // Odd sizes, the sizes of the zoo, and sizes on both sides of every constant of the plan.
    private static readonly nint[] s_rows = [1, 2, 11, 12, 13, 95, 96, 97, 108, 109, 1535, 1536, 4160];
    private static readonly nint[] s_columns = [1, 3, 8, 17, 32, 33, 168, 672, 2048, 4099];
    private static readonly nint[] s_depths = [1, 7, 96, 384, 385, 512, 1024, 2047, 2048, 2049, 16384];

    private static GemmPlan Plan(
        nint m, nint n, nint k, VectorWidth width, bool transposedA = false, bool transposedB = false, bool packed = false) =>
        GemmPlan.Of(new GemmShape(m, n, k, transposedA ? 1 : k, transposedA ? m : 1, transposedB ? k : 1, packed, width));

    [Test]
    public void No_elements_need_no_algorithm()
    {
        Assert.That(Plan(0, 5, 7, VectorWidth.V256).Algorithm, Is.EqualTo(GemmAlgorithm.Empty));
        Assert.That(Plan(5, 0, 7, VectorWidth.V256).Algorithm, Is.EqualTo(GemmAlgorithm.Empty));
        Assert.That(Plan(0, 0, 0, VectorWidth.V256).Algorithm, Is.EqualTo(GemmAlgorithm.Empty));
    }

    [Test]
    public void No_terms_leave_the_epilogue([Values(1, 5)] int n)
    {
        GemmPlan plan = Plan(200, n, 0, VectorWidth.V256);
        Assert.That(plan.Algorithm, Is.EqualTo(GemmAlgorithm.EpilogueOnly));
        Assert.That(plan.Grain, Is.EqualTo(GemmPlan.RowBlock));
    }

    // Grain: 2^15 multiply-adds, rounded up to whole rows.
    [TestCase(1, 32768), TestCase(512, 64), TestCase(1000, 33), TestCase(40000, 1)]
    public void One_column_is_dot_products(int k, int grain)
    {
        GemmPlan plan = Plan(65, 1, k, VectorWidth.V512);
        Assert.That(plan.Algorithm, Is.EqualTo(GemmAlgorithm.MatrixVector));
        Assert.That(plan.BPanels, Is.EqualTo(BPanels.InPlace));
        Assert.That((int)plan.Grain, Is.EqualTo(grain));
        Assert.That(Plan(65, 1, k, VectorWidth.V512, packed: true).Algorithm, Is.EqualTo(GemmAlgorithm.MatrixVector));
    }

    [Test]
    public void One_column_of_a_transposed_matrix_is_tiles()
    {
        GemmPlan plan = Plan(65, 1, 40, VectorWidth.V128, transposedA: true);
        Assert.That(plan.Algorithm, Is.EqualTo(GemmAlgorithm.Tiles));
        Assert.That(plan.BPanels, Is.EqualTo(BPanels.PackFirst));
    }

    // Whole vectors, contiguous rows and nine tiles of rows at most: all three, or B is packed.
    [TestCase(108, 32, false, BPanels.InPlace), TestCase(109, 32, false, BPanels.PackFirst), TestCase(1, 16, false, BPanels.InPlace)]
    [TestCase(108, 33, false, BPanels.PackFirst), TestCase(108, 8, false, BPanels.PackFirst), TestCase(108, 32, true, BPanels.PackFirst)]
    public void Few_rows_read_B_in_place(int m, int n, bool transposedB, object expected)
    {
        Assert.That(Plan(m, n, 64, VectorWidth.V512, transposedB: transposedB).BPanels, Is.EqualTo(expected));
        Assert.That(Plan(m, n, 64, VectorWidth.V512, transposedB: transposedB, packed: true).BPanels, Is.EqualTo(BPanels.Packed));
    }

    [Test]
    public void In_place_means_whole_vectors_of_the_width()
    {
        foreach (VectorWidth width in s_widths)
            foreach (nint n in s_columns)
                if (n > 1)
                {
                    BPanels expected = n % Lanes(width) == 0 ? BPanels.InPlace : BPanels.PackFirst;
                    Assert.That(Plan(12, n, 64, width).BPanels, Is.EqualTo(expected), $"{width}, {n} columns");
                }
    }

    [TestCase(40, 40, 511, ACopy.None), TestCase(40, 40, 513, ACopy.None), TestCase(40, 40, 256, ACopy.None)]
    [TestCase(40, 40, 512, ACopy.AllRows), TestCase(1535, 40, 512, ACopy.AllRows)] // few rows
    [TestCase(1536, 40, 512, ACopy.RowBlocks), TestCase(4160, 40, 1024, ACopy.RowBlocks)] // many
    [TestCase(1600, 2080, 1024, ACopy.AllRows)] // many, and many panels that need them
    public void Rows_in_conflict_are_copied(int m, int n, int k, object expected) =>
        Assert.That(Plan(m, n, k, VectorWidth.V512).ACopy, Is.EqualTo(expected));

    [TestCase(500, ACopy.None), TestCase(512, ACopy.TransposedTiles), TestCase(1000, ACopy.None), TestCase(2048, ACopy.TransposedTiles)]
    public void Terms_in_conflict_are_gathered(int m, object expected)
    {
        GemmPlan plan = Plan(m, 64, 300, VectorWidth.V256, transposedA: true);
        Assert.That(plan.ACopy, Is.EqualTo(expected));
        Assert.That(plan.CopiesPerItem, Is.EqualTo((ACopy)expected == ACopy.TransposedTiles));
    }

    [Test]
    public void A_single_column_of_A_is_not_transposed()
    {
        // Both strides are 1. The rows do not conflict, and the depth is not cut.
        GemmPlan plan = Plan(4096, 12, 1, VectorWidth.V512);
        Assert.That(plan.ACopy, Is.EqualTo(ACopy.None));
        Assert.That((int)plan.BlockDepth, Is.EqualTo(1));
    }

    // At least 2048 terms and at most 2^16 results; parts of at least 512 terms, at most 32 of them.
    [TestCase(32, 32, 2047, 1), TestCase(32, 32, 2048, 4), TestCase(32, 32, 16384, 32), TestCase(32, 32, 100000, 32)]
    [TestCase(256, 256, 4096, 8), TestCase(256, 257, 4096, 1)]
    public void Long_sums_with_few_results_are_split(int m, int n, int k, int parts)
    {
        GemmPlan plan = Plan(m, n, k, VectorWidth.V512, transposedA: true);
        Assert.That((int)plan.Parts, Is.EqualTo(parts));
        Assert.That((int)plan.PartDepth, Is.EqualTo((k + parts - 1) / parts));
        if (parts > 1) Assert.That((int)plan.Grain, Is.EqualTo(1));
    }

    // 32 columns are a panel of AVX-512: 2^18 multiply-adds are 64 rows of 128 terms.
    [TestCase(64, 32, 128, true), TestCase(65, 32, 128, false), TestCase(64, 17, 128, true), TestCase(65, 17, 128, false)]
    [TestCase(64, 33, 64, true), TestCase(64, 33, 65, false)]
    public void Small_products_stay_on_one_thread(int m, int n, int k, bool serial)
    {
        GemmPlan plan = Plan(m, n, k, VectorWidth.V512);
        Assert.That(plan.Items, Is.GreaterThan((nint)1), "otherwise there is nothing to decide");
        Assert.That(plan.Grain, Is.EqualTo(serial ? plan.Items : 1));
    }

    [Test]
    public void Blocks_of_a_large_square_product()
    {
        GemmPlan plan = Plan(1000, 1000, 1000, VectorWidth.V512);
        Assert.That(plan.PanelCount, Is.EqualTo((nint)32));
        Assert.That((plan.RowsPerBlock, plan.BlockDepth), Is.EqualTo((GemmPlan.RowBlock, (nint)1000)));
        // 2^17 floats hold four panels of 1000 terms; rows alone give every thread work.
        Assert.That((plan.PanelsPerItem, plan.PanelsPerGroup, plan.ColumnShares), Is.EqualTo(((nint)4, (nint)4, (nint)8)));
        Assert.That(plan.Items, Is.EqualTo((nint)(11 * 8)));
    }

    [Test]
    public void Few_rows_share_the_columns()
    {
        GemmPlan wide = Plan(12, 4096, 200, VectorWidth.V512), deep = Plan(12, 4096, 528, VectorWidth.V512);
        Assert.That((wide.RowBlocks, wide.ColumnShares), Is.EqualTo(((nint)1, (nint)8)));
        Assert.That((deep.RowBlocks, deep.ColumnShares), Is.EqualTo(((nint)1, (nint)19)), "seven deep panels fill the second-level cache");
    }

    [Test]
    public void Few_columns_lower_the_blocks()
    {
        // One panel: 24 rows an item make the eight items that 96 would not.
        GemmPlan plan = Plan(192, 24, 64, VectorWidth.V512);
        Assert.That((plan.RowsPerBlock, plan.RowBlocks), Is.EqualTo(((nint)24, (nint)8)));
    }

    [Test]
    public void A_copied_block_serves_all_columns_and_fits_the_cache()
    {
        GemmPlan plan = Plan(4160, 500, 4096, VectorWidth.V512);
        Assert.That(plan.ACopy, Is.EqualTo(ACopy.RowBlocks));
        Assert.That(plan.ColumnShares, Is.EqualTo((nint)1));
        Assert.That((plan.RowsPerBlock, plan.BlockDepth), Is.EqualTo((GemmPlan.RowBlock, (nint)1024)));
        Assert.That(plan.PanelsPerGroup, Is.LessThan(plan.PanelsPerItem), "a group stays in the second-level cache, an item does not");
    }

    [Test]
    public void A_large_B_is_read_by_tall_blocks_of_gathered_rows()
    {
        GemmPlan tall = Plan(2048, 2048, 1024, VectorWidth.V512, transposedA: true);
        GemmPlan low = Plan(2048, 2047, 1024, VectorWidth.V512, transposedA: true);
        Assert.That((tall.ACopy, tall.RowsPerBlock), Is.EqualTo((ACopy.TransposedTiles, 2 * GemmPlan.RowBlock)));
        Assert.That((low.ACopy, low.RowsPerBlock), Is.EqualTo((ACopy.TransposedTiles, GemmPlan.RowBlock)), "one column less");
        Assert.That(Plan(1024, 2048, 1024, VectorWidth.V512, transposedA: true).RowsPerBlock, Is.EqualTo(GemmPlan.RowBlock), "fewer rows");
    }

    [TestCase(384, 384), TestCase(385, 193), TestCase(768, 384), TestCase(1000, 334)]
    public void A_transposed_A_is_walked_in_blocks_of_the_sum(int k, int depth) =>
        Assert.That((int)Plan(300, 300, k, VectorWidth.V256, transposedA: true).BlockDepth, Is.EqualTo(depth));

    /// <summary>The work items cover every row, column and term once, and the blocks inside an item do, too.</summary>
    [Test, Combinatorial]
    public void Blocks_cover_the_product_once(
        [ValueSource(nameof(s_widths))] VectorWidth width, [Values] bool transposedA, [Values] bool transposedB)
    {
        foreach (GemmPlan plan in AllPlans(width, transposedA, transposedB))
        {
            Check(plan, "rows", Covers(plan.M, plan.RowsPerBlock, plan.RowBlocks));
            Check(plan, "columns", Covers(plan.N, plan.PanelWidth, plan.PanelCount));
            Check(plan, "panels", Covers(plan.PanelCount, plan.PanelsPerItem, plan.ColumnShares));
            Check(plan, "terms", Covers(plan.K, plan.PartDepth, plan.Parts));
            Check(plan, "depth", plan.BlockDepth >= 1 && plan.BlockDepth <= plan.PartDepth);
            Check(plan, "groups", plan.PanelsPerGroup >= 1 && plan.PanelsPerGroup <= plan.PanelsPerItem);
            Check(plan, "items", plan.Items == plan.RowBlocks * plan.ColumnShares * plan.Parts);
            Check(plan, "grain", plan.Grain == 1 || plan.Grain == plan.Items);
        }
    }

    /// <summary>What is meant to stay in a cache fits it, whatever the sizes.</summary>
    [Test, Combinatorial]
    public void Blocks_fit_their_caches([ValueSource(nameof(s_widths))] VectorWidth width, [Values] bool transposedA)
    {
        foreach (GemmPlan plan in AllPlans(width, transposedA, transposedB: false))
        {
            Check(plan, "whole tiles", plan.RowsPerBlock % MicroKernel.MaxRows == 0 && plan.RowsPerBlock <= 2 * GemmPlan.RowBlock);
            nint group = plan.PanelsPerGroup * plan.PanelWidth * plan.BlockDepth;
            Check(plan, "a group of panels", group <= GemmPlan.PanelGroupFloats || plan.PanelsPerGroup == 1);
            Check(plan, "a copied block", !plan.CopiesPerItem || plan.RowsPerBlock * plan.BlockDepth <= GemmPlan.CopiedBlockFloats);
            Check(plan, "parts", plan.Parts == 1 || (plan.Parts <= GemmPlan.MaxParts && plan.M * plan.N <= GemmPlan.MaxSplitResult));
        }
    }

    [Test]
    public void A_plan_knows_neither_threads_nor_the_width_of_the_thread()
    {
        GemmPlan before = Plan(97, 33, 600, VectorWidth.V256);
        int threads = Workers.Count;
        try
        {
            Workers.Count = threads + 2;
            using IDisposable _ = Isa.Use(VectorWidth.Scalar);
            Assert.That(Plan(97, 33, 600, VectorWidth.V256), Is.EqualTo(before));
        }
        finally
        {
            Workers.Count = threads;
        }
        Assert.That(Plan(97, 33, 600, VectorWidth.V512), Is.Not.EqualTo(before));
    }

    private static IEnumerable<GemmPlan> AllPlans(VectorWidth width, bool transposedA, bool transposedB) =>
        from m in s_rows
        from n in s_columns
        from k in s_depths
        let plan = Plan(m, n, k, width, transposedA, transposedB)
        where plan.Algorithm == GemmAlgorithm.Tiles
        select plan;

    /// <summary>Blocks of a size, as many as there are, hold all of an extent, and the last one holds something.</summary>
    private static bool Covers(nint extent, nint size, nint count) => size > 0 && (count - 1) * size < extent && count * size >= extent;

    private static void Check(in GemmPlan plan, string rule, bool holds)
    {
        if (!holds) Assert.Fail($"{rule}: {plan}");
    }

    private static nint Lanes(VectorWidth width) =>
        width switch { VectorWidth.V512 => 16, VectorWidth.V256 => 8, VectorWidth.V128 => 4, _ => 1 };
}
