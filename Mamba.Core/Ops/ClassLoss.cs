using Mamba.Core.Kernels.Losses;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>Options of <see cref="Ops.DiceLoss"/>.</summary>
public sealed record DiceOptions
{
    /// <summary>One ratio per class over the whole batch, all classes included, smoothing 1.</summary>
    public static DiceOptions Default { get; } = new();

    /// <summary>Added to numerator and denominator.</summary>
    public float Smooth { get; init; } = 1f;

    /// <summary>Whether the ratios are per image; otherwise they are pooled over the batch.</summary>
    public bool PerImage { get; init; }

    /// <summary>Whether class 0 is included.</summary>
    public bool Background { get; init; } = true;

    /// <summary>The class index of pixels to ignore.</summary>
    public int IgnoreIndex { get; init; } = -100;
}

public static unsafe partial class Ops
{
    /// <summary>
    /// The focal loss of class indices (Lin et al. 2017): w (1 - p)^gamma (-log p), where p is the softmax probability of the target class.
    /// The mean is over the rows that are not ignored.
    /// </summary>
    /// <param name="logits">(B, Classes), or (B, ..., Classes), channels last.</param>
    /// <param name="target">One class index per row of logits.</param>
    /// <param name="gamma">The focusing exponent: a larger one gives easy rows less weight; at least 0.</param>
    /// <param name="weight">(Classes): w, the class weights; null for 1 each. It gets no gradient.</param>
    /// <param name="ignoreIndex">The class index of rows to ignore.</param>
    /// <param name="reduction">How per-row losses are reduced.</param>
    /// <returns>A scalar; (B, ...) without reduction. The mean of no rows is NaN.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is not a class, or gamma is negative or NaN.</exception>
    public static Tensor FocalLoss(
        Tensor logits, ReadOnlySpan<int> target, float gamma = 2f, Tensor? weight = null, int ignoreIndex = -100,
            Reduction reduction = Reduction.Mean)
    {
        if (!(gamma >= 0f)) throw new ArgumentOutOfRangeException(nameof(gamma), gamma, "FocalLoss: expected at least 0.");
        Tensor labels = ClassLabels("FocalLoss", logits, target, ignoreIndex, weight);
        return ClassLoss("FocalLoss", logits, labels, new(weight, 0f, gamma, Normalized: false, CountRows: true, reduction));
    }

    /// <summary>
    /// Knowledge distillation (Hinton et al. 2015): T^2 KL(softmax(teacher / T) || softmax(student / T)). The factor T^2 keeps gradients
    /// independent of T in size. In PyTorch, T^2 times kl_div of log_softmax(student / T) and softmax(teacher / T).
    /// </summary>
    /// <param name="student">(B, Classes), or (B, ..., Classes), channels last: logits.</param>
    /// <param name="teacher">The same shape: logits. They get no gradient.</param>
    /// <param name="temperature">T, a finite number above 0.</param>
    /// <param name="reduction">How per-row divergences are reduced.</param>
    /// <returns>A scalar; (B, ...) without reduction.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The temperature is not a finite number above 0.</exception>
    public static Tensor Distillation(Tensor student, Tensor teacher, float temperature = 1f, Reduction reduction = Reduction.Mean)
    {
        (int rows, _) = ClassRowsOf("Distillation", student);
        Check.SameShape(student, teacher, "Distillation");
        if (!(temperature > 0f && float.IsFinite(temperature)))
            throw new ArgumentOutOfRangeException(nameof(temperature), temperature, "Distillation: expected a finite number above 0.");
        DistillationStep step = new(student, teacher, Tensor.Empty(rows, 2), temperature, reduction);
        Tensor y = ReducedRows("Distillation", student, reduction);
        step.Forward(y);
        if (Tape.Needs(student, teacher) && student.NeedsGrad)
            Tape.Record(y, step, static (step, dy) => step.Values.Backward(dy), student, teacher, step.LogSums);
        return y;
    }

