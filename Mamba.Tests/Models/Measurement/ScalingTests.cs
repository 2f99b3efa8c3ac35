using Mamba.Models.Measurement;

namespace Mamba.Tests.Models;

[NonParallelizable]
internal sealed class ScalingTests
{
    private static readonly int[] s_lengths = [256, 512, 1024, 2048, 4096];

    [Test]
    public void Slopes_are_the_exponents_of_the_longest_lengths()
    {
        ScalingMeasurement m = Of(l => 5 + 3e-6 * l * l, l => (long)l * 64);
        Assert.That(Of(l => 3e-6 * l * l, l => 7L * l).TimeSlope, Is.EqualTo(2).Within(1e-9));
        Assert.That(m.MemorySlope, Is.EqualTo(1).Within(1e-9));
        Assert.That(m.TimeSlope, Is.InRange(1.0, 2.0), "a fixed cost hides the square");
        Assert.That(m.Fitted.Select(p => p.Length), Is.EqualTo(s_lengths[1..]));
        Assert.That(new ScalingMeasurement(SequenceLayer.All[0], false, [new(256, 1, 1)]).TimeSlope, Is.NaN);
    }

    [Test]
    public void A_linear_layer_overtakes_a_quadratic_one_where_their_times_meet()
    {
        ScalingMeasurement linear = Of(l => 1e-3 * l, l => l), quadratic = Of(l => 1e-6 * l * l, l => l);
        Assert.That(linear.FasterFrom(quadratic), Is.EqualTo(1000).Within(1e-6));
        Assert.That(quadratic.FasterFrom(linear), Is.Null);
        Assert.That(Of(l => 1e-9, l => l).FasterFrom(linear), Is.EqualTo(256));
    }

    [Test]
    public void Every_layer_runs_forwards_and_backwards([ValueSource(nameof(Names))] string name, [Values] bool training)
    {
        List<int> reported = [];
        ScalingMeasurement m = ScalingMeasurement.Of(
            SequenceLayer.All.Single(l => l.Name == name), training, [16, 32], new ScalingBudget(0.001, 60), p => reported.Add(p.Length));
        Assert.That(reported, Is.EqualTo(new[] { 16, 32 }));
        Assert.That(m.Points.Select(p => p.Milliseconds), Is.All.Positive);
        Assert.That(m.Points.Select(p => p.Bytes), Is.All.Positive);
    }

    [Test]
    public void A_length_that_would_take_too_long_is_left_out()
    {
        ScalingMeasurement m = ScalingMeasurement.Of(SequenceLayer.All[0], false, [16, 1 << 30], new ScalingBudget(0.001, 1));
        Assert.That(m.Points.Select(p => p.Length), Is.EqualTo(new[] { 16 }));
    }

    [Test]
    public void A_length_that_does_not_fit_is_left_out_and_told()
    {
        ScalingBudget endless = new(0.001, double.PositiveInfinity);
        ScalingMeasurement m = ScalingMeasurement.Of(SequenceLayer.All[0], false, [16, 1 << 30], endless);
        Assert.That(m.Points.Select(p => p.Length), Is.EqualTo(new[] { 16 }));
        Assert.That(m.TooLarge, Is.EqualTo(1 << 30));
        Assert.That(ScalingMeasurement.Of(SequenceLayer.All[0], false, [16], endless).TooLarge, Is.Null);
        ScalingPoint[] shorter = [new(256, 1, 1000)];
        Assert.That(ScalingMeasurement.Fits(shorter, 1024, 3999), Is.False, "four times the length needs 4000 bytes or more");
        Assert.That(ScalingMeasurement.Fits(shorter, 1024, 4000));
        Assert.That(ScalingMeasurement.Fits([], 1024, 1), "nothing is known yet");
    }

    private static IEnumerable<string> Names => SequenceLayer.All.Select(layer => layer.Name);

    private static ScalingMeasurement Of(Func<double, double> milliseconds, Func<int, long> bytes) =>
        new(SequenceLayer.All[0], false, [.. s_lengths.Select(l => new ScalingPoint(l, milliseconds(l), bytes(l)))]);
}
