namespace Mamba.Core.Optim;

/// <summary>The factor on the base learning rate at a step, counted from 0.</summary>
/// <param name="step">The step.</param>
/// <returns>The factor.</returns>
public delegate double Schedule(long step);

/// <summary>The usual schedules.</summary>
public static class Schedules
{
    /// <summary>Always 1.</summary>
    public static Schedule Constant { get; } = _ => 1;

    /// <summary>Multiplied by <paramref name="factor"/> every <paramref name="every"/> steps: PyTorch's StepLR.</summary>
    /// <param name="every">Steps between changes; at least 1.</param>
    /// <param name="factor">The factor of each change.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">every is less than 1.</exception>
    public static Schedule Step(long every, double factor = 0.1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(every, 1);
        return step => Math.Pow(factor, step / every);
    }

    /// <summary>
    /// Linear from 1 / warmup to 1 during the warm-up, then a half cosine down to <paramref name="floor"/> (Loshchilov and Hutter 2017).
    /// </summary>
    /// <param name="warmup">Steps of the warm-up; may be 0.</param>
    /// <param name="total">Total steps; afterwards the factor stays at the floor.</param>
    /// <param name="floor">The final factor.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The warm-up is negative or not shorter than the total.</exception>
    public static Schedule CosineWithWarmup(long warmup, long total, double floor = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(warmup);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(total, warmup);
        return step => step < warmup
            ? (step + 1.0) / warmup
            : Anneal(1, floor, Math.Min(1, (double)(step - warmup) / (total - warmup)));
    }

    /// <summary>Multiplied by <paramref name="factor"/> at each milestone: PyTorch's MultiStepLR.</summary>
    /// <param name="milestones">Steps, in any order; a repeated one counts twice.</param>
    /// <param name="factor">The factor of each change.</param>
    /// <returns>The schedule.</returns>
    public static Schedule MultiStep(IEnumerable<long> milestones, double factor = 0.1)
    {
        long[] sorted = [.. milestones.Order()];
        return step =>
        {
            int passed = 0;
            while (passed < sorted.Length && sorted[passed] <= step) passed++;
            return Math.Pow(factor, passed);
        };
    }

    /// <summary>Multiplied by <paramref name="factor"/> every step: PyTorch's ExponentialLR.</summary>
    /// <param name="factor">The factor per step.</param>
    /// <returns>The schedule.</returns>
    public static Schedule Exponential(double factor) => step => Math.Pow(factor, step);

    /// <summary>Linear from one factor to another, then constant: PyTorch's LinearLR.</summary>
    /// <param name="steps">Steps of the linear part; at least 1.</param>
    /// <param name="from">The factor of step 0.</param>
    /// <param name="to">The factor from step <paramref name="steps"/> on.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">steps is less than 1.</exception>
    public static Schedule Linear(long steps, double from = 1.0 / 3, double to = 1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(steps, 1);
        return step => from + (to - from) * Math.Min(step, steps) / steps;
    }

    /// <summary>A half cosine from 1 down to <paramref name="floor"/>, then up again, and so on: PyTorch's CosineAnnealingLR.</summary>
    /// <param name="half">Steps from the top to the floor, PyTorch's T_max; at least 1.</param>
    /// <param name="floor">The lowest factor: PyTorch's eta_min over the base learning rate.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">half is less than 1.</exception>
    public static Schedule Cosine(long half, double floor = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(half, 1);
        return step => Anneal(1, floor, (double)(step % (2 * half)) / half);
    }

    /// <summary>A half cosine down to <paramref name="floor"/>, restarted from 1: PyTorch's CosineAnnealingWarmRestarts (SGDR).</summary>
    /// <param name="first">Steps of the first period, PyTorch's T_0; at least 1.</param>
    /// <param name="growth">The ratio of each period to the previous one, PyTorch's T_mult; at least 1.</param>
    /// <param name="floor">The lowest factor: PyTorch's eta_min over the base learning rate.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">first or growth is less than 1.</exception>
    public static Schedule CosineWithRestarts(long first, int growth = 1, double floor = 0)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(first, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(growth, 1);
        return step =>
        {
            long period = first, inside = growth == 1 ? step % first : step;
            for (; inside >= period; period = period > long.MaxValue / growth ? long.MaxValue : period * growth) inside -= period;
            return Anneal(1, floor, (double)inside / period);
        };
    }

    /// <summary>
    /// Up to the base learning rate and down again, each as a half cosine: PyTorch's OneCycleLR (Smith and Topin 2018). The base is
    /// PyTorch's max_lr.
    /// </summary>
    /// <param name="total">Total steps, at least 2; afterwards the factor stays at its final value.</param>
    /// <param name="rising">The fraction of rising steps, PyTorch's pct_start; more than 0 and less than 1.</param>
    /// <param name="divisor">1 / the first factor, PyTorch's div_factor.</param>
    /// <param name="finalDivisor">The first factor / the final one, PyTorch's final_div_factor.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">total or rising is out of range.</exception>
    public static Schedule OneCycle(long total, double rising = 0.3, double divisor = 25, double finalDivisor = 1e4)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(total, 2);
        if (!(rising is > 0 and < 1))
            throw new ArgumentOutOfRangeException(
                nameof(rising), rising, "Schedules.OneCycle: expected a share of more than 0 and less than 1.");
        double peak = rising * total - 1, end = total - 1, first = 1 / divisor;
        return step => peak > 0 && step <= peak
            ? Anneal(first, 1, step / peak)
            : Anneal(1, first / finalDivisor, (Math.Min(step, end) - peak) / (end - peak));
    }

    /// <summary>Interpolates between two factors along a half cosine.</summary>
    private static double Anneal(double from, double to, double share) => to + (from - to) * 0.5 * (1 + Math.Cos(Math.PI * share));
}
