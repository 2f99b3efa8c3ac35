using Mamba.Core.Kernels.Losses;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Mean binary cross-entropy of probabilities (PyTorch's binary_cross_entropy); logarithms are clamped to at least -100.
    /// </summary>
    /// <param name="probabilities">Any shape, in [0, 1].</param>
    /// <param name="target">The same shape, in [0, 1]. It gets no gradient.</param>
    /// <returns>A scalar; NaN where there are no elements, as in PyTorch.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A probability is below 0 or above 1.</exception>
    public static Tensor BinaryCrossEntropy(Tensor probabilities, Tensor target) =>
        MaskLoss("BinaryCrossEntropy", probabilities, target, logits: false, pooled: true, smooth: 0f, cross: 1f, dice: 0f);

    /// <summary>Mean binary cross-entropy of logits (PyTorch's binary_cross_entropy_with_logits).</summary>
    /// <param name="logits">Any shape.</param>
    /// <param name="target">The same shape, in [0, 1]. It gets no gradient.</param>
    /// <returns>A scalar; NaN where there are no elements, as in PyTorch.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    public static Tensor BinaryCrossEntropyWithLogits(Tensor logits, Tensor target) =>
        MaskLoss("BinaryCrossEntropyWithLogits", logits, target, logits: true, pooled: true, smooth: 0f, cross: 1f, dice: 0f);

    /// <summary>
    /// 1 - (2 sum(p t) + s) / (sum(p) + sum(t) + s), pooled over the whole batch, with p = sigmoid(logits) (Milletari et al. 2016). It is
    /// the paper's loss for U-Net, ResNets and UMambaBots.
    /// </summary>
    /// <param name="logits">(B, ...).</param>
    /// <param name="target">The same shape, 0 or 1. It gets no gradient.</param>
    /// <param name="smooth">s.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">The shapes differ, or there are no elements.</exception>
    public static Tensor DiceWithLogits(Tensor logits, Tensor target, float smooth = 100f) =>
        MaskLoss("DiceWithLogits", logits, target, logits: true, pooled: true, smooth, cross: 0f, dice: 1f);

    /// <summary>
    /// bceWeight times the mean binary cross-entropy plus diceWeight times a Dice loss: the paper's loss for the UL family. The Dice loss
    /// is the mean over images of 1 - (2 sum(p t) + s) / (sum(p) + sum(t) + s).
    /// </summary>
    /// <param name="probabilities">(B, ...), in [0, 1].</param>
    /// <param name="target">The same shape, 0 or 1. It gets no gradient.</param>
    /// <param name="smooth">s.</param>
    /// <param name="bceWeight">Weight of the cross-entropy.</param>
    /// <param name="diceWeight">Weight of the Dice part.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">The shapes differ, or there are no elements.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A probability is below 0 or above 1.</exception>
    public static Tensor BceDice(Tensor probabilities, Tensor target, float smooth = 1f, float bceWeight = 1f, float diceWeight = 1f) =>
        MaskLoss("BceDice", probabilities, target, logits: false, pooled: false, smooth, bceWeight, diceWeight);

    /// <summary>
    /// The Tversky loss (Salehi et al. 2017): 1 - (TP + s) / (TP + alpha FP + beta FN + s), pooled over the whole batch, with p =
    /// sigmoid(logits). With gamma other than 1 it is raised to that power: the focal Tversky loss (Abraham and Khan 2019).
    /// </summary>
    /// <param name="logits">Any shape.</param>
    /// <param name="target">The same shape, 0 or 1. It gets no gradient.</param>
    /// <param name="alpha">The weight of false positives.</param>
    /// <param name="beta">The weight of false negatives.</param>
    /// <param name="smooth">s.</param>
    /// <param name="gamma">The power; more than 0.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">The shapes differ, or the tensors are empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">gamma is not more than 0.</exception>
    public static Tensor TverskyLoss(Tensor logits, Tensor target, float alpha = 0.3f, float beta = 0.7f, float smooth = 1f,
        float gamma = 1f)
    {
        if (!(gamma > 0f)) throw new ArgumentOutOfRangeException(nameof(gamma), gamma, "TverskyLoss: expected more than 0.");
        Check.SameShape(logits, target, "TverskyLoss");
        Check.That(logits.Count > 0, "TverskyLoss", $"input {logits.Shape} is empty");
        double both = 0, predicted = 0, truth = 0;
        nint chunks = Launch.CeilDiv(logits.Count, MaskSums.Grain);
        using (Scratch sums = new(chunks * MaskSums.Count))
        {
            SumMasks(logits, target, logits: true, images: 1, chunks, sums.Pointer);
            for (nint c = 0; c < chunks; c++)
            {
                both += sums.Pointer[c * MaskSums.Count + 1];
                predicted += sums.Pointer[c * MaskSums.Count + 2];
                truth += sums.Pointer[c * MaskSums.Count + 3];
            }
        }
        double numerator = both + smooth, kept = 1 - (double)alpha - beta;
        double denominator = kept * both + alpha * predicted + beta * truth + smooth;
        double loss = 1 - numerator / denominator;
        // d loss / dp = (alpha N / D - (1 - (1 - alpha - beta) N / D) t) / D; with gamma, times gamma loss^(gamma - 1).
        double ratio = numerator / denominator, outer = gamma == 1f ? 1 : gamma * Math.Pow(loss, gamma - 1);
        Tensor factors = Tensor.Empty(2, 1);
        factors.Span[0] = (float)(outer * alpha * ratio / denominator);
        factors.Span[1] = (float)(-outer * (1 - kept * ratio) / denominator);
        Tensor result = Tensor.Full((float)(gamma == 1f ? loss : Math.Pow(loss, gamma)));
        if (Tape.Needs(logits, target) && logits.NeedsGrad)
            PushMaskLoss(result, logits, target, factors, cross: 0f, logits.Count, logits: true);
        return result;
    }

    private static Tensor MaskLoss(
        string name, Tensor prediction, Tensor target, bool logits, bool pooled, float smooth, float cross, float dice)
    {
        Check.SameShape(prediction, target, name);
        Check.That(prediction.Count > 0 || dice == 0f, name, $"input {prediction.Shape} is empty");
        if (prediction.Count == 0) return Independent(Tensor.Full(float.NaN), prediction);
        int count = prediction.Count, images = pooled || prediction.Shape.Rank == 0 ? 1 : prediction.Shape[0], perImage = count / images;
        nint chunks = Launch.CeilDiv(perImage, MaskSums.Grain);

        // For each image: the derivative of the loss with respect to p, Constant + Slope t.
        Tensor factors = Tensor.Zeros(2, images);
        Span<float> constant = factors.Span[..images], slope = factors.Span[images..];
        double loss = 0;
        using (Scratch sums = new(images * chunks * MaskSums.Count))
        {
            SumMasks(prediction, target, logits, images, chunks, sums.Pointer);
            for (int i = 0; i < images; i++)
            {
                (double entropy, double both, double total) = Totals(sums.Pointer + i * chunks * MaskSums.Count, chunks);
                double numerator = 2 * both + smooth, denominator = total + smooth;
                loss += cross * entropy / count;
                if (dice == 0) continue;
                loss += dice * (1 - numerator / denominator) / images;
                constant[i] = (float)(dice * numerator / (denominator * denominator) / images);
                slope[i] = (float)(-2 * dice / denominator / images);
            }
        }
        if (double.IsNaN(loss) && !logits) CheckProbabilities(name, prediction);
        Tensor result = Tensor.Full((float)loss);

        if (Tape.Needs(prediction, target) && prediction.NeedsGrad)
            PushMaskLoss(result, prediction, target, factors, cross, perImage, logits);
        return result;
    }

    /// <summary>The sums of an image over its chunks: the cross-entropy, p t, and p + t.</summary>
    private static (double Entropy, double Both, double Total) Totals(float* sums, nint chunks)
    {
        double entropy = 0, both = 0, total = 0;
        for (nint c = 0; c < chunks; c++, sums += MaskSums.Count)
        {
            entropy += sums[0];
            both += sums[1];
            total += (double)sums[2] + sums[3];
        }
        return (entropy, both, total);
    }

    /// <summary>
    /// Throws for a probability outside [0, 1]. Each one makes the loss NaN, so the search runs only for a NaN loss. NaN probabilities do
    /// not throw: the training loop checks the loss.
    /// </summary>
    private static void CheckProbabilities(string name, Tensor probabilities)
    {
        foreach (float p in probabilities.Span)
            if (p is < 0f or > 1f)
                throw new ArgumentOutOfRangeException(nameof(probabilities), p, $"{name}: expected probabilities from 0 to 1.");
    }

    /// <summary>The sums of each chunk of each image, <see cref="MaskSums.Count"/> per chunk.</summary>
    private static void SumMasks(Tensor prediction, Tensor target, bool logits, nint images, nint chunks, float* sums) => Launch.Run(
        new MaskSums
        {
            Prediction = prediction.Pointer,
            Target = target.Pointer,
            Sums = sums,
            PerImage = prediction.Count / images,
            ChunksPerImage = chunks,
            Logits = logits,
        },
        images * chunks, 1);

    /// <summary>
    /// Records a mask loss whose derivative with respect to p is its image's Constant + Slope t, plus <paramref name="cross"/> times that
    /// of the cross-entropy.
    /// </summary>
    private static void PushMaskLoss(Tensor result, Tensor prediction, Tensor target, Tensor factors, float cross, int perImage,
        bool logits) => Tape.Record(
        result, (prediction, target, factors, cross, perImage, logits), static (context, dy) =>
        {
            (Tensor prediction, Tensor target, Tensor factors, float cross, int perImage, bool logits) = context.Values;
            GradSlot dx = prediction.OpenGrad();
            float g = dy.Item();
            using Scratch scaled = new(factors.Count);
            for (int i = 0; i < factors.Count; i++) scaled.Pointer[i] = factors.Pointer[i] * g;
            Launch.Run(
                new MaskGradient
                {
                    Prediction = prediction.Pointer,
                    Target = target.Pointer,
                    Dx = dx.Target,
                    Constant = scaled.Pointer,
                    Slope = scaled.Pointer + factors.Shape[1],
                    Cross = cross * g / prediction.Count,
                    PerImage = perImage,
                    Logits = logits,
                },
                prediction.Count, Launch.ElementGrain);
        }, prediction, target, factors);
}
