using CommunityToolkit.HighPerformance.Buffers;
using Mamba.Models.Data;

namespace Mamba.Models.Metrics;

/// <summary>
/// Scores of images that are segmented into several classes, the background first. A pixel's prediction is its most probable class, the
/// first of equals. Pixels whose truth is <see cref="LabelMap.Ignored"/> do not count. A class that is in no truth has no Dice, and no mean
/// counts it.
/// </summary>
public sealed class MultiClassMetrics : IMetrics
{
    private readonly SegmentationTally _tally;
    private readonly int _classes;
    private int _diceImages;
    private double _dice;

    /// <summary>Starts with no image.</summary>
    /// <param name="labels">The names of the classes, the background first.</param>
    /// <param name="options">What to measure besides the counts of pixels; null for nothing.</param>
    /// <exception cref="ArgumentException">There are fewer than two classes, or more than <see cref="LabelMap.MaxClasses"/>.</exception>
    public MultiClassMetrics(IReadOnlyList<string> labels, MetricOptions? options = null)
    {
        if (labels.Count is < 2 or > LabelMap.MaxClasses)
            throw new ArgumentException($"MultiClassMetrics: {labels.Count} classes; expected 2 to {LabelMap.MaxClasses}.");
        _classes = labels.Count;
        _tally = new SegmentationTally(labels, first: 0, options ?? new MetricOptions());
    }

    /// <inheritdoc/>
    public int Images { get; private set; }

    /// <inheritdoc/>
    public void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target) => Add(probabilities, target, default);

    /// <inheritdoc/>
    public void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target, in MetricImage image)
    {
        int pixels = target.Length;
        if (probabilities.Length != (long)pixels * _classes)
            throw new ArgumentException(
                $"MultiClassMetrics: {probabilities.Length} probabilities for {pixels} pixels of {_classes} classes; expected "
                    + $"{(long)pixels * _classes}.");
        using SpanOwner<byte> predicted = SpanOwner<byte>.Allocate(pixels), truth = SpanOwner<byte>.Allocate(pixels);
        PixelClasses.MostProbable(probabilities, _classes, predicted.Span);
        for (int i = 0; i < pixels; i++) truth.Span[i] = Class(target[i]);
        _tally.Add(predicted.Span, truth.Span, image);
        Sum();
    }

    /// <inheritdoc/>
    public void Add(MeasuredImage image)
    {
        _tally.Add(image);
        Sum();
    }

    /// <inheritdoc/>
    public MeasuredImage Last() => _tally.Measured();

    /// <summary>Adds the counts of the last image to the means over images.</summary>
    private void Sum()
    {
        Images++;
        double dice = 0;
        int present = 0;
        foreach (PixelCounts counts in _tally.Last[1..])
        {
            if (double.IsNaN(counts.Dice)) continue;
            present++;
            dice += counts.Dice;
        }
        if (present == 0) return;
        _diceImages++;
        _dice += dice / present;
    }

    Scores IMetrics.Result() => Result();

    /// <inheritdoc cref="IMetrics.Result"/>
    public MultiClassScores Result()
    {
        if (Images == 0) throw new InvalidOperationException("MultiClassMetrics: no image was added; there is nothing to score.");
        SegmentationDetail detail = _tally.Result();
        double dice = SegmentationDetail.Mean(SegmentationDetail.Foreground(detail.Classes).Select(c => c.Dice));
        double iou = SegmentationDetail.Mean(detail.Classes.Select(c => c.Iou));
        return new MultiClassScores(dice, iou, _diceImages == 0 ? double.NaN : _dice / _diceImages, _diceImages, detail);
    }

    private byte Class(float value)
    {
        if (value == LabelMap.Ignored) return LabelMap.Ignored;
        return value >= 0 && value < _classes && value == (int)value ? (byte)value
            : throw new ArgumentException($"MultiClassMetrics: a pixel of class {value}; expected 0 to {_classes - 1}, or 255 to ignore.");
    }
}
