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

    /// <summary>Times <paramref name="factor"/> after every <paramref name="every"/> steps.</summary>
    /// <param name="every">Steps between changes; at least 1.</param>
    /// <param name="factor">The factor of each change.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">every is less than 1.</exception>
    public static Schedule Step(long every, double factor = 0.1)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(every, 1);
        return step => Math.Pow(factor, step / every);
    }

    /// <summary>Linear from 1 / warmup to 1 over the warm-up, then half a cosine down to <paramref name="floor"/> (Loshchilov and Hutter 2017).</summary>
    /// <param name="warmup">Steps of the warm-up; may be 0.</param>
    /// <param name="total">All steps; the factor stays at the floor after them.</param>
    /// <param name="floor">The last factor.</param>
    /// <returns>The schedule.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The warm-up is negative or not shorter than the whole.</exception>
    public static Schedule CosineWithWarmup(long warmup, long total, double floor = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(warmup);
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(total, warmup);
        return step => step < warmup
            ? (step + 1.0) / warmup
            : floor + (1 - floor) * 0.5 * (1 + Math.Cos(Math.PI * Math.Min(1, (double)(step - warmup) / (total - warmup))));
    }
}
