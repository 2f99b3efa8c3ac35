using Mamba.Core.Kernels.Losses;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>What a Dice loss of classes may be asked for.</summary>
public sealed record DiceOptions
{
    /// <summary>One ratio a class over the whole batch, all classes, smoothed by 1.</summary>
    public static DiceOptions Default { get; } = new();

    /// <summary>Added to numerator and denominator.</summary>
    public float Smooth { get; init; } = 1f;

    /// <summary>Whether each image has ratios of its own; otherwise the batch is one.</summary>
    public bool PerImage { get; init; }

    /// <summary>Whether class 0 counts.</summary>
    public bool Background { get; init; } = true;

    /// <summary>The class index of pixels that do not count.</summary>
    public int IgnoreIndex { get; init; } = -100;
}

public static unsafe partial class Ops
{
    /// <summary>
    /// The focal loss of class indices (Lin et al. 2017): w (1 - p)^gamma (-log p) with p the class's softmax. The mean is over the rows
    /// that count.
    /// </summary>
    /// <param name="logits">(B, Classes), or (B, ..., Classes), channels last.</param>
    /// <param name="target">A class index for each row of logits.</param>
    /// <param name="gamma">How little easy rows count; at least 0.</param>
    /// <param name="weight">(Classes): w; null for 1 each. It gets no gradient.</param>
    /// <param name="ignoreIndex">The class index of rows that do not count.</param>
    /// <param name="reduction">What becomes of the losses of rows.</param>
    /// <returns>A scalar; (B, ...) without reduction. The mean of no rows is NaN.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is no class, or gamma is negative or NaN.</exception>
    public static Tensor FocalLoss(
        Tensor logits, ReadOnlySpan<int> target, float gamma = 2f, Tensor? weight = null, int ignoreIndex = -100,
            Reduction reduction = Reduction.Mean)
    {
        if (!(gamma >= 0f)) throw new ArgumentOutOfRangeException(nameof(gamma), gamma, "FocalLoss: expected at least 0.");
        Tensor labels = ClassLabels("FocalLoss", logits, target, ignoreIndex, weight);
        return ClassLoss("FocalLoss", logits, labels, new(weight, 0f, gamma, Normalized: false, CountRows: true, reduction));
    }

    /// <summary>
    /// Knowledge distillation (Hinton et al. 2015): T^2 KL(softmax(teacher / T) || softmax(student / T)). The factor keeps the size of
    /// gradients. In PyTorch, T^2 times kl_div of log_softmax(student / T) and softmax(teacher / T).
    /// </summary>
    /// <param name="student">(B, Classes), or (B, ..., Classes), channels last: logits.</param>
    /// <param name="teacher">The same shape: logits. They get no gradient.</param>
    /// <param name="temperature">T, a finite number above 0.</param>
    /// <param name="reduction">What becomes of the divergences of rows.</param>
    /// <returns>A scalar; (B, ...) without reduction.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The temperature is not a finite number above 0.</exception>
    public static Tensor Distillation(Tensor student, Tensor teacher, float temperature = 1f, Reduction reduction = Reduction.Mean)
    {
        (int rows, int classes) = ClassRowsOf("Distillation", student);
        Check.SameShape(student, teacher, "Distillation");
        if (!(temperature > 0f && float.IsFinite(temperature)))
            throw new ArgumentOutOfRangeException(nameof(temperature), temperature, "Distillation: expected a finite number above 0.");
        Tensor y = ReducedRows("Distillation", student, reduction), logSums = Tensor.Empty(rows, 2);
        nint chunks = Launch.CeilDiv(rows, ClassRows.Grain);
        using (Scratch sums = Scratch.OfDoubles(chunks))
        {
            Launch.Run(
                new DistillationForward
                {
                    Student = student.Pointer,
                    Teacher = teacher.Pointer,
                    LogSums = logSums.Pointer,
                    Elements = reduction == Reduction.None ? y.Pointer : null,
                    Sums = sums.Doubles,
                    Columns = classes,
                    Temperature = temperature,
                },
                rows, ClassRows.Grain, Isa.For(classes));
            double loss = 0;
            for (nint i = 0; i < chunks; i++) loss += sums.Doubles[i];
            if (reduction != Reduction.None) y.Span[0] = (float)(reduction == Reduction.Mean ? loss / rows : loss);
        }
        if (Tape.Needs(student, teacher) && student.NeedsGrad)
            Tape.Push(y, (student, teacher, logSums, temperature, reduction), static (context, dy) =>
            {
                (Tensor student, Tensor teacher, Tensor logSums, float temperature, Reduction reduction) = context;
                int rows = logSums.Shape[0], classes = student.Shape[-1];
                Launch.Run(
                    new DistillationGradient
                    {
                        Student = student.Pointer,
                        Teacher = teacher.Pointer,
                        LogSums = logSums.Pointer,
                        Dy = dy.Pointer,
                        Dx = student.OpenGrad().Target,
                        Columns = classes,
                        Temperature = temperature,
                        Factor = reduction == Reduction.Mean ? 1f / rows : 1f,
                        OneEach = reduction == Reduction.None,
                    },
                    rows, ClassRows.Grain, Isa.For(classes));
            }, student, teacher, logSums);
        return y;
    }