    /// <summary>A recorded distillation; LogSums are the log-sum-exp of each row, of student and teacher.</summary>
    private readonly record struct DistillationStep(
        Tensor Student, Tensor Teacher, Tensor LogSums, float Temperature, Reduction Reduction)
    {
        private int Rows => LogSums.Shape[0];

        private int Classes => Student.Shape[-1];

        public void Forward(Tensor y)
        {
            nint chunks = Launch.CeilDiv(Rows, ClassRows.Grain);
            using Scratch sums = Scratch.OfDoubles(chunks);
            Launch.Run(
                new DistillationForward
                {
                    Student = Student.Pointer,
                    Teacher = Teacher.Pointer,
                    LogSums = LogSums.Pointer,
                    Elements = Reduction == Reduction.None ? y.Pointer : null,
                    Sums = sums.Doubles,
                    Columns = Classes,
                    Temperature = Temperature,
                },
                Rows, ClassRows.Grain, Isa.For(Classes));
            double loss = 0;
            for (nint i = 0; i < chunks; i++) loss += sums.Doubles[i];
            if (Reduction != Reduction.None) y.Span[0] = (float)(Reduction == Reduction.Mean ? loss / Rows : loss);
        }

        public void Backward(Tensor dy) => Launch.Run(
            new DistillationGradient
            {
                Student = Student.Pointer,
                Teacher = Teacher.Pointer,
                LogSums = LogSums.Pointer,
                Dy = dy.Pointer,
                Dx = Student.OpenGrad().Target,
                Columns = Classes,
                Temperature = Temperature,
                Factor = Reduction == Reduction.Mean ? 1f / Rows : 1f,
                OneEach = Reduction == Reduction.None,
            },
            Rows, ClassRows.Grain, Isa.For(Classes));
    }

    /// <summary>
    /// The Dice loss of classes (Milletari et al. 2016): 1 - the mean over classes of (2 sum(p t) + s) / (sum(p) + sum(t) + s). p is the
    /// softmax of the logits.
    /// </summary>
    /// <param name="logits">(B, ..., Classes), channels last.</param>
    /// <param name="target">One class index per pixel.</param>
    /// <param name="options">
    /// Smoothing, per image or per batch, background, the index to ignore; null for <see cref="DiceOptions.Default"/>.
    /// </param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">
    /// The shapes do not fit together, there are no pixels, or no class is left without the background.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is not a class.</exception>
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
        int classes = p.Shape[-1], images = options.PerImage ? p.Shape[0] : 1;
        // For each image and class, the derivative of the loss with respect to p: Constant + Slope t.
        Tensor factors = Tensor.Zeros(2, images, classes);
        DiceStep step = new(p, labels, factors);
        Tensor result = Tensor.Full((float)(1 - step.MeanRatio(options)));
        if (Tape.Needs(p, labels)) Tape.Record(result, step, static (step, dy) => step.Values.Backward(dy), labels, factors);
        return result;
    }

    /// <summary>A recorded Dice loss of probabilities; Factors are (2, Images, Classes).</summary>
    private readonly record struct DiceStep(Tensor P, Tensor Labels, Tensor Factors)
    {
        private int Images => Factors.Shape[1];

        private int Classes => Factors.Shape[2];

        private int PerImage => Labels.Count / Images;

        /// <summary>The mean ratio over the included classes; also writes the factors of its gradient.</summary>
        public double MeanRatio(DiceOptions options)
        {
            nint chunks = Launch.CeilDiv(PerImage, ClassRegionSums.Grain);
            using Scratch sums = new(checked(Images * chunks * 3 * Classes));
            Launch.Run(
                new ClassRegionSums
                {
                    P = P.Pointer,
                    Target = Labels.Pointer,
                    Sums = sums.Pointer,
                    PerImage = PerImage,
                    ChunksPerImage = chunks,
                    Columns = Classes,
                },
                Images * chunks, 1, Isa.For(Classes));
            int first = options.Background ? 0 : 1;
            double ratios = 0, count = (double)Images * (Classes - first);
            for (int image = 0; image < Images; image++)
                for (int c = first; c < Classes; c++)
                    ratios += Ratio(sums.Pointer + image * chunks * 3 * Classes + c, chunks, options.Smooth, image * Classes + c, count);
            return ratios / count;
        }

        /// <summary>The ratio of one class of one image, from the partial sums of its chunks.</summary>
        private double Ratio(float* sums, nint chunks, float smooth, int at, double count)
        {
            double both = 0, total = 0;
            for (nint chunk = 0; chunk < chunks; chunk++, sums += 3 * Classes)
            {
                both += sums[0];
                total += (double)sums[Classes] + sums[2 * Classes];
            }
            double numerator = 2 * both + smooth, denominator = total + smooth;
            Factors.Span[at] = (float)(numerator / (denominator * denominator) / count);
            Factors.Span[Images * Classes + at] = (float)(-2 / denominator / count);
            return numerator / denominator;
        }

        public void Backward(Tensor dy) => Launch.Run(
            new ClassRegionGradient
            {
                Target = Labels.Pointer,
                Dp = P.OpenGrad().Target,
                Dy = dy.Pointer,
                Constant = Factors.Pointer,
                Slope = Factors.Pointer + Factors.Count / 2,
                PerImage = PerImage,
                Columns = Classes,
            },
            Labels.Count, ClassRows.Grain, Isa.For(Classes));
    }
}
