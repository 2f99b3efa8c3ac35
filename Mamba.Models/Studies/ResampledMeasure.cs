namespace Mamba.Models.Studies;

/// <summary>A score as a function of how often each group of test images counts; over several runs, the mean of their scores.</summary>
public abstract class ResampledMeasure
{
    private protected ResampledMeasure()
    {
    }

    /// <summary>The score where each group counts a number of times.</summary>
    /// <param name="times">A number for each group.</param>
    /// <returns>The score; NaN where nothing that counts can be scored.</returns>
    public abstract double Of(ReadOnlySpan<int> times);

    /// <summary>The score where each group counts once.</summary>
    /// <param name="groups">The number of groups.</param>
    /// <returns>The score.</returns>
    public double Once(int groups)
    {
        int[] times = new int[groups];
        times.AsSpan().Fill(1);
        return Of(times);
    }

    /// <summary>Adds a run's score to a mean.</summary>
    private protected static void Add(double value, ref double sum, ref int runs)
    {
        if (double.IsNaN(value)) return;
        sum += value;
        runs++;
    }
}

/// <summary>A score that is one sum over images divided by another: pooled Dice, a mean over images, accuracy.</summary>
/// <param name="runs">For each run and group, the part of the numerator and that of the denominator.</param>
internal sealed class RatioMeasure(double[][] runs) : ResampledMeasure
{
    /// <summary>Parts of a run whose sums are 0.</summary>
    public static double[] Empty(int groups) => new double[2 * groups];

    public override double Of(ReadOnlySpan<int> times)
    {
        double sum = 0;
        int count = 0;
        foreach (double[] parts in runs)
        {
            double numerator = 0, denominator = 0;
            for (int g = 0; g < times.Length; g++)
            {
                numerator += times[g] * parts[2 * g];
                denominator += times[g] * parts[2 * g + 1];
            }
            Add(denominator > 0 ? numerator / denominator : double.NaN, ref sum, ref count);
        }
        return count == 0 ? double.NaN : sum / count;
    }
}

/// <summary>
/// Macro F1: the mean over classes of 2 tp / (2 tp + fp + fn). A class that is neither true nor predicted does not count.
/// </summary>
/// <param name="classes">The number of classes.</param>
/// <param name="runs">For each run and image: its group, true class and predicted class.</param>
internal sealed class MacroF1Measure(int classes, int[][] runs) : ResampledMeasure
{
    private readonly long[] _both = new long[classes], _either = new long[classes];

    public override double Of(ReadOnlySpan<int> times)
    {
        double sum = 0;
        int count = 0;
        foreach (int[] images in runs)
        {
            _both.AsSpan().Clear();
            _either.AsSpan().Clear();
            for (int i = 0; i < images.Length; i += 3)
            {
                int weight = times[images[i]], truth = images[i + 1], predicted = images[i + 2];
                if (truth == predicted) _both[truth] += weight;
                _either[truth] += weight;
                _either[predicted] += weight;
            }
            Add(Mean(), ref sum, ref count);
        }
        return count == 0 ? double.NaN : sum / count;
    }

    private double Mean()
    {
        double sum = 0;
        int present = 0;
        for (int c = 0; c < classes; c++)
        {
            if (_either[c] == 0) continue;
            sum += 2.0 * _both[c] / _either[c];
            present++;
        }
        return present == 0 ? double.NaN : sum / present;
    }
}
