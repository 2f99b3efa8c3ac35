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

    /// <summary>The scores of a confusion matrix, such as the sum of those of several runs.</summary>
    /// <param name="labels">The names of the classes.</param>
    /// <param name="confusion">The number of images by true class (rows) and predicted class (columns); one image at least.</param>
    /// <param name="top5">The share of images whose class is among the five most probable; null if unknown.</param>
    /// <returns>The scores; they hold the matrix itself.</returns>
    /// <exception cref="ArgumentException">The matrix is not of these classes.</exception>
    public static ClassificationScores Of(IReadOnlyList<string> labels, long[,] confusion, double? top5 = null)
    {
        int count = labels.Count;
        if (confusion.GetLength(0) != count || confusion.GetLength(1) != count)
            throw new ArgumentException(
                $"ClassificationScores: a matrix of {confusion.GetLength(0)} x {confusion.GetLength(1)}; expected {count} x {count}, the "
                    + "number of classes.");
        ClassScores[] classes = new ClassScores[count];
        long right = 0, images = 0;
        double sum = 0;
        int present = 0;
        for (int c = 0; c < count; c++)
        {
            long both = confusion[c, c], real = 0, predicted = 0;
            for (int other = 0; other < count; other++) (real, predicted) = (real + confusion[c, other], predicted + confusion[other, c]);
            classes[c] = new ClassScores(labels[c], Share(both, predicted), Share(both, real), Share(2 * both, real + predicted), real);
            (right, images) = (right + both, images + real);
            if (real + predicted == 0) continue;
            present++;
            sum += classes[c].F1;
        }
        return new ClassificationScores((double)right / images, sum / present, top5, classes, confusion);
    }

    private static double Share(long part, long whole) => whole == 0 ? 0 : (double)part / whole;
}
