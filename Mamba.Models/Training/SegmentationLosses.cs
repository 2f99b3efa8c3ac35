using CommunityToolkit.HighPerformance.Buffers;
using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Recipes;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>The segmentation losses, for a mask and for several classes.</summary>
internal static class SegmentationLosses
{
    // The focal and Tversky losses' constants, as their authors recommend them.
    private const float FocalAlpha = 0.25f, FalsePositive = 0.3f, Missed = 0.7f, Smooth = 1f;

    // A sigmoid in float32 reaches 1 - 2^-24 and then 1, whose logit is infinite.
    private const float LeastProbability = 1e-7f;

    /// <summary>The loss of a mask.</summary>
    /// <param name="kind">A loss that knows one class.</param>
    /// <param name="prediction">(B, H, W, 1).</param>
    /// <param name="output">Whether the prediction is logits or probabilities.</param>
    /// <param name="target">The same shape: 0 or 1.</param>
    /// <param name="positiveWeight">The weight of the pixels that are 1 beside the others; null for 1.</param>
    /// <returns>A scalar.</returns>
    public static Tensor OfMask(LossKind kind, Tensor prediction, ModelOutput output, Tensor target, float? positiveWeight)
    {
        bool logits = output == ModelOutput.Logits;
        return (kind, positiveWeight) switch
        {
            (LossKind.BceDice, null) => Ops.BceDice(logits ? Ops.Sigmoid(prediction) : prediction, target),
            (LossKind.BceDice, { } weight) => Ops.Add(
                Ops.BceDice(logits ? Ops.Sigmoid(prediction) : prediction, target, bceWeight: 0f),
                Ops.BinaryCrossEntropyWithLogits(Logits(prediction, output), target, weight)),
            (LossKind.BceWithLogits, null) => logits
                ? Ops.BinaryCrossEntropyWithLogits(prediction, target)
                : Ops.BinaryCrossEntropy(prediction, target),
            (LossKind.BceWithLogits, { } weight) => Ops.BinaryCrossEntropyWithLogits(Logits(prediction, output), target, weight),
            (LossKind.Dice, _) => Ops.DiceWithLogits(Logits(prediction, output), target),
            (LossKind.Focal, _) => Ops.FocalLoss(
                Logits(prediction, output), target, positiveWeight is { } weight ? weight / (1 + weight) : FocalAlpha),
            _ => Ops.TverskyLoss(Logits(prediction, output), target, FalsePositive, Missed, Smooth),
        };
    }

    /// <summary>The loss of several classes. Pixels of <see cref="LabelMap.Ignored"/> do not count.</summary>
    /// <param name="kind">A loss that knows several classes.</param>
    /// <param name="logits">(B, H, W, Classes).</param>
    /// <param name="target">(B, H, W, 1): class indices.</param>
    /// <param name="weights">A weight for each class; null for 1 each.</param>
    /// <returns>A scalar; 0 where every pixel is ignored.</returns>
    public static Tensor OfClasses(LossKind kind, Tensor logits, Tensor target, float[]? weights)
    {
        using SpanOwner<int> owner = SpanOwner<int>.Allocate(target.Count);
        Span<int> classes = owner.Span;
        for (int i = 0; i < classes.Length; i++) classes[i] = (int)target.Span[i];
        if (classes.IndexOfAnyExcept((int)LabelMap.Ignored) < 0) return Ops.Scale(Ops.Sum(logits), 0f); // a mean of nothing is NaN
        Tensor? weight = weights is null ? null : Tensor.From(weights, weights.Length);
        return kind switch
        {
            LossKind.Ce => CrossEntropy(logits, classes, weight),
            LossKind.CeDice => Ops.Add(CrossEntropy(logits, classes, weight), Dice(logits, classes)),
            LossKind.Dice => Dice(logits, classes),
            LossKind.Focal => Ops.FocalLoss(logits, classes, weight: weight, ignoreIndex: LabelMap.Ignored),
            _ => Tversky(logits, classes),
        };
    }

    /// <summary>The logits of a prediction: log p - log(1 - p) of probabilities.</summary>
    private static Tensor Logits(Tensor prediction, ModelOutput output)
    {
        if (output == ModelOutput.Logits) return prediction;
        Tensor p = Ops.Clamp(prediction, LeastProbability, 1f - LeastProbability);
        return Ops.Subtract(Ops.Log(p), Ops.Log1P(Ops.Scale(p, -1f)));
    }

    private static Tensor CrossEntropy(Tensor logits, ReadOnlySpan<int> classes, Tensor? weight) =>
        Ops.CrossEntropy(logits, classes, new CrossEntropyOptions { IgnoreIndex = LabelMap.Ignored, Weight = weight });

    private static Tensor Dice(Tensor logits, ReadOnlySpan<int> classes) =>
        Ops.DiceLoss(logits, classes, new DiceOptions { Background = false, IgnoreIndex = LabelMap.Ignored });

    /// <summary>
    /// 1 - the mean over classes without the background of (TP + s) / (TP + alpha FP + beta FN + s), with p the softmax of the logits. As
    /// FP = sum(p) - TP and FN = sum(t) - TP, three sums over pixels are enough.
    /// </summary>
    private static Tensor Tversky(Tensor logits, ReadOnlySpan<int> classes)
    {
        int pixels = classes.Length, count = logits.Shape[^1];
        Tensor p = Ops.Softmax(logits.Reshape(pixels, count));
        Tensor truth = Tensor.Zeros(pixels, count), counted = Tensor.Zeros(pixels, count), constant = Tensor.Empty(count);
        Span<int> present = stackalloc int[LabelMap.MaxClasses];
        present.Clear();
        for (int i = 0; i < pixels; i++)
        {
            if (classes[i] == LabelMap.Ignored) continue;
            truth.Span[i * count + classes[i]] = 1f;
            counted.Span.Slice(i * count, count).Fill(1f);
            present[classes[i]]++;
        }
        for (int c = 0; c < count; c++) constant.Span[c] = Missed * present[c] + Smooth;
        Tensor both = Ops.Sum(Ops.Multiply(p, truth), [0]), predicted = Ops.Sum(Ops.Multiply(p, counted), [0]);
        Tensor denominator = Ops.Add(
            Ops.Add(Ops.Scale(both, 1f - FalsePositive - Missed), Ops.Scale(predicted, FalsePositive)), constant);
        Tensor ratios = Ops.Divide(Ops.Add(both, Tensor.Full(Smooth, count)), denominator);
        return Ops.Subtract(Tensor.Full(1f), Ops.Mean(Ops.Slice(ratios, 0, 1, count - 1)));
    }
}
