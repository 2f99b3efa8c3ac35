using Mamba.Core.Optim;

namespace Mamba.Tests.Core;

internal sealed class ScheduleTests
{
    [Test]
    public void Schedules_have_the_values_of_their_definitions()
    {
        Assert.That(At(Schedules.MultiStep([8, 3], 0.2), 0, 2, 3, 7, 8, 100),
            Is.EqualTo(new[] { 1, 1, 0.2, 0.2, 0.04, 0.04 }).Within(1e-12));
        Assert.That(At(Schedules.Exponential(0.5), 0, 1, 3), Is.EqualTo(new[] { 1, 0.5, 0.125 }).Within(1e-12));
        Assert.That(At(Schedules.Linear(4, 0.2), 0, 2, 4, 9), Is.EqualTo(new[] { 0.2, 0.6, 1, 1 }).Within(1e-12));
        Assert.That(At(Schedules.Cosine(10, 0.1), 0, 5, 10, 15, 20, 30), Is.EqualTo(new[] { 1, 0.55, 0.1, 0.55, 1, 0.1 }).Within(1e-12));
        // Periods of 4, 8 and 16 steps; without growth, of 4 each.
        Assert.That(At(Schedules.CosineWithRestarts(4, 2), 0, 2, 4, 8, 12, 20), Is.EqualTo(new[] { 1, 0.5, 1, 0.5, 1, 0.5 }).Within(1e-12));
        Assert.That(At(Schedules.CosineWithRestarts(4), 2, 4, 6, 4_000_000_002), Is.EqualTo(new[] { 0.5, 1, 0.5, 0.5 }).Within(1e-12));
    }

    [Test]
    public void One_cycle_rises_to_the_base_rate_and_falls_below_the_first()
    {
        Schedule cycle = Schedules.OneCycle(20, rising: 0.5, divisor: 4, finalDivisor: 100);
        Assert.That(At(cycle, 0, 9, 19, 50), Is.EqualTo(new[] { 0.25, 1, 0.0025, 0.0025 }).Within(1e-12));
        for (int step = 0; step < 9; step++) Assert.That(cycle(step + 1), Is.GreaterThan(cycle(step)));
        for (int step = 9; step < 19; step++) Assert.That(cycle(step + 1), Is.LessThan(cycle(step)));
        Assert.That(At(Schedules.OneCycle(2, 0.5), 0, 1), Is.EqualTo(new[] { 1, 1 / 25e4 }).Within(1e-12), "no step to rise in");
    }

    [Test]
    public void Arguments_out_of_range_are_refused() => Assert.Multiple(() =>
    {
        Assert.That(() => Schedules.Linear(0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Schedules.Cosine(0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Schedules.CosineWithRestarts(0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Schedules.CosineWithRestarts(3, 0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Schedules.OneCycle(1), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Schedules.OneCycle(10, double.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
    });

    [Test]
    public void Restarts_end_at_the_last_step_that_a_number_holds() =>
        Assert.That(At(Schedules.CosineWithRestarts(2, 2), long.MaxValue), Is.All.InRange(0.0, 1.0));

    private static double[] At(Schedule schedule, params long[] steps) => Array.ConvertAll(steps, step => schedule(step));
}
