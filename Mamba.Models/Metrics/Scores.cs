namespace Mamba.Models.Metrics;

/// <summary>How good predictions are, by measures that the task has.</summary>
public abstract record Scores
{
    /// <summary>The measures by name, as in results.csv and JSON. The first one decides which epoch is the best.</summary>
    public abstract IReadOnlyList<(string Name, double Value)> Values { get; }

    /// <summary>The measure that decides.</summary>
    public double Headline => Values[0].Value;
}
