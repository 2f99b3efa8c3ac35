using Mamba.Models.Data;
using Mamba.Models.Metrics;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>The distance between outlines, against all pairs of their pixels.</summary>
internal sealed class HausdorffDistanceTests
{
    [Test]
    public void Equals_all_pairs_of_pixels([Values(1, 2, 9, 40)] int height, [Values(1, 3, 31)] int width, [Range(0, 7)] int seed)
    {
        // Thresholded noise of several densities: single pixels, holes, full rows.
        byte[] a = Region(height * width, seed, 0.1f + 0.1f * seed), b = Region(height * width, seed + 100, 0.9f - 0.1f * seed);
        double expected = Naive(a, b, height, width), actual = HausdorffDistance.Measure(a, b, height, width);
        Assert.That(actual, Is.EqualTo(expected).Within(1e-12));
        Assert.That(HausdorffDistance.Measure(b, a, height, width), Is.EqualTo(actual), "symmetric");
    }

    [Test]
    public void Equals_all_pairs_of_voxels(
        [Values(2, 3, 7)] int slices, [Values(1, 6, 11)] int height, [Values(5, 12)] int width, [Range(0, 5)] int seed)
    {
        (double, double, double)[] spacings = [(1, 1, 1), (5, 0.7, 0.7), (0.9, 2.5, 1.3), (1e-3, 40, 3)];
        int count = slices * height * width;
        byte[] a = Region(count, seed, 0.05f + 0.15f * seed), b = Region(count, seed + 100, 0.9f - 0.15f * seed);
        foreach ((double z, double y, double x) in spacings)
        {
            double expected = NaiveVolume(a, b, (slices, height, width), (z, y, x));
            double actual = HausdorffDistance.Measure(a, b, (slices, height, width), new VoxelSpacing(z, y, x));
            Assert.That(
                actual, double.IsNaN(expected) ? Is.NaN : Is.EqualTo(expected).Within(1e-12 * Math.Max(1, expected)), $"{(z, y, x)}");
            Assert.That(HausdorffDistance.Measure(b, a, (slices, height, width), new VoxelSpacing(z, y, x)), Is.EqualTo(actual));
        }
    }

    [Test]
    public void A_volume_is_measured_across_its_slices_and_of_one_slice_is_a_picture()
    {
        // A bar through all slices, and one in the first alone: its ends are 4 slices of 5 mm away.
        byte[] bar = new byte[5 * 9], dot = new byte[5 * 9];
        for (int z = 0; z < 5; z++) bar[z * 9 + 4] = 1;
        dot[4] = 1;
        Assert.That(HausdorffDistance.Measure(bar, dot, (5, 3, 3), new VoxelSpacing(5, 1, 1)), Is.EqualTo(19).Within(1e-12));
        byte[] a = Region(200, 1, 0.4f), b = Region(200, 2, 0.5f);
        Assert.That(
            HausdorffDistance.Measure(a, b, (1, 10, 20), VoxelSpacing.One), Is.EqualTo(HausdorffDistance.Measure(a, b, 10, 20)));
        Assert.That(() => HausdorffDistance.Measure(a, b, (1, 10, 20), new VoxelSpacing(1, 0, 1)), Throws.ArgumentException);
    }

    [Test]
    public void By_hand()
    {
        // Two vertical bars, 3 pixels apart: every pixel of each is 3 away from the other.
        byte[] left = new byte[60], right = new byte[60];
        for (int y = 0; y < 6; y++) (left[y * 10 + 2], right[y * 10 + 5]) = (1, 255);
        Assert.That(HausdorffDistance.Measure(left, right, 6, 10), Is.EqualTo(3));
        Assert.That(HausdorffDistance.Measure(left, left, 6, 10), Is.Zero);
        // 20 pixels agree, and one of the second region is 10 away: 1 in 21 is less than 5 %.
        byte[] line = new byte[40 * 40], spot = new byte[40 * 40];
        for (int x = 0; x < 20; x++) line[x] = spot[x] = 1;
        spot[10 * 40] = 1;
        Assert.That(
            HausdorffDistance.Measure(line, spot, 40, 40), Is.EqualTo(0).Within(1e-12), "position 0.95 * 20 is the last agreeing pixel");
    }

