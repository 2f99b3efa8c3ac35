using Mamba.Models.Data;
using Mamba.Models.Data.Loading;

namespace Mamba.Tests.Models;

internal sealed class IntensityTests
{
    private static readonly Image s_gray = new(5, 1, 1, (byte[])[10, 20, 30, 40, 110]);
    private static readonly Image s_wide = new(5, 1, 1, (ushort[])[0, 1024, 2048, 3072, 4095]);
    private static readonly Image s_signed = new(3, 1, 1, (ushort[])[31768, 32768, 33768]) { Origin = -32768 };

    private static float[] Write(Image image, string intensity, Normalization? normalization = null)
    {
        float[] to = new float[image.Width * image.Height];
        BatchOptions options = new()
        {
            Width = image.Width,
            Height = image.Height,
            Channels = 1,
            Intensity = Intensity.Parse(intensity),
            Normalization = normalization,
        };
        new BatchWriter(options).Image(image, to);
        return to;
    }

    private static void AssertNear(float[] actual, params double[] expected) =>
        Assert.That(actual, Is.EqualTo(Array.ConvertAll(expected, e => (float)e)).Within(1e-6f));

    [Test]
    public void Each_kind_does_what_it_says()
    {
        AssertNear(Write(s_gray, "none"), 10 / 255.0, 20 / 255.0, 30 / 255.0, 40 / 255.0, 110 / 255.0);
        AssertNear(Write(s_wide, "none"), 0, 1024 / 65535.0, 2048 / 65535.0, 3072 / 65535.0, 4095 / 65535.0);
        AssertNear(Write(s_gray, "range"), 0, 0.1, 0.2, 0.3, 1);
        AssertNear(Write(s_wide, "window:0,4095"), 0, 1024 / 4095.0, 2048 / 4095.0, 3072 / 4095.0, 1);
        AssertNear(Write(s_gray, "window:20,40"), 0, 0, 0.5, 1, 1);
        AssertNear(Write(s_signed, "window:-500,500"), 0, 0.5, 1);
        // numpy.percentile([10, 20, 30, 40, 110], [10, 60]) is [14, 34].
        AssertNear(Write(s_gray, "percentile:10,60"), 0, 0.3, 0.8, 1, 1);
        // Mean 42; variance (32^2 + 22^2 + 12^2 + 2^2 + 68^2) / 5 = 1256.
        double deviation = Math.Sqrt(1256);
        AssertNear(Write(s_gray, "zscore"), -32 / deviation, -22 / deviation, -12 / deviation, -2 / deviation, 68 / deviation);
    }

    [Test]
    public void The_normalization_follows_but_for_a_z_score()
    {
        Normalization half = new([0.5f], [0.25f]);
        AssertNear(Write(s_gray, "range", half), -2, -1.6, -1.2, -0.8, 2);
        Assert.That(Write(s_gray, "zscore", half), Is.EqualTo(Write(s_gray, "zscore")));
    }

    [Test]
    public void A_picture_of_one_value_becomes_0([Values("range", "percentile:1,99", "zscore")] string intensity) =>
        Assert.That(Write(new Image(2, 1, 1, (byte[])[7, 7]), intensity), Is.All.EqualTo(0f));

    [Test]
    public void Slices_of_a_volume_are_mapped_alike()
    {
        Image low = new(1, 1, 1, (ushort[])[100]), high = new(1, 1, 1, (ushort[])[300]);
        IntensityMap map = Intensity.Range.Of([low, high]);
        float[] to = new float[1];
        new BatchWriter(new BatchOptions { Width = 1, Height = 1, Channels = 1 }).Image(high, map, to);
        Assert.That((map.Apply(100), map.Apply(200), to[0]), Is.EqualTo((0f, 0.5f, 1f)));
        Assert.That(() => Intensity.Range.Of([low, s_gray]), Throws.ArgumentException);
        Assert.That(() => Intensity.Range.Of([]), Throws.ArgumentException);
    }

    [TestCase(0, 255), TestCase(255, 255), TestCase(256, 511), TestCase(4095, 4095), TestCase(4096, 8191), TestCase(65535, 65535)]
    public void A_window_of_the_bits_in_use(int value, int high) =>
        Assert.That(Intensity.ForBits(value), Is.EqualTo(Intensity.Window(0, high)));

    [TestCase("none"), TestCase("range"), TestCase("percentile:0.5,99.5"), TestCase("window:-160,240"), TestCase("zscore")]
    public void Text_round_trip(string text) => Assert.That(Intensity.Parse(text).ToString(), Is.EqualTo(text));

    [TestCase("ranges"), TestCase("percentile"), TestCase("percentile:5"), TestCase("percentile:-1,50"), TestCase("percentile:60,40")]
    [TestCase("window:1,1"), TestCase("window:a,b"), TestCase("window:1,NaN"), TestCase("none:1,2"), TestCase("")]
    public void Other_text_is_refused(string text) =>
        Assert.That(() => Intensity.Parse(text), Throws.ArgumentException.With.Message.Contains("expected"));
}
