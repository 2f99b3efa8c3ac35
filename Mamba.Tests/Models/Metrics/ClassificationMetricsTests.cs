using Mamba.Models.Metrics;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ClassificationMetricsTests
{
    private const double Exact = 1e-12;

    // Class 5 is predicted but never true, class 6 neither; the expected values are those of scikit-learn 1.2.1 for the same numbers.
    [Test]
    public void Scores_are_those_of_scikit_learn()
    {
        const int Images = 200, Classes = 7;
        float[] values = Numbers.Uniform(Images * Classes, 5, 0f, 1f), real = Numbers.Uniform(Images, 6, 0f, 1f);
        ClassificationMetrics metrics = new(Labels(Classes));
        for (int i = 0; i < Images; i++)
        {
            Span<float> row = values.AsSpan(i * Classes, Classes);
            int label = (int)(real[i] * 5);
            row[6] = 0;
            row[3] *= 0.5f;
            row[label] += 0.25f;
            metrics.Add(row, OneHot(label, Classes));
        }
        ClassificationScores scores = metrics.Result();
        Assert.That(metrics.Images, Is.EqualTo(Images));
        Assert.That(scores.Confusion, Is.EqualTo(new long[,]
        {
            { 20, 3, 7, 0, 7, 7, 0 }, { 3, 21, 5, 0, 3, 6, 0 }, { 2, 5, 19, 0, 6, 12, 0 }, { 4, 5, 4, 3, 5, 13, 0 },
            { 6, 6, 3, 0, 19, 6, 0 },
            { 0, 0, 0, 0, 0, 0, 0 }, { 0, 0, 0, 0, 0, 0, 0 },
        }));
        Assert.That(scores.Accuracy, Is.EqualTo(0.41).Within(Exact));
        Assert.That(scores.MacroF1, Is.EqualTo(0.35756124144901547).Within(Exact));
        Assert.That(scores.Top5, Is.EqualTo(0.98).Within(Exact));
        Assert.That(
            scores.Classes.Select(c => c.Precision), Is.EqualTo(new[] { 0.5714285714285714, 0.525, 0.5, 1, 0.475, 0, 0 }).Within(Exact));
        Assert.That(
            scores.Classes.Select(c => c.Recall),
            Is.EqualTo(new[] { 0.45454545454545453, 0.5526315789473685, 0.4318181818181818, 0.08823529411764706, 0.475, 0, 0 })
                .Within(Exact));
        Assert.That(
            scores.Classes.Select(c => c.F1),
            Is.EqualTo(new[] { 0.5063291139240506, 0.5384615384615385, 0.46341463414634143, 0.1621621621621622, 0.475, 0, 0 })
                .Within(Exact));
        Assert.That(scores.Classes.Select(c => c.Support), Is.EqualTo(new long[] { 44, 38, 44, 34, 40, 0, 0 }));
    }

    [Test]
    public void Two_classes_by_hand()
    {
        // True 0 0 0 1, predicted 0 0 1 1: F1 of class 0 is 4/5, of class 1 it is 2/3.
        ClassificationScores scores = Score(2, ([0.9f, 0.1f], 0), ([0.6f, 0.4f], 0), ([0.2f, 0.8f], 0), ([0.3f, 0.7f], 1));
        Assert.That((scores.Accuracy, scores.Top5), Is.EqualTo((0.75, (double?)null)));
        Assert.That(scores.MacroF1, Is.EqualTo((4.0 / 5 + 2.0 / 3) / 2).Within(Exact));
        Assert.That(
            scores.Classes, Is.EqualTo(new[] { new ClassScores("0", 1, 2.0 / 3, 0.8, 3), new ClassScores("1", 0.5, 1, 2.0 / 3, 1) }));
    }

    [Test]
    public void The_first_of_equals_is_taken_and_what_is_no_number_last()
    {
        Assert.That(Score(3, ([0.4f, 0.4f, 0.2f], 0)).Accuracy, Is.EqualTo(1));
        Assert.That(Score(3, ([0.4f, 0.4f, 0.2f], 1)).Accuracy, Is.Zero);
        Assert.That(Score(3, ([float.NaN, -2, -3], 1)).Accuracy, Is.EqualTo(1));
        Assert.That(Score(3, ([float.NaN, float.NaN, float.NaN], 0)).Accuracy, Is.EqualTo(1));
        // Of seven equal ones the first five are the top five.
        float[] equal = [1, 1, 1, 1, 1, 1, 1];
        Assert.That((Score(7, (equal, 4)).Top5, Score(7, (equal, 5)).Top5), Is.EqualTo(((double?)1, (double?)0)));
    }

    [Test]
    public void A_result_is_of_the_images_so_far()
    {
        ClassificationMetrics metrics = new(Labels(2));
        metrics.Add([1, 0], [1, 0]);
        ClassificationScores first = metrics.Result();
        metrics.Add([1, 0], [0, 1]);
        Assert.That((first.Accuracy, first.MacroF1, first.Confusion[1, 0]), Is.EqualTo((1.0, 1.0, 0L)));
        Assert.That((metrics.Result().Accuracy, metrics.Result().Confusion[1, 0]), Is.EqualTo((0.5, 1L)));
    }

    [Test]
    public void Misuse_is_refused()
    {
        Assert.That(() => new ClassificationMetrics([]), Throws.ArgumentException);
        Assert.That(() => new ClassificationMetrics(Labels(2)).Result(), Throws.TypeOf<InvalidOperationException>());
        Assert.That(
            () => new ClassificationMetrics(Labels(2)).Add([1, 0, 0], [1, 0]),
            Throws.ArgumentException.With.Message.Contains("3 probabilities for 2"));
    }

    private static float[] OneHot(int label, int classes) => [.. Enumerable.Range(0, classes).Select(c => c == label ? 1f : 0f)];

    private static ClassificationScores Score(int classes, params (float[] Probabilities, int Label)[] images)
    {
        ClassificationMetrics metrics = new(Labels(classes));
        foreach ((float[] probabilities, int label) in images) metrics.Add(probabilities, OneHot(label, classes));
        return metrics.Result();
    }

    private static string[] Labels(int classes) => [.. Enumerable.Range(0, classes).Select(c => $"{c}")];
}
