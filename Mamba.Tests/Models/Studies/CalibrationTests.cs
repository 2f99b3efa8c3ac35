using Mamba.Models.Studies;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class CalibrationTests
{
    private static readonly CalibrationBin[] s_bins =
        [new(0, 0.5, 10, 0.4, 0.6), new(0.5, 0.75, 0, double.NaN, double.NaN), new(0.75, 1, 30, 0.9, 0.8)];

    [Test]
    public void The_error_is_the_mean_gap_of_predictions()
    {
        Assert.That(Calibration.Error(s_bins), Is.EqualTo((10 * 0.2 + 30 * 0.1) / 40).Within(1e-15));
        Assert.That(Calibration.Error([]), Is.NaN);
        Assert.That(Calibration.Error(s_bins[1..2]), Is.NaN);
    }

    [Test]
    public void Bins_of_runs_are_pooled_by_their_counts()
    {
        CalibrationBin[] other = [new(0, 0.5, 30, 0.2, 0.2), new(0.5, 0.75, 4, 0.6, 0.5), new(0.75, 1, 0, double.NaN, double.NaN)];
        IReadOnlyList<CalibrationBin> pooled = Calibration.Pool([s_bins, other]);
        Assert.That(pooled.Select(bin => bin.Count), Is.EqualTo(new[] { 40, 4, 30 }));
        Assert.That(pooled[0].Confidence, Is.EqualTo(0.25).Within(1e-12));
        Assert.That(pooled[0].Accuracy, Is.EqualTo(0.3).Within(1e-12));
        Assert.That((pooled[1].Accuracy, pooled[2].Confidence), Is.EqualTo((0.5, 0.9)));
        Assert.That(Calibration.Pool([s_bins, other[1..]]), Is.Empty, "other bounds");
        Assert.That(Calibration.Pool([]), Is.Empty);
    }

    [Test]
    public void Models_disagree_most_where_their_Dice_differs_most_and_once_a_patient()
    {
        ImageCounts[] truth =
        [
            new("a1", "a", 10, 10, 10), new("a2", "a", 10, 10, 10), new("b1", "b", 10, 10, 10), new("c1", "c", 10, 10, 10),
            new("d1", "d", 0, 0, 0),
        ];
        ImageCounts[] poor =
        [
            new("a1", "a", 2, 10, 10), new("a2", "a", 0, 10, 10), new("b1", "b", 8, 10, 10), new("c1", "c", 10, 10, 10),
            new("d1", "d", 0, 2, 0),
        ];
        RunResult[] runs = [StudyFixture.Tested("good", 0, truth), StudyFixture.Tested("poor", 0, poor)];
        IReadOnlyList<Disagreement> images = Disagreement.Of(runs, 9);
        Assert.That(images.Select(d => d.Image), Is.EqualTo(new[] { "a2", "b1", "a1", "d1" }), "c1 is no disagreement");
        Assert.That(images[0].Deviation, Is.EqualTo(Math.Sqrt(0.5)).Within(1e-12));
        Assert.That((images[0].Place, Disagreement.Of(runs, 1).Count, Disagreement.Of(runs[..1], 9).Count), Is.EqualTo((1, 1, 0)));
    }
}
