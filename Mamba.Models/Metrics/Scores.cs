namespace Mamba.Models.Metrics;

/// <summary>Scores of predictions, by the measures of a task.</summary>
public abstract record Scores
{
    /// <summary>The measures by name, as in results.csv and JSON. The first one selects the best epoch.</summary>
    public abstract IReadOnlyList<(string Name, double Value)> Values { get; }

    /// <summary>The measure that selects the best epoch.</summary>
    public double Headline => Values[0].Value;

    /// <summary>
    /// Whether a measure is a mean over the classes that a set of images has. Where other sets lack some of them, it is another measure
    /// there.
    /// </summary>
    /// <param name="measure">Its name in <see cref="Values"/>.</param>
    /// <returns>True for macro F1, mean Dice and mean IoU.</returns>
    public static bool IsOverClasses(string measure) => measure is "macro_f1" or "mean_dice" or "mean_iou";
}
