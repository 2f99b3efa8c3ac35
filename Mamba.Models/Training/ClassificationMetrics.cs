using System.Numerics.Tensors;

namespace Mamba.Models.Training;

/// <summary>How well one class is found.</summary>
/// <param name="Label">Its name.</param>
/// <param name="Precision">Of the images taken for it, the share that are; 0 if there are none.</param>
/// <param name="Recall">Of its images, the share that is taken for it; 0 if there are none.</param>
/// <param name="F1">The harmonic mean of the two: 2 tp / (2 tp + fp + fn); 0 if all are 0.</param>
/// <param name="Support">Its images.</param>
public sealed record ClassScores(string Label, double Precision, double Recall, double F1, long Support);

/// <summary>How well a set of images is classified.</summary>
/// <param name="Classes">Each class.</param>
/// <param name="Confusion">Images by true class (row) and predicted class (column).</param>
public sealed record ClassificationScores(IReadOnlyList<ClassScores> Classes, long[,] Confusion) : Scores
{
    /// <summary>The mean of the classes' F1, over the classes that occur in truth or prediction, as scikit-learn's f1_score(average='macro').</summary>
    public double MacroF1 { get; } = Classes.Where((c, i) => c.Support > 0 || Column(Confusion, i) > 0).Select(c => c.F1).DefaultIfEmpty(0).Average();

    /// <summary>The share of images whose class is predicted.</summary>
    public double Accuracy { get; } = Enumerable.Range(0, Classes.Count).Sum(i => Confusion[i, i]) / (double)Math.Max(1, Classes.Sum(c => c.Support));

    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, double Value)> Values => [("macro_f1", MacroF1), ("accuracy", Accuracy)];

    internal static long Column(long[,] confusion, int column) => Enumerable.Range(0, confusion.GetLength(0)).Sum(row => confusion[row, column]);
}

/// <summary>The confusion matrix of a classifier, and what follows from it. The predicted class is the first of the most probable ones.</summary>
/// <param name="labels">The names of the classes.</param>
public sealed class ClassificationMetrics(IReadOnlyList<string> labels) : IMetrics
{
    private readonly long[,] _confusion = new long[labels.Count, labels.Count];

    /// <inheritdoc/>
    public int Images { get; private set; }

    /// <inheritdoc/>
    public void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target)
    {
        if (probabilities.Length != labels.Count || target.Length != labels.Count)
            throw new ArgumentException($"ClassificationMetrics: {probabilities.Length} probabilities and {target.Length} true ones; expected {labels.Count} of each.");
        _confusion[TensorPrimitives.IndexOfMax(target), TensorPrimitives.IndexOfMax(probabilities)]++;
        Images++;
    }

    Scores IMetrics.Result() => Result();

    /// <inheritdoc cref="IMetrics.Result"/>
    public ClassificationScores Result()
    {
        if (Images == 0) throw new InvalidOperationException("ClassificationMetrics: no image was added; there is nothing to score.");
        ClassScores[] classes = new ClassScores[labels.Count];
        for (int i = 0; i < classes.Length; i++)
        {
            long found = _confusion[i, i], predicted = ClassificationScores.Column(_confusion, i), support = 0;
            for (int column = 0; column < classes.Length; column++) support += _confusion[i, column];
            classes[i] = new ClassScores(labels[i], Ratio(found, predicted), Ratio(found, support), Ratio(2 * found, predicted + support), support);
        }
        return new ClassificationScores(classes, (long[,])_confusion.Clone());

        static double Ratio(long part, long whole) => whole == 0 ? 0 : (double)part / whole;
    }
}
