using Mamba.Core.Kernels.Attention;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Mean over the batch of the cross-entropy between softmax(logits) and the classes, each target distribution being (1 - s) one-hot + s / Classes
    /// with s the label smoothing (Szegedy et al. 2016), as in PyTorch.
    /// </summary>
    /// <param name="logits">(B, Classes).</param>
    /// <param name="target">B class indices.</param>
    /// <param name="labelSmoothing">s, from 0 to 1.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, an index is no class, or the smoothing is out of range.</exception>
    public static Tensor CrossEntropy(Tensor logits, ReadOnlySpan<int> target, float labelSmoothing = 0f)
    {
        Check.Rank(logits, 2, "CrossEntropy", "(B, Classes)");
        int batch = logits.Shape[0], classes = logits.Shape[1];
        Check.That(target.Length == batch, "CrossEntropy", $"logits {logits.Shape} and {target.Length} targets; expected one target a row");
        foreach (int t in target) Check.That((uint)t < (uint)classes, "CrossEntropy", $"target {t} is no class; expected 0 to {classes - 1}");
        Tensor oneHot = Tensor.Zeros(batch, classes);
        for (int b = 0; b < batch; b++) oneHot.Span[b * classes + target[b]] = 1f;
        return CrossEntropy(logits, oneHot, labelSmoothing);
    }

    /// <summary>Mean over the batch of the cross-entropy between softmax(logits) and (1 - s) target + s / Classes, as in PyTorch.</summary>
    /// <param name="logits">(B, Classes).</param>
    /// <param name="target">(B, Classes): a distribution a row, for instance of two mixed images. It gets no gradient.</param>
    /// <param name="labelSmoothing">s, from 0 to 1.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">The shapes differ, or the smoothing is out of range.</exception>
    public static Tensor CrossEntropy(Tensor logits, Tensor target, float labelSmoothing = 0f)
    {
        Check.Rank(logits, 2, "CrossEntropy", "(B, Classes)");
        int batch = logits.Shape[0], classes = logits.Shape[1];
        Check.That(batch > 0 && classes > 0 && target.Shape == logits.Shape, "CrossEntropy", $"logits {logits.Shape} and targets {target.Shape}; expected equal shapes");
        Check.That(labelSmoothing is >= 0f and <= 1f, "CrossEntropy", $"label smoothing {labelSmoothing}; expected 0 to 1");

        // The gradient, softmax (times the sum of the target) minus target over B, comes almost for free with the loss; it is kept in place of the softmax.
        Tensor gradient = LogSoftmaxValues(logits);
        double loss = 0;
        float off = labelSmoothing / classes;
        for (int b = 0; b < batch; b++)
        {
            Span<float> row = gradient.Span.Slice(b * classes, classes);
            ReadOnlySpan<float> truth = target.Span.Slice(b * classes, classes);
            float mass = 0f;
            foreach (float t in truth) mass += off + (1f - labelSmoothing) * t;
            for (int c = 0; c < classes; c++)
            {
                float weight = off + (1f - labelSmoothing) * truth[c];
                // 0 times a probability that underflowed is 0, not NaN; a row with NaN in it is NaN.
                if (weight != 0f || float.IsNaN(row[c])) loss -= (double)weight * row[c];
                row[c] = (mass * MathF.Exp(row[c]) - weight) / batch;
            }
        }
        Tensor result = Tensor.Full((float)(loss / batch));

        if (Tape.Needs(logits))
            Tape.Push(result, (logits, gradient), static (context, dy) =>
            {
                (Tensor logits, Tensor gradient) = context;
                GradSlot dx = logits.OpenGrad();
                float scale = dy.Item();
                ReadOnlySpan<float> g = gradient.Span;
                Span<float> d = dx.Span;
                for (int i = 0; i < d.Length; i++) d[i] = dx.Accumulate ? d[i] + scale * g[i] : scale * g[i];
            }, gradient);
        return result;
    }

    private static Tensor LogSoftmaxValues(Tensor x)
    {
        Tensor y = Tensor.Empty(x.Shape);
        Simd.Launch.Run(
            new SoftmaxForward { X = x.Pointer, Y = y.Pointer, Row = x.Shape[-1], Columns = x.Shape[-1], Scale = 1f, Logarithm = true }, x.Shape[0], 64);
        return y;
    }
}
