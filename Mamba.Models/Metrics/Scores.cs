namespace Mamba.Models.Metrics;

/// <summary>Scores of predictions, by the measures of a task.</summary>
public abstract record Scores
{
    /// <summary>The measures by name, as in results.csv and JSON. The first one selects the best epoch.</summary>
    public abstract IReadOnlyList<(string Name, double Value)> Values { get; }

    /// <summary>The measure that selects the best epoch.</summary>
    public double Headline => Values[0].Value;
}
