namespace Mamba.Models.Metrics;

/// <summary>How well one class is told from the others.</summary>
/// <param name="Label">Its name.</param>
/// <param name="Precision">Of the images taken for it, the share that is of it; 0 where there is none.</param>
/// <param name="Recall">Of the images that are of it, the share taken for it; 0 where there is none.</param>
/// <param name="F1">The harmonic mean of both, 2 tp / (2 tp + fp + fn); 0 where all three are 0.</param>
/// <param name="Support">The number of images that are of it.</param>
public sealed record ClassScores(string Label, double Precision, double Recall, double F1, long Support);

/// <summary>How a set of images was classified; see <see cref="ClassificationMetrics"/>.</summary>
/// <param name="Accuracy">The share of images whose class is the most probable one.</param>
/// <param name="MacroF1">The mean F1 of the classes that are true or predicted anywhere, each with the same weight.</param>
/// <param name="Top5">The share of images whose class is among the five most probable; null if there are no more than five.</param>
/// <param name="Classes">The classes in their order.</param>
/// <param name="Confusion">The number of images by true class (rows) and predicted class (columns).</param>
public sealed record ClassificationScores(double Accuracy, double MacroF1, double? Top5, IReadOnlyList<ClassScores> Classes, long[,] Confusion) : Scores
{
    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, double Value)> Values =>
        Top5 is { } top ? [("macro_f1", MacroF1), ("accuracy", Accuracy), ("top5", top)] : [("macro_f1", MacroF1), ("accuracy", Accuracy)];
}
