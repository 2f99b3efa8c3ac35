namespace Mamba.Models.Studies;

/// <summary>Counts predictions by their confidence, in bins of equal width from 0 to 1.</summary>
internal sealed class CalibrationTally
{
    /// <summary>The number of bins, as usual for calibration errors.</summary>
    public const int Bins = 15;

    private readonly long[] _count = new long[Bins], _right = new long[Bins];
    private readonly double[] _confidence = new double[Bins];

    /// <summary>Counts a prediction.</summary>
    /// <param name="confidence">Its probability; NaN is in no bin.</param>
    /// <param name="right">Whether it is right.</param>
    public void Add(float confidence, bool right)
    {
        if (float.IsNaN(confidence)) return;
        int bin = Math.Clamp((int)(confidence * Bins), 0, Bins - 1);
        _count[bin]++;
        _confidence[bin] += confidence;
        if (right) _right[bin]++;
    }

    /// <summary>All bins, from the least confidence; empty ones have NaN.</summary>
    public CalibrationBin[] Result()
    {
        CalibrationBin[] bins = new CalibrationBin[Bins];
        for (int i = 0; i < Bins; i++)
            bins[i] = new CalibrationBin(
                (double)i / Bins, (i + 1.0) / Bins, _count[i], _confidence[i] / _count[i], (double)_right[i] / _count[i]);
        return bins;
    }
}
