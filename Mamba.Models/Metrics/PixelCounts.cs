using Mamba.Models.Data;

namespace Mamba.Models.Metrics;

/// <summary>The pixels of a class, in one image or in many. A ratio whose denominator is 0 is NaN.</summary>
/// <param name="Both">Pixels of the class in truth and prediction (true positives).</param>
/// <param name="Predicted">Pixels of the class in the prediction.</param>
/// <param name="Truth">Pixels of the class in the truth.</param>
/// <param name="Pixels">All pixels that count.</param>
public readonly record struct PixelCounts(long Both, long Predicted, long Truth, long Pixels)
{
    /// <summary>2 tp / (2 tp + fp + fn).</summary>
    public double Dice => Ratio(2 * Both, Predicted + Truth);

    /// <summary>Intersection over union, tp / (tp + fp + fn).</summary>
    public double Iou => Ratio(Both, Predicted + Truth - Both);

    /// <summary>The share of the class's pixels that was found, tp / (tp + fn).</summary>
    public double Sensitivity => Ratio(Both, Truth);

    /// <summary>The share of the other pixels that was left alone, tn / (tn + fp).</summary>
    public double Specificity => Ratio(Pixels - Truth - Predicted + Both, Pixels - Truth);

    /// <summary>The share of the prediction that is right, tp / (tp + fp).</summary>
    public double Precision => Ratio(Both, Predicted);

    /// <summary>The counts of two sets of images together.</summary>
    /// <param name="a">One.</param>
    /// <param name="b">The other.</param>
    /// <returns>The sums.</returns>
    public static PixelCounts operator +(PixelCounts a, PixelCounts b) =>
        new(a.Both + b.Both, a.Predicted + b.Predicted, a.Truth + b.Truth, a.Pixels + b.Pixels);

    /// <summary>Counts the pixels of each class of an image; those whose truth is <see cref="LabelMap.Ignored"/> do not count.</summary>
    /// <param name="predicted">The predicted class of each pixel.</param>
    /// <param name="truth">The true class of each pixel.</param>
    /// <param name="byClass">The counts of each class, all written.</param>
    public static void Count(ReadOnlySpan<byte> predicted, ReadOnlySpan<byte> truth, Span<PixelCounts> byClass)
    {
        Span<long> both = stackalloc long[256], real = stackalloc long[256], guessed = stackalloc long[256];
        both.Clear();
        real.Clear();
        guessed.Clear();
        long pixels = 0;
        for (int i = 0; i < truth.Length; i++)
        {
            byte t = truth[i], p = predicted[i];
            if (t == LabelMap.Ignored) continue;
            pixels++;
            real[t]++;
            guessed[p]++;
            if (t == p) both[t]++;
        }
        for (int c = 0; c < byClass.Length; c++) byClass[c] = new PixelCounts(both[c], guessed[c], real[c], pixels);
    }

    private static double Ratio(long part, long whole) => whole == 0 ? double.NaN : (double)part / whole;
}
