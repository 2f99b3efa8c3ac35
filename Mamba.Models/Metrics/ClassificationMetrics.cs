namespace Mamba.Models.Metrics;

/// <summary>
/// Accuracy, macro F1 and the confusion matrix. The prediction is the most probable class, the first of equals, as in torch.max. The scores
/// equal scikit-learn's with zero_division=0. Its macro F1 ignores a class that is neither true nor predicted anywhere.
/// </summary>
public sealed class ClassificationMetrics : IMetrics
{
    private const int Top = 5;

    private readonly IReadOnlyList<string> _labels;
    private readonly long[,] _confusion;
    private int _images, _top;
    private MetricImage _image;
    private (int Real, int Predicted, bool InTop) _last;

    /// <summary>Starts with no image.</summary>
    /// <param name="labels">The names of the classes.</param>
    /// <exception cref="ArgumentException">There are none.</exception>
    public ClassificationMetrics(IReadOnlyList<string> labels)
    {
        if (labels.Count == 0) throw new ArgumentException("ClassificationMetrics: no classes; expected one at least.");
        (_labels, _confusion) = (labels, new long[labels.Count, labels.Count]);
    }

    /// <inheritdoc/>
    public int Images => _images;

    private int Count => _labels.Count;

    /// <inheritdoc/>
    /// <remarks>The largest value of a target is at its class. A NaN probability counts as the smallest.</remarks>
    public void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target) => Add(probabilities, target, default);

    /// <inheritdoc cref="Add(ReadOnlySpan{float}, ReadOnlySpan{float})"/>
    public void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target, in MetricImage image)
    {
        if (probabilities.Length != Count || target.Length != Count)
            throw new ArgumentException(
                $"ClassificationMetrics: {probabilities.Length} probabilities for {target.Length} values of the target; expected {Count} "
                    + "of each.");
        int real = First(target), predicted = First(probabilities), ahead = 0;
        float own = Value(probabilities[real]);
        for (int c = 0; c < Count; c++)
            if (Value(probabilities[c]) is var value && (value > own || (value == own && c < real))) ahead++;
        Tally((real, predicted, ahead < Top), image);
    }

    /// <inheritdoc/>
    public void Add(MeasuredImage image)
    {
        if (image.Counts is not [var real, var predicted, 0 or 1] || real < 0 || real >= Count || predicted < 0 || predicted >= Count)
            throw new ArgumentException(
                $"ClassificationMetrics: '{image.Name}' was measured as {string.Join(", ", image.Counts)}; expected the true class, the "
                    + $"predicted one, both below {Count}, and 0 or 1.");
        Tally(((int)real, (int)predicted, image.Counts[2] == 1), new MetricImage(0, 0, image.Name, image.Group));
    }

    /// <inheritdoc/>
    public MeasuredImage Last() => new(_image.Name ?? "", _image.Group, [_last.Real, _last.Predicted, _last.InTop ? 1 : 0], []);

    private void Tally((int Real, int Predicted, bool InTop) last, in MetricImage image)
    {
        (_last, _image) = (last, image);
        _images++;
        _confusion[last.Real, last.Predicted]++;
        if (last.InTop) _top++;
    }

    Scores IMetrics.Result() => Result();

    /// <inheritdoc cref="IMetrics.Result"/>
    public ClassificationScores Result()
    {
        if (_images == 0) throw new InvalidOperationException("ClassificationMetrics: no image was added; there is nothing to score.");
        return ClassificationScores.Of(_labels, (long[,])_confusion.Clone(), Count > Top ? (double)_top / _images : null);
    }

    private static int First(ReadOnlySpan<float> values)
    {
        int first = 0;
        for (int c = 1; c < values.Length; c++)
            if (Value(values[c]) > Value(values[first])) first = c;
        return first;
    }

    private static float Value(float value) => float.IsNaN(value) ? float.NegativeInfinity : value;
}
