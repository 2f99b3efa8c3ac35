using Mamba.Core;
using Mamba.Models.Metrics;
using Mamba.Models.Studies;
using Mamba.Models.Tasks;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class BootstrapTests
{
    private static readonly string[] s_labels = ["a", "b", "c"];

    [TestCase("dice_global"), TestCase("iou_global"), TestCase("dice_image"), TestCase("iou_image")]
    public void A_score_of_drawn_patients_is_that_of_their_images_as_often_as_they_were_drawn(string name)
    {
        ImageCounts[] first = Counts(1), second = Counts(2);
        TestGroups groups = new(Entry(StudyFixture.Tested("m", 0, first), StudyFixture.Tested("m", 1, second)));
        Assert.That((groups.Count, groups.ArePatients), Is.EqualTo((7, true)));
        RandomStream random = new(3, "times");
        for (int trial = 0; trial < 20; trial++)
        {
            int[] times = [.. Enumerable.Range(0, 7).Select(_ => random.NextInt(3))];
            if (times.All(t => t == 0)) continue;
            double expected = new[] { first, second }.Average(run => StudyFixture.Scores(Repeated(run, times), 16).Measures[name]);
            Assert.That(groups.Measure(name)!.Of(times), Is.EqualTo(expected).Within(1e-12));
        }
    }

    [TestCase("macro_f1"), TestCase("accuracy")]
    public void A_score_of_drawn_images_is_that_of_the_metrics(string name)
    {
        RandomStream random = new(5, "classes");
        ImagePrediction[] images =
            [.. Enumerable.Range(0, 12).Select(i => new ImagePrediction($"{i:D2}", i % 3, random.NextInt(3), 0.9))];
        RunResult run = StudyFixture.Tested("m", 0) with { Test = StudyFixture.Scores(images, s_labels) };
        TestGroups groups = new(Entry(run));
        Assert.That(groups.ArePatients, Is.False);
        for (int trial = 0; trial < 20; trial++)
        {
            int[] times = [.. images.Select(_ => random.NextInt(3))];
            ImagePrediction[] drawn = [.. images.SelectMany((image, i) => Enumerable.Repeat(image, times[i]))];
            Assert.That(
                groups.Measure(name)!.Of(times), Is.EqualTo(StudyFixture.Scores(drawn, s_labels).Measures[name]).Within(1e-12));
        }
    }

    [Test]
    public void Quantiles_are_those_of_sorted_values()
    {
        double[] values = [.. Enumerable.Range(0, 101).Select(i => (double)((i * 37) % 101)), double.NaN];
        ScoreInterval interval = Bootstrap.Interval(values);
        Assert.That(new[] { interval.Low, interval.High }, Is.EqualTo(new[] { 2.5, 97.5 }).Within(1e-12));
        Assert.That(Bootstrap.Interval([]).Low, Is.NaN);
        Assert.That(Bootstrap.Interval([4]).High, Is.EqualTo(4));
    }

    [Test]
    public void The_interval_of_a_share_is_as_wide_as_theory_says()
    {
        ImagePrediction[] images = [.. Enumerable.Range(0, 400).Select(i => new ImagePrediction($"{i:D3}", 0, i % 2, 0.5))];
        TestGroups groups = new(Entry(StudyFixture.Tested("m", 0) with { Test = StudyFixture.Scores(images, s_labels) }));
        ScoreInterval interval = Bootstrap.Interval(Bootstrap.Resample(groups.Count, [groups.Measure("accuracy")!])[0]);
        Assert.That(interval.High - interval.Low, Is.EqualTo(2 * 1.96 * 0.5 / 20).Within(5).Percent);
        Assert.That((interval.High + interval.Low) / 2, Is.EqualTo(0.5).Within(0.005));
    }

    [Test]
    public void Images_of_a_patient_that_are_there_ten_times_make_no_interval_narrower()
    {
        ImageCounts[] once = Counts(4), often = [.. once.SelectMany(image => Enumerable.Repeat(image, 10))];
        ScoreInterval[] intervals =
        [
            .. new[] { once, often }.Select(images => new EntryStatistics(Entry(StudyFixture.Tested("m", 0, images))))
                .Select(s => s.Interval("dice_image")!.Value),
        ];
        Assert.That(intervals[1].Low, Is.EqualTo(intervals[0].Low).Within(1e-12));
        Assert.That(intervals[1].High, Is.EqualTo(intervals[0].High).Within(1e-12));
    }

    [Test]
    public void A_p_value_is_twice_the_smaller_tail_and_never_zero()
    {
        Assert.That(Bootstrap.PValue([.. Enumerable.Repeat(0.1, 99)]), Is.EqualTo(0.02).Within(1e-15));
        Assert.That(Bootstrap.PValue([-1, 1, -1, 1, double.NaN]), Is.EqualTo(1));
        Assert.That(Bootstrap.PValue([0, 0, 0]), Is.EqualTo(1));
        Assert.That(Bootstrap.PValue([-1, .. Enumerable.Repeat(2.0, 98)]), Is.EqualTo(0.04).Within(1e-15));
    }

    [Test]
    public void Holm_corrects_as_in_his_paper()
    {
        // 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which may not be below the one before it.
        Assert.That(Bootstrap.Holm([0.01, 0.04, 0.03, 0.005]), Is.EqualTo(new[] { 0.03, 0.06, 0.06, 0.02 }).Within(1e-12));
        Assert.That(Bootstrap.Holm([0.9, 0.8]), Is.EqualTo(new[] { 1.0, 1.0 }));
        Assert.That(Bootstrap.Holm([]), Is.Empty);
    }

    [Test]
    public void Pairs_see_the_same_draws()
    {
        ImageCounts[] good = Counts(6), poor = [.. good.Select(i => i with { Both = i.Both / 2 })];
        EntryStatistics[] entries = [.. Study(
            StudyFixture.Tested("a", 0, good), StudyFixture.Tested("b", 0, good), StudyFixture.Tested("c", 0, poor))
            .Select(entry => new EntryStatistics(entry))];
        IReadOnlyList<PairedComparison> pairs = PairedComparison.Of(entries);
        Assert.That(pairs.Select(p => p.First.Label + p.Second.Label), Is.EqualTo(new[] { "ab", "ac", "bc" }));
        Assert.That((pairs[0].Difference, pairs[0].Interval.Low, pairs[0].Interval.High, pairs[0].PValue), Is.EqualTo((0, 0, 0, 1)));
        // Halved in every image: worse in each draw, by a difference whose deviation is far below that of the scores.
        Assert.That(pairs[1].Interval.Low, Is.Positive);
        Assert.That(pairs[1].PValue, Is.EqualTo(2.0 / (Bootstrap.Draws + 1)).Within(1e-12));
        Assert.That(pairs[1].Corrected, Is.EqualTo(3 * pairs[1].PValue).Within(1e-12));
    }

    [Test]
    public void Runs_with_other_images_are_not_paired()
    {
        ImageCounts[] images = Counts(8), others = [.. images.Select(i => i with { Image = i.Image + "x" })];
        IReadOnlyList<StudyEntry> entries = Study(
            StudyFixture.Tested("a", 0, images), StudyFixture.Tested("b", 0, others), StudyFixture.Tested("c", 0, images[1..]));
        Assert.That(PairedComparison.Of([.. entries.Select(entry => new EntryStatistics(entry))]), Is.Empty);
    }

    [Test]
    public void There_is_no_interval_of_few_patients_or_of_counts_that_give_another_score()
    {
        ImageCounts[] few = [.. Counts(9).Where(image => image.Group is "p0" or "p1" or "p2" or "p3")];
        EntryStatistics statistics = new(Entry(StudyFixture.Tested("m", 0, few)));
        Assert.That(statistics.Problem, Is.EqualTo("4 patients are too few; expected at least 5"));
        Assert.That(statistics.Interval("dice_global"), Is.Null);
        RunResult run = StudyFixture.Tested("m", 0, Counts(9));
        run = run with { Test = run.Test! with { Measures = new Dictionary<string, double> { ["dice_global"] = 0.99 } } };
        Assert.That(
            new EntryStatistics(Entry(run)).Problem,
            Does.Match(@"^the counts of images give dice_global 0\.\d{4}, and the runs report 0\.9900$"));
        Assert.That(new EntryStatistics(Entry(run with { Test = null })).Problem, Is.EqualTo("no run has ended"));
    }

    [Test]
    public void Seeds_and_folds_have_mean_and_deviation()
    {
        SampleSummary summary = new([1, 2, double.NaN, 3]);
        Assert.That((summary.Count, summary.Mean, summary.Deviation), Is.EqualTo((3, 2.0, 1.0)));
        Assert.That((new SampleSummary([5]).Deviation, new SampleSummary([]).Mean), Is.EqualTo((double.NaN, double.NaN)));
        StudyEntry entry = Entry(StudyFixture.Tested("m", 0, Counts(1)), StudyFixture.Tested("m", 1, Counts(2)) with { Test = null });
        Assert.That((entry.Runs.Count, entry.Ended.Count, entry.Score("dice_global").Count), Is.EqualTo((2, 1, 1)));
    }

    private static StudyEntry Entry(params RunResult[] runs) => Study(runs).Single();

    private static IReadOnlyList<StudyEntry> Study(params RunResult[] runs) => StudyEntry.Of(
        new StudyResults("s", "S", ModelTask.Segmentation, ["lesion"], "", new StudyMachine("", 1, 256, "", "", ""), runs));

    /// <summary>Counts of 21 images of seven patients; some images have nothing true or predicted.</summary>
    private static ImageCounts[] Counts(ulong seed)
    {
        RandomStream random = new(seed, "counts");
        return
        [
            .. Enumerable.Range(0, 21).Select(i =>
            {
                int truth = i % 5 == 4 ? 0 : 40 + random.NextInt(60), predicted = i % 5 == 4 ? i % 2 : truth - 20 + random.NextInt(40);
                int both = Math.Min(truth, predicted) - (truth > 0 ? random.NextInt(15) : 0);
                return new ImageCounts($"{i:D2}", $"p{i / 3}", both, predicted, truth);
            }),
        ];
    }

    /// <summary>The images of each patient as often as it was drawn.</summary>
    private static ImageCounts[] Repeated(ImageCounts[] images, int[] times) =>
        [.. images.SelectMany(image => Enumerable.Repeat(image, times[image.Group[1] - '0']))];
}