    [Test]
    public void An_empty_region_has_no_distance()
    {
        Assert.That(HausdorffDistance.Measure(new byte[6], [1, 0, 0, 0, 0, 0], 2, 3), Is.NaN);
        Assert.That(HausdorffDistance.Measure([1, 0, 0, 0, 0, 0], new byte[6], 2, 3), Is.NaN);
        Assert.That(
            () => HausdorffDistance.Measure(new byte[6], new byte[6], 2, 4), Throws.ArgumentException.With.Message.Contains("2 x 4"));
    }

    [Test]
    public void A_large_image_is_exact()
    {
        const int Side = 2000;
        byte[] a = new byte[Side * Side], b = new byte[Side * Side];
        (a[0], b[^1]) = (1, 1);
        Assert.That(HausdorffDistance.Measure(a, b, Side, Side), Is.EqualTo(Math.Sqrt(2) * (Side - 1)).Within(1e-9));
    }

    private static byte[] Region(int count, int seed, float density) =>
        Array.ConvertAll(Numbers.Uniform(count, seed, 0f, 1f), v => v < density ? (byte)1 : (byte)0);

    private static double NaiveVolume(byte[] a, byte[] b, (int Z, int Y, int X) size, (double Z, double Y, double X) spacing)
    {
        double[] one = Directed(a, b), other = Directed(b, a);
        return one.Length == 0 || other.Length == 0 ? double.NaN : Math.Max(Percentile(one), Percentile(other));

        double[] Directed(byte[] from, byte[] to)
        {
            (int Z, int Y, int X)[] targets = [.. Outline(to)];
            return targets.Length == 0 ? [] : [.. Outline(from).Select(p => targets.Min(q => Math.Sqrt(
                Square((p.Z - q.Z) * spacing.Z) + Square((p.Y - q.Y) * spacing.Y) + Square((p.X - q.X) * spacing.X)))).Order()];
        }

        IEnumerable<(int Z, int Y, int X)> Outline(byte[] region) =>
            from z in Enumerable.Range(0, size.Z)
            from y in Enumerable.Range(0, size.Y)
            from x in Enumerable.Range(0, size.X)
            where Inside(region, z, y, x)
            where !(Inside(region, z - 1, y, x) && Inside(region, z + 1, y, x) && Inside(region, z, y - 1, x)
                && Inside(region, z, y + 1, x) && Inside(region, z, y, x - 1) && Inside(region, z, y, x + 1))
            select (z, y, x);

        bool Inside(byte[] region, int z, int y, int x) => z >= 0 && y >= 0 && x >= 0 && z < size.Z && y < size.Y && x < size.X
            && region[(z * size.Y + y) * size.X + x] != 0;

        static double Square(double v) => v * v;

        static double Percentile(double[] distances)
        {
            double position = 0.95 * (distances.Length - 1);
            int low = (int)Math.Floor(position), high = (int)Math.Ceiling(position);
            return distances[low] + (distances[high] - distances[low]) * (position - low);
        }
    }

    private static double Naive(byte[] a, byte[] b, int height, int width)
    {
        (int Y, int X)[] one = Outline(a, height, width), other = Outline(b, height, width);
        return one.Length == 0 || other.Length == 0 ? double.NaN : Math.Max(Directed(one, other), Directed(other, one));

        static double Directed((int Y, int X)[] from, (int Y, int X)[] to)
        {
            double[] distances =
                [.. from.Select(p => to.Min(q => Math.Sqrt(Math.Pow(p.Y - q.Y, 2) + Math.Pow(p.X - q.X, 2)))).Order()];
            double position = 0.95 * (distances.Length - 1);
            int low = (int)Math.Floor(position), high = (int)Math.Ceiling(position);
            return distances[low] + (distances[high] - distances[low]) * (position - low);
        }
    }

    private static (int Y, int X)[] Outline(byte[] region, int height, int width)
    {
        return [.. from y in Enumerable.Range(0, height)
                   from x in Enumerable.Range(0, width)
                   where Inside(y, x) && !(Inside(y - 1, x) && Inside(y + 1, x) && Inside(y, x - 1) && Inside(y, x + 1))
                   select (y, x)];

        bool Inside(int y, int x) => y >= 0 && x >= 0 && y < height && x < width && region[y * width + x] != 0;
    }
}
