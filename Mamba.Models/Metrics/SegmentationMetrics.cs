using CommunityToolkit.HighPerformance.Buffers;
using Mamba.Models.Data;

namespace Mamba.Models.Metrics;

/// <summary>
/// Dice, 2 tp / (2 tp + fp + fn), and intersection over union, tp / (tp + fp + fn), from the pixels of each image. Images are added in file
/// order. A pixel is predicted where its probability is at least 0.5, and true where the mask is at least 0.5.
/// </summary>
/// <remarks>
/// <b>global</b> pools the counts of the whole set. <b>image</b> is the mean over images; it is 1 for an image with nothing predicted and
/// nothing true. Where no image of the set has a true pixel, nothing was measured, and all scores are NaN.
/// <para>
/// <b>paper</b> is what the notebooks of lxaw/mamba-vs-else-vision compute (seg_tests/*_test.ipynb, calculate_dice_score.py,
/// calculate_iou.py). Counts are pooled per batch in file order, without smoothing. The mean over batches gives a smaller last batch the
/// same weight. A batch with nothing predicted and nothing true has an IoU of 0, there and here. Its Dice is 0/0 there, which makes the
/// whole mean undefined. Here the mean of Dice ignores such a batch.
/// </para>
/// </remarks>
public sealed class SegmentationMetrics : IMetrics
{
    /// <summary>What the class is called where the data does not say it.</summary>
    public const string DefaultLabel = "lesion";

    private const float Half = 0.5f;

    private readonly int _metricBatch;
    private readonly SegmentationTally _tally;
    private PixelCounts _set, _batch;
    private BatchMeans _paper;
    private double _diceImage, _iouImage;

    /// <summary>Starts with no image.</summary>
    /// <param name="metricBatch">Images in a batch of the paper's metric: 64 for U-Net and the ResNets, 16 for the others.</param>
    /// <param name="options">What to measure besides the counts of pixels; null for nothing.</param>
    /// <param name="label">The name of the class.</param>
    /// <exception cref="ArgumentOutOfRangeException">The batch is not positive.</exception>
    public SegmentationMetrics(int metricBatch, MetricOptions? options = null, string label = DefaultLabel)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(metricBatch);
        _metricBatch = metricBatch;
        _tally = new SegmentationTally(["background", label], first: 1, options ?? new MetricOptions());
    }

    /// <inheritdoc/>
    public int Images { get; private set; }

    /// <inheritdoc/>
    public void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target) => Add(probabilities, target, default);

    /// <inheritdoc/>
    public void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target, in MetricImage image)
    {
        if (probabilities.Length != target.Length)
            throw new ArgumentException(
                $"SegmentationMetrics: {probabilities.Length} probabilities for {target.Length} pixels of the mask; expected equal "
                    + "numbers.");
        using SpanOwner<byte> predicted = SpanOwner<byte>.Allocate(target.Length), truth = SpanOwner<byte>.Allocate(target.Length);
        PixelClasses.AtLeast(probabilities, Half, value: 1, predicted.Span);
        for (int i = 0; i < target.Length; i++)
            truth.Span[i] = target[i] == LabelMap.Ignored ? LabelMap.Ignored : target[i] >= Half ? (byte)1 : (byte)0;
        _tally.Add(predicted.Span, truth.Span, image);
        Sum(_tally.Last[1]);
    }

    /// <inheritdoc/>
    public void Add(MeasuredImage image)
    {
        _tally.Add(image);
        Sum(_tally.Last[1]);
    }

    /// <inheritdoc/>
    public MeasuredImage Last() => _tally.Measured();

    private void Sum(PixelCounts counts)
    {
        Images++;
        _set += counts;
        _batch += counts;
        _diceImage += OrOne(counts.Dice);
        _iouImage += OrOne(counts.Iou);
        if (Images % _metricBatch != 0) return;
        _paper.Add(_batch);
        _batch = default;
    }

    Scores IMetrics.Result() => Result();

    /// <inheritdoc cref="IMetrics.Result"/>
    public SegmentationScores Result()
    {
        if (Images == 0) throw new InvalidOperationException("SegmentationMetrics: no image was added; there is nothing to score.");
        SegmentationDetail detail = _tally.Result();
        if (detail.ImagesWithForeground == 0)
            return new SegmentationScores(double.NaN, double.NaN, double.NaN, double.NaN, double.NaN, double.NaN) { Detail = detail };
        BatchMeans paper = _paper;
        if (Images % _metricBatch != 0) paper.Add(_batch);
        return new SegmentationScores(_set.Dice, _diceImage / Images, paper.Dice, _set.Iou, _iouImage / Images, paper.Iou)
        {
            Detail = detail,
        };
    }

    private static double OrOne(double ratio) => double.IsNaN(ratio) ? 1 : ratio;

    /// <summary>The paper's means over batches. It is a struct, so that a last, smaller batch can be added to a copy.</summary>
    private struct BatchMeans
    {
        private int _batches, _diceBatches;
        private double _dice, _iou;

        public readonly double Dice => _dice / _diceBatches;

        public readonly double Iou => _iou / _batches;

        public void Add(PixelCounts batch)
        {
            _batches++;
            if (double.IsNaN(batch.Dice)) return;
            _iou += batch.Iou;
            _diceBatches++;
            _dice += batch.Dice;
        }
    }
}
