namespace Mamba.Models.Metrics;

/// <summary>
/// Dice, 2 tp / (2 tp + fp + fn), and intersection over union, tp / (tp + fp + fn), from the pixels of each image. Images are added in file
/// order. A pixel is predicted where its probability is at least 0.5, and true where the mask is at least 0.5.
/// </summary>
/// <remarks>
/// <b>global</b> pools the counts of the whole set. <b>image</b> is the mean over images. Both are 1 if nothing is predicted and nothing
/// is true.
/// <para>
/// <b>paper</b> is what the notebooks of lxaw/mamba-vs-else-vision compute (seg_tests/*_test.ipynb, calculate_dice_score.py,
/// calculate_iou.py). Counts are pooled per batch in file order, without smoothing. The mean over batches gives a smaller last batch the
/// same weight. A batch with nothing predicted and nothing true has an IoU of 0, there and here. Its Dice is 0/0 there, which makes the
/// whole mean undefined. Here the mean of Dice ignores such a batch; a set of such batches only scores 1.
/// </para>
/// </remarks>
public sealed class SegmentationMetrics : IMetrics
{
    private readonly int _metricBatch;
    private Counts _set, _batch;
    private BatchMeans _paper;
    private int _images;
    private double _diceImage, _iouImage;

    /// <summary>Starts with no image.</summary>
    /// <param name="metricBatch">Images in a batch of the paper's metric: 64 for U-Net and the ResNets, 16 for the others.</param>
    /// <exception cref="ArgumentOutOfRangeException">The batch is not positive.</exception>
    public SegmentationMetrics(int metricBatch)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(metricBatch);
        _metricBatch = metricBatch;
    }

    /// <inheritdoc/>
    public int Images => _images;

    /// <inheritdoc/>
    public void Add(ReadOnlySpan<float> probabilities, ReadOnlySpan<float> target)
    {
        if (probabilities.Length != target.Length)
            throw new ArgumentException(
                $"SegmentationMetrics: {probabilities.Length} probabilities for {target.Length} pixels of the mask; expected equal "
                    + "numbers.");
        Counts image = default;
        for (int i = 0; i < target.Length; i++)
        {
            bool predicted = probabilities[i] >= 0.5f, real = target[i] >= 0.5f;
            if (predicted && real) image.Both++;
            if (predicted) image.Predicted++;
            if (real) image.Real++;
        }
        _images++;
        _set.Add(image);
        _batch.Add(image);
        _diceImage += image.Dice ?? 1;
        _iouImage += image.Iou ?? 1;
        if (_images % _metricBatch != 0) return;
        _paper.Add(_batch);
        _batch = default;
    }

    Scores IMetrics.Result() => Result();

    /// <inheritdoc cref="IMetrics.Result"/>
    public SegmentationScores Result()
    {
        if (_images == 0) throw new InvalidOperationException("SegmentationMetrics: no image was added; there is nothing to score.");
        BatchMeans paper = _paper;
        if (_images % _metricBatch != 0) paper.Add(_batch);
        return new SegmentationScores(_set.Dice ?? 1, _diceImage / _images, paper.Dice, _set.Iou ?? 1, _iouImage / _images, paper.Iou);
    }

    /// <summary>Pixel counts of one or more images: in prediction and truth, in the prediction, in the truth.</summary>
    private struct Counts
    {
        public long Both, Predicted, Real;

        public readonly double? Dice => Predicted + Real == 0 ? null : 2.0 * Both / (Predicted + Real);

        public readonly double? Iou => Predicted + Real == 0 ? null : (double)Both / (Predicted + Real - Both);

        public void Add(Counts other)
        {
            Both += other.Both;
            Predicted += other.Predicted;
            Real += other.Real;
        }
    }

    /// <summary>The paper's means over batches. It is a struct, so that a last, smaller batch can be added to a copy.</summary>
    private struct BatchMeans
    {
        private int _batches, _diceBatches;
        private double _dice, _iou;

        public readonly double Dice => _diceBatches == 0 ? 1 : _dice / _diceBatches;

        public readonly double Iou => _iou / _batches;

        public void Add(Counts batch)
        {
            _batches++;
            _iou += batch.Iou ?? 0;
            if (batch.Dice is not { } dice) return;
            _diceBatches++;
            _dice += dice;
        }
    }
}