    /// <summary>
    /// The Dice loss of classes (Milletari et al. 2016): 1 - the mean over classes of (2 sum(p t) + s) / (sum(p) + sum(t) + s). p is the
    /// softmax of the logits.
    /// </summary>
    /// <param name="logits">(B, ..., Classes), channels last.</param>
    /// <param name="target">A class index for each pixel.</param>
    /// <param name="options">
    /// Smoothing, per image or batch, background, the index to ignore; null for <see cref="DiceOptions.Default"/>.
    /// </param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">
    /// The shapes do not fit together, there are no pixels, or no class is left without the background.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is no class.</exception>
    public static Tensor DiceLoss(Tensor logits, ReadOnlySpan<int> target, DiceOptions? options = null)
    {
        DiceOptions o = options ?? DiceOptions.Default;
        Tensor labels = ClassLabels("DiceLoss", logits, target, o.IgnoreIndex);
        Check.That(labels.Count > 0 && (o.Background || logits.Shape[-1] > 1), "DiceLoss",
            $"logits {logits.Shape}; expected pixels and a class that counts");
        return DiceOfProbabilities(Softmax(logits), labels, o);
    }

    private static Tensor DiceOfProbabilities(Tensor p, Tensor labels, DiceOptions options)
    {
        int classes = p.Shape[-1], images = options.PerImage ? p.Shape[0] : 1, perImage = labels.Count / images, first = options.Background
            ? 0 : 1;
        nint chunks = Launch.CeilDiv(perImage, ClassRegionSums.Grain);
        // Of each class of each image: by how much the loss grows with p: Constant + Slope t.
        Tensor factors = Tensor.Zeros(2, images, classes);
        Span<float> constant = factors.Span[..(images * classes)], slope = factors.Span[(images * classes)..];
        double ratios = 0, count = (double)images * (classes - first);
        using (Scratch sums = new(checked(images * chunks * 3 * classes)))
        {
            Launch.Run(
                new ClassRegionSums
                {
                    P = p.Pointer,
                    Target = labels.Pointer,
                    Sums = sums.Pointer,
                    PerImage = perImage,
                    ChunksPerImage = chunks,
                    Columns = classes,
                },
                images * chunks, 1, Isa.For(classes));
            for (int image = 0; image < images; image++)
                for (int c = first; c < classes; c++)
                {
                    double both = 0, total = 0;
                    for (nint chunk = 0; chunk < chunks; chunk++)
                    {
                        float* s = sums.Pointer + (image * chunks + chunk) * 3 * classes + c;
                        both += s[0];
                        total += (double)s[classes] + s[2 * classes];
                    }
                    double numerator = 2 * both + options.Smooth, denominator = total + options.Smooth;
                    ratios += numerator / denominator;
                    constant[image * classes + c] = (float)(numerator / (denominator * denominator) / count);
                    slope[image * classes + c] = (float)(-2 / denominator / count);
                }
        }
        Tensor result = Tensor.Full((float)(1 - ratios / count));
        if (Tape.Needs(p, labels))
            Tape.Push(result, (p, labels, factors, perImage), static (context, dy) =>
            {
                (Tensor p, Tensor labels, Tensor factors, int perImage) = context;
                int classes = p.Shape[-1];
                Launch.Run(
                    new ClassRegionGradient
                    {
                        Target = labels.Pointer,
                        Dp = p.OpenGrad().Target,
                        Dy = dy.Pointer,
                        Constant = factors.Pointer,
                        Slope = factors.Pointer + factors.Count / 2,
                        PerImage = perImage,
                        Columns = classes,
                    },
                    labels.Count, ClassRows.Grain, Isa.For(classes));
            }, labels, factors);
        return result;
    }
}
