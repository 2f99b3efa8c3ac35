namespace Mamba.Models.Metrics;

/// <summary>The scores of one class.</summary>
/// <param name="Label">Its name.</param>
/// <param name="Precision">The share of images predicted as this class that are of this class; 0 if none is predicted.</param>
/// <param name="Recall">The share of images of this class that are predicted as this class; 0 if there are none.</param>
/// <param name="F1">The harmonic mean of both, 2 tp / (2 tp + fp + fn); 0 if tp, fp and fn are 0.</param>
/// <param name="Support">The number of images of this class.</param>
public sealed record ClassScores(string Label, double Precision, double Recall, double F1, long Support);

/// <summary>The scores of a classified set of images; see <see cref="ClassificationMetrics"/>.</summary>
/// <param name="Accuracy">The share of images whose class is the most probable one.</param>
/// <param name="MacroF1">The mean F1 of the classes that are true or predicted anywhere, each with the same weight.</param>
/// <param name="Top5">The share of images whose class is among the five most probable; null for five classes or fewer.</param>
/// <param name="Classes">The classes in their order.</param>
/// <param name="Confusion">The number of images by true class (rows) and predicted class (columns).</param>
public sealed record ClassificationScores(
    double Accuracy, double MacroF1, double? Top5, IReadOnlyList<ClassScores> Classes, long[,] Confusion) : Scores
{
    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, double Value)> Values =>
        Top5 is { } top ? [("macro_f1", MacroF1), ("accuracy", Accuracy), ("top5", top)] : [("macro_f1", MacroF1), ("accuracy", Accuracy)];
}
