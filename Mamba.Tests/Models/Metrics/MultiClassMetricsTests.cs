using Mamba.Models.Metrics;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class MultiClassMetricsTests
{
    private const double Exact = 1e-12;
    private static readonly string[] s_labels = ["background", "disc", "big square", "ring"];

    [Test]
    public void Equals_counts_by_hand_and_leaves_ignored_pixels_out()
    {
        const int Images = 5, Height = 4, Width = 6;
        MultiClassMetrics metrics = new(s_labels, new MetricOptions { PerImage = true, Distances = true });
        List<(int Image, int Truth, int Predicted)> pixels = [];
        for (int i = 0; i < Images; i++)
        {
            float[] probabilities = Numbers.Uniform(Height * Width * 4, i, 0f, 1f);
            // Class 3 is predicted and in no truth; a sixth of the pixels is ignored.
            float[] truth = Array.ConvertAll(Numbers.Uniform(Height * Width, 50 + i, 0f, 3.6f), v => v >= 3 ? 255f : MathF.Floor(v));
            metrics.Add(probabilities, truth, new MetricImage(Height, Width, $"image {i}", i < 3 ? "a" : "b"));
            pixels.AddRange(truth.Select((t, p) => (i, (int)t, MostProbable(probabilities.AsSpan(4 * p, 4)))).Where(p => p.Item2 != 255));
        }
        MultiClassScores scores = metrics.Result();
        double[] dice = [.. Enumerable.Range(0, 4).Select(c => Dice(pixels, c))];
        Assert.That(scores.Detail.Classes.Select(c => c.Dice), Is.EqualTo(new[] { dice[0], dice[1], dice[2], double.NaN }).Within(Exact));
        Assert.That(scores.MeanDice, Is.EqualTo((dice[1] + dice[2]) / 2).Within(Exact), "without the background and without class 3");
        Assert.That(scores.MeanIou, Is.EqualTo(Enumerable.Range(0, 3).Average(c => Iou(pixels, c))).Within(Exact));
        Assert.That(scores.Detail.PixelAccuracy, Is.EqualTo(pixels.Average(p => p.Truth == p.Predicted ? 1.0 : 0)).Within(Exact));
        Assert.That(
            scores.DiceImage, Is.EqualTo(Enumerable.Range(0, Images).Average(i =>
                Enumerable.Range(1, 3).Select(c => Dice([.. pixels.Where(p => p.Image == i)], c)).Where(d => !double.IsNaN(d)).Average()))
            .Within(Exact));
        SegmentClassScores disc = scores.Detail.Classes[1];
        Assert.That(disc.Counts.Sensitivity, Is.EqualTo(Share(p => p.Truth == 1, p => p.Predicted == 1)).Within(Exact));
        Assert.That(disc.Counts.Specificity, Is.EqualTo(Share(p => p.Truth != 1, p => p.Predicted != 1)).Within(Exact));
        Assert.That(disc.Counts.Precision, Is.EqualTo(Share(p => p.Predicted == 1, p => p.Truth == 1)).Within(Exact));
        Assert.That((disc.Images, disc.HausdorffImages), Is.EqualTo((Images, Images)));
        Assert.That(disc.Hausdorff95, Is.Positive);
        Assert.That(scores.Detail.Classes[3].Hausdorff95, Is.NaN, "it is in no truth");

        Assert.That(scores.Detail.Groups.Select(g => (g.Group, g.Images)), Is.EqualTo(new[] { ("a", 3), ("b", 2) }));
        Assert.That(scores.Detail.Groups[1].Classes[2].Dice, Is.EqualTo(Dice([.. pixels.Where(p => p.Image >= 3)], 2)).Within(Exact));
        Assert.That(
            scores.Detail.GroupDice,
            Is.EqualTo(scores.Detail.Groups.Average(g => (g.Classes[1].Dice + g.Classes[2].Dice) / 2)).Within(Exact));
        Assert.That(scores.Detail.PerImage, Has.Count.EqualTo(Images * 3), "a row for each class but the background");
        Assert.That(
            scores.Detail.PerImage[4].Counts.Iou, Is.EqualTo(Iou([.. pixels.Where(p => p.Image == 1)], 2)).Within(Exact));

        double Share(Func<(int, int Truth, int Predicted), bool> of, Func<(int, int Truth, int Predicted), bool> which) =>
            (double)pixels.Count(p => of(p) && which(p)) / pixels.Count(p => of(p));
    }

    [Test]
    public void A_set_without_foreground_has_no_Dice()
    {
        MultiClassMetrics metrics = new(["background", "disc"]);
        metrics.Add([0.9f, 0.1f, 0.8f, 0.2f], [0, 0]);
        MultiClassScores scores = metrics.Result();
        Assert.That((scores.MeanDice, scores.DiceImage, scores.DiceImages), Is.EqualTo((double.NaN, double.NaN, 0)));
        Assert.That((scores.Detail.ImagesWithForeground, scores.Detail.PixelAccuracy, scores.MeanIou), Is.EqualTo((0, 1.0, 1.0)));
        Assert.That(scores.Headline, Is.NaN);
    }

    [Test]
    public void Names_of_measures_are_words_and_differ()
    {
        MultiClassMetrics metrics = new(["background", "a b", "a-b", "image", "\u00E4"]);
        metrics.Add(Numbers.Uniform(10, 1, 0f, 1f), [0, 1]);
        string[] names = [.. metrics.Result().Values.Select(v => v.Name)];
        Assert.That(names, Is.Unique.And.All.Match("^[A-Za-z0-9_]+$"));
        Assert.That(names.Take(4), Is.EqualTo(new[] { "mean_dice", "mean_iou", "pixel_accuracy", "dice_image" }));
        Assert.That(names, Does.Contain("dice_background").And.Contains("dice_a_b1").And.Contains("iou_a_b2").And.Contains("dice_image3"));
    }

    [Test]
    public void Misuse_is_refused()
    {
        Assert.That(() => new MultiClassMetrics(["one"]), Throws.ArgumentException);
        MultiClassMetrics metrics = new(["a", "b"], new MetricOptions { Distances = true });
        Assert.That(() => metrics.Result(), Throws.TypeOf<InvalidOperationException>());
        Assert.That(() => metrics.Add([1, 0, 1], [0]), Throws.ArgumentException.With.Message.Contains("3 probabilities for 1"));
        Assert.That(() => metrics.Add([1, 0], [2]), Throws.ArgumentException.With.Message.Contains("class 2"));
        Assert.That(() => metrics.Add([1, 0], [0.5f]), Throws.ArgumentException.With.Message.Contains("class 0.5"));
        Assert.That(() => metrics.Add([1, 0], [1]), Throws.ArgumentException.With.Message.Contains("distances need its size"));
        Assert.That(metrics.Images, Is.Zero);
    }

    [Test]
    public void Rows_of_images_as_CSV()
    {
        SegmentationMetrics metrics = new(16, new MetricOptions { PerImage = true, Distances = true }, "lesion");
        metrics.Add([1, 1, 0, 0], [1, 0, 0, 0], new MetricImage(2, 2, "a,\"b\"", "p1"));
        metrics.Add([0, 0, 0, 0], [0, 0, 0, 0], new MetricImage(2, 2, "empty"));
        using StringWriter text = new();
        PerImageScores.Write(text, metrics.Result().Detail!.PerImage);
        Assert.That(text.ToString(), Is.EqualTo(
            "image,group,class,dice,iou,sensitivity,specificity,precision,hd95,truth_pixels,predicted_pixels,pixels\n"
            + "\"a,\"\"b\"\"\",p1,lesion,0.666667,0.500000,1.000000,0.666667,0.500000,0.950000,1,2,4\n"
            + "empty,,lesion,,,,1.000000,,,0,0,4\n"));
    }

    private static double Dice(List<(int Image, int Truth, int Predicted)> pixels, int c)
    {
        int sum = pixels.Count(p => p.Truth == c) + pixels.Count(p => p.Predicted == c);
        return sum == 0 ? double.NaN : 2.0 * pixels.Count(p => p.Truth == c && p.Predicted == c) / sum;
    }

    private static double Iou(List<(int Image, int Truth, int Predicted)> pixels, int c) =>
        (double)pixels.Count(p => p.Truth == c && p.Predicted == c) / pixels.Count(p => p.Truth == c || p.Predicted == c);

    private static int MostProbable(ReadOnlySpan<float> values)
    {
        int best = 0;
        for (int c = 1; c < values.Length; c++)
            if (values[c] > values[best]) best = c;
        return best;
    }
}
