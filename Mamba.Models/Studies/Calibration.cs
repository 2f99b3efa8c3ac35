namespace Mamba.Models.Studies;

/// <summary>How far the confidence of predictions is from the share of them that is right.</summary>
public static class Calibration
{
    /// <summary>
    /// The expected calibration error (Guo et al. 2017): the mean over predictions of |accuracy - confidence| of their bin.
    /// </summary>
    /// <param name="bins">The bins.</param>
    /// <returns>From 0 to 1; NaN without predictions.</returns>
    public static double Error(IReadOnlyList<CalibrationBin> bins)
    {
        double sum = 0;
        long count = 0;
        foreach (CalibrationBin bin in bins)
        {
            if (bin.Count <= 0) continue;
            sum += bin.Count * Math.Abs(bin.Accuracy - bin.Confidence);
            count += bin.Count;
        }
        return count == 0 ? double.NaN : sum / count;
    }

    /// <summary>The bins of several runs together.</summary>
    /// <param name="runs">The bins of each run.</param>
    /// <returns>
    /// Bins with the counts of all; empty if there are none, or the runs do not have the same bounds.
    /// </returns>
    public static IReadOnlyList<CalibrationBin> Pool(IReadOnlyList<IReadOnlyList<CalibrationBin>> runs)
    {
        if (runs.Count == 0 || !runs.All(bins => SameBounds(bins, runs[0]))) return [];
        CalibrationBin[] pooled = new CalibrationBin[runs[0].Count];
        for (int i = 0; i < pooled.Length; i++)
        {
            long count = 0;
            double confidence = 0, right = 0;
            foreach (IReadOnlyList<CalibrationBin> bins in runs)
            {
                CalibrationBin bin = bins[i];
                if (bin.Count <= 0) continue;
                count += bin.Count;
                confidence += bin.Count * bin.Confidence;
                right += bin.Count * bin.Accuracy;
            }
            pooled[i] = new CalibrationBin(
                runs[0][i].Low, runs[0][i].High, count, confidence / count, right / count); // 0 / 0 is NaN
        }
        return pooled;
    }

    private static bool SameBounds(IReadOnlyList<CalibrationBin> a, IReadOnlyList<CalibrationBin> b)
    {
        if (a.Count != b.Count) return false;
        for (int i = 0; i < a.Count; i++)
            if (a[i].Low != b[i].Low || a[i].High != b[i].High) return false;
        return true;
    }
}
