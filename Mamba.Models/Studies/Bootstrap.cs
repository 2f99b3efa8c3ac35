using Mamba.Core;

namespace Mamba.Models.Studies;

/// <summary>An interval of a score.</summary>
/// <param name="low">Its lower end.</param>
/// <param name="high">Its upper end.</param>
public readonly struct ScoreInterval(double low, double high)
{
    /// <summary>Its lower end.</summary>
    public double Low { get; } = low;

    /// <summary>Its upper end.</summary>
    public double High { get; } = high;
}

/// <summary>
/// The percentile bootstrap over groups (Efron and Tibshirani 1993): groups are drawn with replacement, as many as there are, and all their
/// images count as often as they were drawn. The numbers come from a keyed stream, so that a report is the same each time; two entries with
/// the same groups see the same draws, which pairs them.
/// </summary>
public static class Bootstrap
{
    /// <summary>How often groups are drawn.</summary>
    public const int Draws = 10_000;

    /// <summary>The fewest groups from which an interval is made.</summary>
    public const int LeastGroups = 5;

    /// <summary>The share of draws within an interval.</summary>
    public const double Level = 0.95;

    /// <summary>Scores of drawn groups.</summary>
    /// <param name="groups">The number of groups.</param>
    /// <param name="measures">The scores.</param>
    /// <param name="draws">How often groups are drawn.</param>
    /// <param name="seed">The seed.</param>
    /// <returns>For each score, its value in each draw.</returns>
    public static double[][] Resample(int groups, IReadOnlyList<ResampledMeasure> measures, int draws = Draws, ulong seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(groups);
        RandomStream random = new(seed, "study/bootstrap");
        int[] times = new int[groups];
        double[][] values = [.. measures.Select(_ => new double[draws])];
        for (int draw = 0; draw < draws; draw++)
        {
            times.AsSpan().Clear();
            for (int g = 0; g < groups; g++) times[random.NextInt(groups)]++;
            for (int m = 0; m < values.Length; m++) values[m][draw] = measures[m].Of(times);
        }
        return values;
    }

    /// <summary>The middle share of values.</summary>
    /// <param name="values">The score in each draw; NaN is left out.</param>
    /// <param name="level">The share.</param>
    /// <returns>The quantiles (1 - level) / 2 and (1 + level) / 2; NaN without values.</returns>
    public static ScoreInterval Interval(ReadOnlySpan<double> values, double level = Level)
    {
        double[] sorted = [.. values.ToArray().Where(value => !double.IsNaN(value)).Order()];
        return new ScoreInterval(Quantile(sorted, (1 - level) / 2), Quantile(sorted, (1 + level) / 2));
    }

    /// <summary>
    /// The two-sided p value of a difference: twice the smaller share of draws at or beyond 0. One draw is added, so that it is never 0.
    /// </summary>
    /// <param name="differences">The difference in each draw.</param>
    /// <returns>Above 0, at most 1.</returns>
    public static double PValue(ReadOnlySpan<double> differences)
    {
        int below = 0, above = 0, count = 0;
        foreach (double difference in differences)
        {
            if (double.IsNaN(difference)) continue;
            count++;
            if (difference <= 0) below++;
            if (difference >= 0) above++;
        }
        return Math.Min(1, 2.0 * (Math.Min(below, above) + 1) / (count + 1));
    }

    /// <summary>
    /// p values corrected for their number (Holm 1979): the k-th smallest of n times n - k + 1, and never below a smaller one's.
    /// </summary>
    /// <param name="values">The p values.</param>
    /// <returns>The corrected ones, in the same order.</returns>
    public static double[] Holm(IReadOnlyList<double> values)
    {
        int[] order = [.. Enumerable.Range(0, values.Count).OrderBy(i => values[i])];
        double[] corrected = new double[values.Count];
        double largest = 0;
        for (int k = 0; k < order.Length; k++)
            corrected[order[k]] = largest = Math.Max(largest, Math.Min(1, (order.Length - k) * values[order[k]]));
        return corrected;
    }

    /// <summary>A quantile of sorted values, with a straight line between neighbors.</summary>
    private static double Quantile(double[] sorted, double share)
    {
        if (sorted.Length == 0) return double.NaN;
        double at = share * (sorted.Length - 1);
        int below = (int)at, above = Math.Min(below + 1, sorted.Length - 1);
        return sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    }
}
