using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;

namespace Mamba.Models.Measurement;

/// <summary>Time and memory of a layer at one length.</summary>
/// <param name="Length">L.</param>
/// <param name="Milliseconds">The shortest time of a pass: other programs only add to it.</param>
/// <param name="Bytes">The most that tensors and working memory of a pass took at once, beside the inputs.</param>
public sealed record ScalingPoint(int Length, double Milliseconds, long Bytes);

/// <summary>How time and memory of a layer grow with the length of the sequence.</summary>
/// <param name="Layer">The layer.</param>
/// <param name="Training">Whether a pass is forward and backward; else forward.</param>
/// <param name="Points">The measured lengths, rising.</param>
public sealed record ScalingMeasurement(SequenceLayer Layer, bool Training, IReadOnlyList<ScalingPoint> Points)
{
    /// <summary>Slopes are fitted to this many of the longest lengths: at short ones fixed costs count.</summary>
    public const int FittedPoints = 4;

    /// <summary>The length at which a pass no longer fits into memory, or a tensor into an array; null where none was that long.</summary>
    public int? TooLarge { get; init; }

    /// <summary>The exponent p of time ~ L^p over the longest lengths; NaN with fewer than two.</summary>
    public double TimeSlope => Slope(Fitted, p => p.Milliseconds);

    /// <summary>The exponent p of memory ~ L^p over the longest lengths; NaN with fewer than two.</summary>
    public double MemorySlope => Slope(Fitted, p => p.Bytes);

    /// <summary>The points that slopes are fitted to.</summary>
    public IReadOnlyList<ScalingPoint> Fitted => [.. Points.TakeLast(FittedPoints)];

    /// <summary>Measures a layer at lengths that double, until one would take too long or would not fit.</summary>
    /// <param name="layer">The layer.</param>
    /// <param name="training">Whether a pass is forward and backward.</param>
    /// <param name="lengths">Lengths, rising.</param>
    /// <param name="budget">Seconds to repeat each, and the longest pass that is run at all.</param>
    /// <param name="report">Called after each length.</param>
    /// <param name="stop">Ends it between two passes.</param>
    /// <returns>The lengths whose predicted time was within the budget, and whose tensors fitted into memory.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static ScalingMeasurement Of(
        SequenceLayer layer, bool training, IEnumerable<int> lengths, ScalingBudget budget, Action<ScalingPoint>? report = null,
        CancellationToken stop = default)
    {
        List<ScalingPoint> points = [];
        foreach (int length in lengths)
        {
            if (Predicted(points, length, layer.Order) > 1e3 * budget.LongestPass) break;
            MemoryScope.Trim();
            if (Measured(layer, training, length, budget, points, stop) is not { } point)
                return new ScalingMeasurement(layer, training, points) { TooLarge = length };
            points.Add(point);
            report?.Invoke(point);
        }
        return new ScalingMeasurement(layer, training, points);
    }

    /// <summary>One length; null where it does not fit.</summary>
    private static ScalingPoint? Measured(
        SequenceLayer layer, bool training, int length, ScalingBudget budget, List<ScalingPoint> shorter, CancellationToken stop)
    {
        if (!Fits(shorter, length, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes)) return null;
        try
        {
            PassTimes times = PassTimes.Measure(layer.Pass(length, training), budget.Seconds, stop);
            return new ScalingPoint(length, times.Min, times.PassMemory);
        }
        // The shapes of a layer that has run differ in the length alone: what is wrong with a longer one is its size.
        catch (Exception e) when (e is OutOfMemoryException || (e is ShapeException && shorter.Count > 0))
        {
            return null;
        }
    }

    /// <summary>
    /// Whether a pass may fit into memory: it needs as much as the length at least. A system that has no more may end the process.
    /// </summary>
    /// <param name="shorter">Shorter lengths, rising.</param>
    /// <param name="length">L.</param>
    /// <param name="available">The bytes that the process may have.</param>
    internal static bool Fits(IReadOnlyList<ScalingPoint> shorter, int length, long available) =>
        shorter.Count == 0 || shorter[^1].Bytes * ((double)length / shorter[^1].Length) <= available;

    /// <summary>The length at which two layers take the same time, between measured lengths by straight lines over log L.</summary>
    /// <param name="other">The layer to compare with.</param>
    /// <returns>
    /// The length after which this one stays faster at all lengths that both were measured at; null where it is not faster at the longest,
    /// and the shortest length where it is faster throughout.
    /// </returns>
    public double? FasterFrom(ScalingMeasurement other)
    {
        (double L, double Ratio)[] ratios =
        [
            .. from own in Points
               join its in other.Points on own.Length equals its.Length
               select ((double)own.Length, Math.Log(its.Milliseconds / own.Milliseconds)),
        ];
        if (ratios.Length == 0 || ratios[^1].Ratio <= 0) return null;
        int i = ratios.Length - 1;
        while (i > 0 && ratios[i - 1].Ratio > 0) i--;
        if (i == 0) return ratios[0].L;
        double share = ratios[i - 1].Ratio / (ratios[i - 1].Ratio - ratios[i].Ratio);
        return ratios[i - 1].L * Math.Pow(ratios[i].L / ratios[i - 1].L, share);
    }

    /// <summary>Milliseconds of a pass, from the longest length so far; 0 before the first.</summary>
    private static double Predicted(List<ScalingPoint> points, int length, ScalingOrder order) => points.Count == 0 ? 0
        : points[^1].Milliseconds * Math.Pow((double)length / points[^1].Length, order == ScalingOrder.Quadratic ? 2 : 1);

    /// <summary>The slope of the least-squares line through (log L, log value).</summary>
    private static double Slope(IReadOnlyList<ScalingPoint> points, Func<ScalingPoint, double> value)
    {
        if (points.Count < 2) return double.NaN;
        double[] x = [.. points.Select(p => Math.Log(p.Length))], y = [.. points.Select(p => Math.Log(value(p)))];
        double meanX = x.Average(), meanY = y.Average();
        return x.Zip(y, (a, b) => (a - meanX) * (b - meanY)).Sum() / x.Sum(a => (a - meanX) * (a - meanX));
    }
}

/// <summary>How long a measurement may take.</summary>
/// <param name="Seconds">How long each length is repeated.</param>
/// <param name="LongestPass">A pass that is predicted to take more seconds is not run.</param>
public sealed record ScalingBudget(double Seconds, double LongestPass);
