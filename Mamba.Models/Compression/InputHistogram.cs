namespace Mamba.Models.Compression;

/// <summary>How a scale is found from the magnitudes of a weight's inputs.</summary>
public enum CalibrationMethod
{
    /// <summary>The largest magnitude has code 127.</summary>
    MinMax,

    /// <summary>All but one in ten thousand magnitudes are within the codes.</summary>
    Percentile,

    /// <summary>The expected squared error of rounding and clamping is least.</summary>
    Mse,
}

/// <summary>
/// The magnitudes of the inputs of one weight: their largest in a first pass, and in a second one their histogram up to it. Counts do not
/// depend on the order in which threads add to them.
/// </summary>
internal sealed class InputHistogram
{
    private const int Bins = 2048;
    private const double LargestCode = 127, BeyondPercentile = 1e-4;

    private readonly Lock _gate = new();
    private readonly long[] _counts = new long[Bins];
    private float _largest;

    /// <summary>The first pass.</summary>
    public void Measure(ReadOnlySpan<float> values)
    {
        float largest = 0;
        foreach (float value in values) largest = Math.Max(largest, Math.Abs(value)); // NaN comes through
        lock (_gate) _largest = Math.Max(_largest, largest);
    }

    /// <summary>The second pass. Zeros are left out: no scale rounds them.</summary>
    public void Count(ReadOnlySpan<float> values)
    {
        if (!IsUsable) return;
        long[] counts = new long[Bins];
        float perBin = Bins / _largest;
        foreach (float value in values)
            if (value != 0) counts[Math.Min(Bins - 1, (int)(Math.Abs(value) * perBin))]++;
        lock (_gate)
            for (int i = 0; i < Bins; i++) _counts[i] += counts[i];
    }

    /// <summary>Whether a scale follows: inputs that are all zero, or not finite, have none.</summary>
    public bool IsUsable => float.IsNormal(_largest) && float.IsNormal((float)(_largest / LargestCode)) && float.IsNormal(Bins / _largest);

    /// <summary>The value of code 1.</summary>
    public float Scale(CalibrationMethod method) => (float)(_largest / Bins / LargestCode * method switch
    {
        CalibrationMethod.Percentile => PercentileBins(),
        CalibrationMethod.Mse => LeastErrorBins(),
        _ => Bins,
    });

    private int PercentileBins()
    {
        long beyond = (long)(BeyondPercentile * _counts.Sum());
        int bins = Bins;
        for (long above = 0; bins > 1 && (above += _counts[bins - 1]) <= beyond;) bins--;
        return bins;
    }

    /// <summary>
    /// Rounding to steps of width s has an expected squared error of s^2 / 12; what is clamped to T has (x - T)^2. Thresholds from an
    /// eighth of the range on are tried.
    /// </summary>
    private int LeastErrorBins()
    {
        double least = double.PositiveInfinity;
        int best = Bins;
        for (int bins = Bins; bins >= Bins / 8; bins -= Bins / 128)
        {
            double step = bins / LargestCode, error = 0;
            for (int i = 0; i < Bins; i++)
                error += _counts[i] * (i < bins ? step * step / 12 : (i + 0.5 - bins) * (i + 0.5 - bins));
            if (error < least) (least, best) = (error, bins);
        }
        return best;
    }
}
