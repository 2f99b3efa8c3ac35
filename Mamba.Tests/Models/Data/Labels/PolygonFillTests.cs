using Mamba.Models.Data.Labels;

namespace Mamba.Tests.Models;

internal sealed class PolygonFillTests
{
    [Test]
    public void A_pixel_belongs_to_the_polygon_around_its_center()
    {
        Assert.That(Draw(5, 4, [1, 1, 4, 1, 4, 3, 1, 3]), Is.EqualTo(".....|.###.|.###.|....."));
        Assert.That(Draw(5, 4, [1.5, 1.5, 3.5, 1.5, 3.5, 2.5, 1.5, 2.5]), Is.EqualTo(".....|.##..|.....|....."), "centers on the outline");
        Assert.That(Draw(5, 4, [1.6, 1.4, 3.6, 1.4, 3.6, 2.6, 1.6, 2.6]), Is.EqualTo(".....|..##.|..##.|....."));
        Assert.That(Draw(4, 4, [0, 0, 4, 4, 0, 4]), Is.EqualTo("....|#...|##..|###."), "a diagonal through centers");
        Assert.That(Draw(4, 4, [0, 0, 4, 0, 4, 4]), Is.EqualTo("####|.###|..##|...#"), "and the triangle at its other side");
        Assert.That(Draw(4, 2, [0.6, 0.6, 0.9, 0.6, 0.9, 0.9]), Is.EqualTo("....|...."), "no center inside");
        Assert.That(Draw(3, 2, [-9, -9, 9, -9, 9, 9, -9, 9]), Is.EqualTo("###|###"), "cut off");
        Assert.That(Draw(3, 2, [5, 5, 9, 5, 9, 9]), Is.EqualTo("...|..."));
        Assert.That(Draw(3, 2, [-9, 0, -5, 0, -5, 2, -9, 2]), Is.EqualTo("...|..."));
        Assert.That(Draw(3, 3, [1, 1, 1, 1, 1, 1]), Is.EqualTo("...|...|..."));
    }

    [Test]
    public void Where_an_outline_crosses_itself_the_even_odd_rule_holds()
    {
        // A square and a smaller one inside it, in one outline.
        Assert.That(
            Draw(6, 6, [0, 0, 6, 0, 6, 6, 0, 6, 0, 0, 2, 2, 2, 4, 4, 4, 4, 2, 2, 2]),
            Is.EqualTo("######|######|##..##|##..##|######|######"));
        Assert.That(Draw(4, 4, [0, 0, 4, 4, 4, 0, 0, 4]), Is.EqualTo("...#|#.##|#.##|...#"));
    }

    /// <summary>Each pixel by the definition: the crossings of a ray to the left, counted edge by edge.</summary>
    [Test]
    public void Random_polygons_agree_with_the_definition()
    {
        Random random = new(7);
        for (int round = 0; round < 300; round++)
        {
            int width = random.Next(1, 24), height = random.Next(1, 24), corners = random.Next(3, 12);
            double step = round % 2 == 0 ? 0.5 : 0; // corners at centers and borders, or anywhere
            double[] xy = [.. Enumerable.Range(0, 2 * corners).Select(i => step > 0
                ? random.Next(-8, 56) * step
                : random.NextDouble() * 40 - 8)];
            byte[] map = new byte[width * height];
            PolygonFill.Fill(map, width, height, xy, 3);
            for (int i = 0; i < map.Length; i++)
                Assert.That(map[i] == 3, Is.EqualTo(Inside(xy, i % width + 0.5, i / width + 0.5)), $"round {round}, pixel {i}");
        }
    }

    [Test]
    public void Polygons_with_shared_edges_cover_each_pixel_once()
    {
        Random random = new(11);
        for (int round = 0; round < 100; round++)
        {
            double x = random.NextDouble() * 16, y = random.Next(33) * 0.5; // the corner that four triangles share
            int[] covered = new int[16 * 16];
            double[] around = [0, 0, 16, 0, 16, 16, 0, 16, 0, 0];
            for (int side = 0; side < 4; side++)
            {
                byte[] map = new byte[16 * 16];
                PolygonFill.Fill(map, 16, 16, [.. around.AsSpan(2 * side, 4), x, y], 1);
                for (int i = 0; i < map.Length; i++) covered[i] += map[i];
            }
            Assert.That(covered, Is.All.EqualTo(1));
        }
    }

    [Test]
    public void What_lies_below_stays_where_a_polygon_is_not()
    {
        byte[] map = [1, 1, 1, 1];
        PolygonFill.Fill(map, 4, 1, [1, 0, 3, 0, 3, 1, 1, 1], 255);
        Assert.That(map, Is.EqualTo(new byte[] { 1, 255, 255, 1 }));
    }

    [Test]
    public void Impossible_polygons_are_refused()
    {
        Refuses(5, [0, 0, 1, 1, 2, 0], "5 pixels for 2 x 2");
        Refuses(4, [0, 0, 1, 1], "4 coordinates");
        Refuses(4, [0, 0, 1, 1, 2, 2, 3], "7 coordinates");
        Refuses(4, [0, 0, 1, 1, double.NaN, 2], "coordinate NaN");
        Refuses(4, [0, 0, 1, 1, 2e9, 2], "coordinate 2000000000");
        byte[] map = new byte[4];
        PolygonFill.Fill(map, 2, 2, [-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9], 1);
        Assert.That(map, Is.All.EqualTo(1));

        void Refuses(int pixels, double[] xy, string says) => Assert.That(
            () => PolygonFill.Fill(new byte[pixels], 2, 2, xy, 1), Throws.ArgumentException.With.Message.Contains(says));
    }

    private static bool Inside(double[] xy, double x, double y)
    {
        bool inside = false;
        for (int i = 0; i < xy.Length; i += 2)
        {
            int j = (i + 2) % xy.Length;
            (double ax, double ay, double bx, double by) = xy[i + 1] <= xy[j + 1]
                ? (xy[i], xy[i + 1], xy[j], xy[j + 1])
                : (xy[j], xy[j + 1], xy[i], xy[i + 1]);
            if (ay <= y == by <= y) continue;
            // Multiplied out, to be free of the division's rounding.
            decimal left = (decimal)(x - ax) * (decimal)(by - ay), right = (decimal)(y - ay) * (decimal)(bx - ax);
            inside ^= left >= right;
        }
        return inside;
    }

    private static string Draw(int width, int height, double[] xy)
    {
        byte[] map = new byte[width * height];
        PolygonFill.Fill(map, width, height, xy, 1);
        return string.Join('|', Enumerable.Range(0, height).Select(y =>
            string.Concat(Enumerable.Range(0, width).Select(x => map[y * width + x] == 1 ? '#' : '.'))));
    }
}
