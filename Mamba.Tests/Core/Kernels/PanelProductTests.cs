using Mamba.Core.Kernels.Products;

namespace Mamba.Tests.Core;

internal sealed class PanelProductTests
{
    private static readonly int[] s_heights = [1, 2, 3, 4, 6, 8, 12, 13];

    // Two vectors with many registers, one vector, two vectors with sixteen registers.
    [TestCase(13), TestCase(12), TestCase(6)]
    public void Rows_are_cut_into_tiles_that_there_are(int largest)
    {
        for (int rows = 1; rows < 300; rows++)
        {
            int[] tiles = Tiles(rows, largest);
            Assert.That(tiles.Sum(), Is.EqualTo(rows));
            Assert.That(tiles.Distinct(), Is.SubsetOf(s_heights), $"{rows} rows");
            Assert.That(tiles.Max(), Is.LessThanOrEqualTo(largest), $"{rows} rows");
        }
    }

    // Four rows of two vectors are eight chains of FMAs: latency (4) times ports (2).
    [Test]
    public void From_sixteen_rows_on_each_tile_hides_the_latency_of_its_FMAs()
    {
        for (int rows = 16; rows < 300; rows++) Assert.That(Tiles(rows, 13).Min(), Is.GreaterThanOrEqualTo(4), $"{rows} rows");
        Assert.That(Tiles(65, 13), Is.EqualTo(Enumerable.Repeat(13, 5)));
        Assert.That(Tiles(96, 13), Is.EqualTo(Enumerable.Repeat(12, 8)));
    }

    [Test]
    public unsafe void A_prefetch_goes_through_its_ranges_in_order()
    {
        PrefetchRange none = default, range = new PrefetchRange((float*)64, 40, stride: 16).Then(new PrefetchRange((float*)1024, 16));
        Assert.That((int)none.Then(range).Length, Is.EqualTo(40));
        Assert.That((nint)range.Skip(2).Pointer, Is.EqualTo((nint)(64 + 2 * 16 * sizeof(float))));
        Assert.That((nint)range.Skip(2).Skip(1).Pointer, Is.EqualTo((nint)1024));
        Assert.That((int)range.Skip(3).Skip(1).Length, Is.Zero);
    }

    private static int[] Tiles(int rows, int largest)
    {
        List<int> tiles = [];
        for (int left = rows; left > 0; left -= tiles[^1]) tiles.Add((int)PanelProduct.Height(left, largest));
        return [.. tiles];
    }
}
