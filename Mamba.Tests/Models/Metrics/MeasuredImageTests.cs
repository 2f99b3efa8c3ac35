using Mamba.Models.Data;
using Mamba.Models.Metrics;

namespace Mamba.Tests.Models;

/// <summary>What metrics keep of an image counts elsewhere as the image itself, to the bit.</summary>
internal sealed class MeasuredImageTests
{
    private const int Images = 17, Side = 12;

    private static readonly MetricOptions s_options = new() { Distances = true, PerImage = true };

    public static IEnumerable<TestCaseData> Kinds =>
    [
        new TestCaseData((Func<IMetrics>)(() => new SegmentationMetrics(metricBatch: 3, s_options)), 1).SetArgDisplayNames("mask"),
        new TestCaseData((Func<IMetrics>)(() => new MultiClassMetrics(["back", "disc", "square"], s_options)), 3)
            .SetArgDisplayNames("classes"),
    ];

    [TestCaseSource(nameof(Kinds))]
    public void A_segmented_image_counts_as_itself(Func<IMetrics> create, int classes)
    {
        Random random = new(1);
        IMetrics whole = create();
        MeasuredImage[] measured = new MeasuredImage[Images];
        IMetrics[] parts = [create(), create()]; // as in two processes
        for (int i = 0; i < Images; i++)
        {
            float less = i % 5 == 0 ? 1 : 0.2f; // some images have no prediction
            float[] probabilities = [.. Enumerable.Range(0, Side * Side * classes).Select(_ => random.NextSingle() - less)];
            float[] target = [.. Enumerable.Range(0, Side * Side).Select(_ => Truth(random, i, classes))];
            MetricImage image = new(Side, Side, $"image{i}", $"patient{i % 4}");
            whole.Add(probabilities, target, image);
            parts[i % 2].Add(probabilities, target, image);
            measured[i] = parts[i % 2].Last();
        }
        IMetrics joined = create();
        foreach (MeasuredImage image in measured) joined.Add(image);
        AssertEqual(Detail(joined.Result()), Detail(whole.Result()));
        Assert.That(Bits(joined.Result()), Is.EqualTo(Bits(whole.Result())));
    }

    [Test]
    public void A_classified_image_counts_as_itself()
    {
        string[] labels = [.. Enumerable.Range(0, 9).Select(c => $"c{c}")];
        Random random = new(2);
        ClassificationMetrics whole = new(labels), joined = new(labels);
        for (int i = 0; i < Images; i++)
        {
            float[] target = new float[labels.Length];
            target[i % labels.Length] = 1;
            whole.Add([.. labels.Select(_ => random.NextSingle())], target, new MetricImage(0, 0, $"image{i}"));
            joined.Add(whole.Last());
        }
        Assert.That(Bits(joined.Result()), Is.EqualTo(Bits(whole.Result())));
        Assert.That(joined.Result().Confusion, Is.EqualTo(whole.Result().Confusion));
        Assert.That(joined.Result().Classes, Is.EqualTo(whole.Result().Classes));
        Assert.That((whole.Last().Name, whole.Result().Top5), Is.EqualTo(("image16", joined.Result().Top5)));
    }

    [Test]
    public void What_was_measured_of_other_classes_is_refused()
    {
        MeasuredImage mask = new("a", null, [1, 2, 3, 4, 1, 2, 3, 4], [double.NaN, 1]), label = new("b", null, [1, 2, 1], []);
        Assert.That(
            () => new MultiClassMetrics(["x", "y", "z"]).Add(mask),
            Throws.ArgumentException.With.Message.EqualTo("metrics: 'a' was measured by 8 counts and 2 distances; expected 12 and 3"));
        Assert.That(() => new ClassificationMetrics(["x", "y"]).Add(label), Throws.ArgumentException.With.Message.Contains("both below 2"));
        Assert.That(() => new ClassificationMetrics(["x", "y"]).Add(mask), Throws.ArgumentException);
        Assert.That(() => new SegmentationMetrics(16).Add(label), Throws.ArgumentException);
    }

    [Test]
    public void The_last_slice_of_a_volume_brings_its_distances()
    {
        const int Volumes = 3, Slices = 4;
        Random random = new(3);
        SegmentationMetrics whole = new(3, s_options), joined = new(3, s_options);
        List<MeasuredImage> slices = [];
        for (int i = 0; i < Volumes * Slices; i++)
        {
            float[] truth = [.. Enumerable.Range(0, Side * Side).Select(p => p % Side > i % 5 + 3 ? 1f : 0)];
            float[] probabilities = [.. truth.Select(t => 0.8f * t + 0.3f * random.NextSingle())];
            whole.Add(probabilities, truth, new MetricImage(Side, Side, $"s{i}", $"v{i / Slices}") { Spacing = VoxelSpacing.One });
            slices.Add(whole.Last());
        }
        SegmentationDetail detail = whole.Result().Detail!;
        for (int i = 0; i < slices.Count; i++)
        {
            double distance = detail.Groups[i / Slices].Classes[0].Hausdorff95;
            joined.Add(i % Slices < Slices - 1 ? slices[i] : slices[i] with { VolumeDistances = [double.NaN, distance] });
        }
        AssertEqual(joined.Result().Detail!, detail);
        Assert.That(detail.Classes[0].HausdorffImages, Is.EqualTo(Volumes));
        Assert.That(
            () => joined.Add(slices[0] with { VolumeDistances = [1] }), Throws.ArgumentException, "as many as there are classes");
    }

    private static float Truth(Random random, int image, int classes) => image % 3 == 0 ? 0
        : random.Next(10) == 0 ? LabelMap.Ignored : random.Next(Math.Max(2, classes));

    private static long[] Bits(Scores scores) => [.. scores.Values.Select(value => BitConverter.DoubleToInt64Bits(value.Value))];

    private static SegmentationDetail Detail(Scores scores) =>
        scores is SegmentationScores mask ? mask.Detail! : ((MultiClassScores)scores).Detail;

    private static void AssertEqual(SegmentationDetail actual, SegmentationDetail expected)
    {
        Assert.That(actual.Classes, Is.EqualTo(expected.Classes));
        Assert.That(actual.PerImage, Is.EqualTo(expected.PerImage).And.Not.Empty);
        Assert.That(actual.Groups.Select(g => (g.Group, g.Images)), Is.EqualTo(expected.Groups.Select(g => (g.Group, g.Images))));
        Assert.That(actual.Groups.SelectMany(group => group.Classes), Is.EqualTo(expected.Groups.SelectMany(group => group.Classes)));
        Assert.That(actual.ImagesWithForeground, Is.EqualTo(expected.ImagesWithForeground));
        Assert.That(actual.PixelAccuracy, Is.EqualTo(expected.PixelAccuracy));
    }
}
