namespace Mamba.Models.Studies;

/// <summary>Mean and deviation of a few values, such as the score of each seed or fold.</summary>
public readonly struct SampleSummary
{
    /// <summary>Summarizes values.</summary>
    /// <param name="values">The values; those that are not finite are left out.</param>
    public SampleSummary(IEnumerable<double> values)
    {
        double[] finite = [.. values.Where(double.IsFinite)];
        Count = finite.Length;
        Mean = Count == 0 ? double.NaN : finite.Sum() / Count;
        double mean = Mean;
        Deviation = Count < 2 ? double.NaN : Math.Sqrt(finite.Sum(v => (v - mean) * (v - mean)) / (Count - 1));
    }

    /// <summary>The values that are finite.</summary>
    public int Count { get; }

    /// <summary>Their mean; NaN if there are none.</summary>
    public double Mean { get; }

    /// <summary>Their standard deviation with n - 1 in the denominator; NaN for fewer than two.</summary>
    public double Deviation { get; }
}
