using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;

namespace Mamba.Tests.Models;

/// <summary>Tiles cover their images, at the images' own resolution.</summary>
internal sealed class TiledDataTests
{
    [TestCase(32, 4), TestCase(40, 4), TestCase(24, 9), TestCase(64, 1), TestCase(100, 1)]
    public void Tiles_cover_every_pixel_of_their_images_and_no_other_image(int side, int tiles)
    {
        SyntheticLesions source = new(0, 3, 64, 64);
        TiledData data = new(source, [2, 0], side);
        Assert.That(data.Count, Is.EqualTo(2 * tiles));
        Assert.That(
            Enumerable.Range(0, data.Count).Select(data.Name),
            Is.Unique.And.All.Matches("^" + source.Name(2) + "@|^" + source.Name(0) + "@"));
        SegmentationSample whole = source.Load(2);
        bool[] seen = new bool[64 * 64];
        for (int i = 0; i < tiles; i++)
        {
            SegmentationSample tile = (SegmentationSample)data.Load(i);
            Assert.That((tile.Image.Width, tile.Image.Height, tile.Mask.Width), Is.EqualTo((side, side, side)));
            int[] at = [.. data.Name(i).Split('@')[1].Split(',').Select(int.Parse)];
            for (int y = 0; y < side; y++)
                for (int x = 0; x < side; x++)
                {
                    (int column, int row) = (at[0] + x, at[1] + y);
                    bool inside = column is >= 0 and < 64 && row is >= 0 and < 64;
                    int from = row * 64 + column, to = y * side + x;
                    Assert.That(tile.Mask.Classes[to], Is.EqualTo(inside ? whole.Mask.Classes[from] : 0));
                    if (!inside) continue;
                    seen[from] = true;
                    Assert.That(tile.Image.Pixels[3 * to], Is.EqualTo(whole.Image.Pixels[3 * from]));
                }
        }
        Assert.That(seen, Is.All.True);
    }

    [Test]
    public void A_tile_has_pixels_at_least() =>
        Assert.That(() => new TiledData(new SyntheticLesions(0, 3, 64, 64), [0], 0), Throws.TypeOf<ArgumentOutOfRangeException>());
}
