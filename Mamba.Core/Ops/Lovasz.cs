using System.Numerics.Tensors;
using Mamba.Core.Kernels.Losses;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Lovász-softmax (Berman et al. 2018): the convex extension of 1 - Jaccard index, averaged over the classes that occur. It applies
    /// the softmax itself.
    /// </summary>
    /// <param name="logits">(B, ..., Classes), channels last.</param>
    /// <param name="target">One class index per pixel.</param>
    /// <param name="ignoreIndex">The class index of pixels to ignore.</param>
    /// <param name="perImage">Whether the loss is the mean of per-image losses; otherwise it is pooled over the batch.</param>
    /// <returns>A scalar; 0 where all pixels are ignored.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is not a class.</exception>
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
            float present = TensorPrimitives.Sum<float>(ofImage) * images; // a sum of ones: exact in any order
            foreach (ref float value in ofImage) value = value > 0f ? 1f / present : 0f;
        }
        return Lovasz(Softmax(logits), labels, share, hinge: false);
    }

    /// <summary>
    /// The Lovász hinge (Berman et al. 2018): the convex extension of 1 - the Jaccard index of the mask "logit above 0".
    /// </summary>
    /// <param name="logits">(B, ...).</param>
    /// <param name="target">The same shape, 0 or 1. It gets no gradient.</param>
    /// <param name="perImage">Whether the loss is the mean of per-image losses; otherwise it is pooled over the batch.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">The shapes differ, or the logits are a scalar.</exception>
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
    /// <param name="share">(Images, Classes): class weights.</param>
    /// <param name="hinge">Whether x holds logits.</param>
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
