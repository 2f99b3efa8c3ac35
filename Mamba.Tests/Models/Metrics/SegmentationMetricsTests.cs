using Mamba.Models.Metrics;

namespace Mamba.Tests.Models;

internal sealed class SegmentationMetricsTests
{
    private const double Exact = 1e-12;

    [Test]
    public void One_image_by_hand()
    {
        // tp 2, fp 1, fn 1: a half is a prediction, as in the paper's code.
        SegmentationScores scores = Score(16, ([0.9f, 0.5f, 0.7f, 0.4f, 0.1f], [1, 1, 0, 1, 0]));
        foreach (double dice in new[] { scores.DiceGlobal, scores.DiceImage, scores.DicePaper })
            Assert.That(dice, Is.EqualTo(4.0 / 6).Within(Exact));
        foreach (double iou in new[] { scores.IouGlobal, scores.IouImage, scores.IouPaper })
            Assert.That(iou, Is.EqualTo(2.0 / 4).Within(Exact));
    }

    [Test]
    public void The_three_ways_differ()
    {
        // Batches of two: (tp 2, fp 0, fn 0 | tp 0, fp 1, fn 1), (tp 1, fp 0, fn 1).
        SegmentationScores scores = Score(2, ([1, 1, 0], [1, 1, 0]), ([1, 0, 0], [0, 1, 0]), ([1, 0, 0], [1, 1, 0]));
        Assert.That(scores.DiceGlobal, Is.EqualTo(6.0 / 9).Within(Exact));
        Assert.That(scores.DiceImage, Is.EqualTo((1 + 0 + 2.0 / 3) / 3).Within(Exact));
        Assert.That(scores.DicePaper, Is.EqualTo((4.0 / 6 + 2.0 / 3) / 2).Within(Exact));
        Assert.That(scores.IouGlobal, Is.EqualTo(3.0 / 6).Within(Exact));
        Assert.That(scores.IouImage, Is.EqualTo((1 + 0 + 0.5) / 3).Within(Exact));
        Assert.That(scores.IouPaper, Is.EqualTo((2.0 / 4 + 0.5) / 2).Within(Exact));
    }

    [Test]
    public void Empty_images_and_batches()
    {
        // An empty image right and one wrong; then a batch of empty ones, all right, which the paper's Dice leaves out and its IoU counts
        // as 0.
        SegmentationScores scores = Score(2, ([0, 0], [0, 0]), ([1, 0], [0, 0]), ([0, 0], [0, 0]), ([0, 0], [0, 0]), ([1, 1], [1, 1]));
        Assert.That(scores.DiceImage, Is.EqualTo(4.0 / 5).Within(Exact));
        Assert.That(scores.IouImage, Is.EqualTo(4.0 / 5).Within(Exact));
        Assert.That(scores.DicePaper, Is.EqualTo((0 + 1) / 2.0).Within(Exact));
        Assert.That(scores.IouPaper, Is.EqualTo((0 + 0 + 1) / 3.0).Within(Exact));
        Assert.That(scores.DiceGlobal, Is.EqualTo(4.0 / 5).Within(Exact));
    }

    [TestCase(0f), TestCase(1f)]
    public void A_set_without_a_lesion_has_no_scores(float predicted)
    {
        SegmentationScores scores = Score(2, ([0, 0], [0, 0]), ([predicted, 0], [0, 0]));
        Assert.That(scores.Values.Select(v => v.Value), Is.All.NaN, "nothing to find is not everything found");
        Assert.That((scores.Detail!.Images, scores.Detail.ImagesWithForeground), Is.EqualTo((2, 0)));
        Assert.That(scores.Detail.Classes.Single().Dice, Is.NaN);
        Assert.That(scores.Detail.PixelAccuracy, Is.EqualTo(predicted == 0 ? 1 : 0.75));
        Assert.That(Score(2, ([0, 0], [0, 0]), ([0, 0], [1, 0])).DiceImage, Is.EqualTo(0.5), "a single lesion makes them scores again");
    }

    [Test]
    public void Ignored_pixels_do_not_count()
    {
        SegmentationScores scores = Score(2, ([1, 0, 1, 0], [1, 0, 255, 255]));
        Assert.That((scores.DiceGlobal, scores.Detail!.Classes[0].Counts), Is.EqualTo((1.0, new PixelCounts(1, 1, 1, 2))));
    }

    [Test]
    public void Results_may_be_asked_for_between_images()
    {
        SegmentationMetrics metrics = new(2);
        metrics.Add([1, 0], [1, 0]);
        Assert.That(metrics.Result().DicePaper, Is.EqualTo(1));
        metrics.Add([0, 0], [1, 1]);
        metrics.Add([1, 1], [1, 1]);
        Assert.That(metrics.Result().DicePaper, Is.EqualTo((0.5 + 1) / 2).Within(Exact));
        Assert.That(metrics.Images, Is.EqualTo(3));
    }

    [Test]
    public void Misuse_is_refused()
    {
        Assert.That(() => new SegmentationMetrics(0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new SegmentationMetrics(1).Result(), Throws.TypeOf<InvalidOperationException>());
        Assert.That(
            () => new SegmentationMetrics(1).Add([1, 0], [1]),
            Throws.TypeOf<ArgumentException>().With.Message.Contains("2 probabilities for 1"));
    }

    private static SegmentationScores Score(int batch, params (float[] Probabilities, float[] Mask)[] images)
    {
        SegmentationMetrics metrics = new(batch);
        foreach ((float[] probabilities, float[] mask) in images) metrics.Add(probabilities, mask);
        return metrics.Result();
    }
}
