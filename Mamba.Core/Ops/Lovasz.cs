using System.Numerics.Tensors;
using Mamba.Core.Kernels.Losses;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Lovász-softmax (Berman et al. 2018): the convex extension of 1 - the Jaccard index of each class that occurs, averaged over them.
    /// The softmax of the logits is inside.
    /// </summary>
    /// <param name="logits">(B, ..., Classes), channels last.</param>
    /// <param name="target">A class index for each pixel.</param>
    /// <param name="ignoreIndex">The class index of pixels that do not count.</param>
    /// <param name="perImage">Whether each image has a loss of its own, of which the mean is taken; otherwise the batch is one.</param>
    /// <returns>A scalar; 0 where no pixel counts.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is no class.</exception>
    public static Tensor LovaszSoftmax(Tensor logits, ReadOnlySpan<int> target, int ignoreIndex = -100, bool perImage = false)
    {
        Tensor labels = ClassLabels("LovaszSoftmax", logits, target, ignoreIndex);
        int classes = logits.Shape[-1], images = perImage ? logits.Shape[0] : 1;
        Tensor share = Tensor.Zeros(images, classes);
        Span<float> shares = share.Span;
        int pixels = images == 0 ? 0 : labels.Count / images;
        for (int image = 0; image < images; image++)
        {
            Span<float> ofImage = shares.Slice(image * classes, classes);
            foreach (float label in labels.Span.Slice(image * pixels, pixels))
                if (label >= 0f) ofImage[(int)label] = 1f;
            float present = TensorPrimitives.Sum<float>(ofImage) * images; // of ones: exact in any order
            foreach (ref float value in ofImage) value = value > 0f ? 1f / present : 0f;
        }
        return Lovasz(Softmax(logits), labels, share, hinge: false);
    }

    /// <summary>
    /// The Lovász hinge (Berman et al. 2018): the convex extension of 1 - the Jaccard index of the mask "logit above 0".
    /// </summary>
    /// <param name="logits">(B, ...).</param>
    /// <param name="target">The same shape, 0 or 1. It gets no gradient.</param>
    /// <param name="perImage">Whether each image has a loss of its own, of which the mean is taken; otherwise the batch is one.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">The shapes differ, or there is no batch.</exception>
    /// <exception cref="ArgumentException">A target is neither 0 nor 1.</exception>
    public static Tensor LovaszHinge(Tensor logits, Tensor target, bool perImage = true)
    {
        Check.SameShape(logits, target, "LovaszHinge");
        Check.That(logits.Shape.Rank >= 1, "LovaszHinge", $"logits {logits.Shape}; expected (B, ...)");
        foreach (float t in target.Span)
            if (t is not (0f or 1f)) throw new ArgumentException($"LovaszHinge: a target is {t}; expected 0 or 1.", nameof(target));
        int images = perImage ? logits.Shape[0] : 1;
        return Lovasz(logits, target, Tensor.Full(1f / images, images, 1), hinge: true);
    }

    /// <param name="x">Probabilities by class, or logits.</param>
    /// <param name="target">The class of each pixel, or its 0 or 1.</param>
    /// <param name="share">(Images, Classes): what a class counts.</param>
    /// <param name="hinge">Whether x has logits.</param>
    private static Tensor Lovasz(Tensor x, Tensor target, Tensor share, bool hinge)
    {
        int images = share.Shape[0], classes = share.Shape[1], perImage = images == 0 ? 0 : target.Count / images;
        Tensor gradient = Tensor.Empty(x.Shape);
        double loss = 0;
        using (Scratch losses = Scratch.OfDoubles(share.Count))
        {
            Launch.Run(
                new LovaszClasses
                {
                    X = x.Pointer,
                    Target = target.Pointer,
                    Gradient = gradient.Pointer,
                    Share = share.Pointer,
                    Losses = losses.Doubles,
                    PerImage = perImage,
                    Columns = classes,
                    Hinge = hinge,
                },
                share.Count, 1);
            for (int i = 0; i < share.Count; i++) loss += losses.Doubles[i];
        }
        Tensor result = Tensor.Full((float)loss);
        if (Tape.Needs(x, target, share) && x.NeedsGrad)
            Tape.Record(result, (x, gradient), static (context, dy) =>
            {
                (Tensor x, Tensor gradient) = context.Values;
                GradSlot dx = x.OpenGrad();
                if (dx.Accumulate) TensorPrimitives.MultiplyAdd(gradient.Span, dy.Item(), dx.Span, dx.Span);
                else TensorPrimitives.Multiply(gradient.Span, dy.Item(), dx.Span);
            }, gradient);
        return result;
    }
}
