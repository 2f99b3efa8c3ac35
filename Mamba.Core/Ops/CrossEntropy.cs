using Mamba.Core.Kernels.Attention;
using Mamba.Core.Kernels.Losses;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

/// <summary>Options of a cross-entropy, as in PyTorch.</summary>
public sealed record CrossEntropyOptions
{
    /// <summary>Equal class weights, no smoothing, class -100 ignored, mean reduction.</summary>
    public static CrossEntropyOptions Default { get; } = new();

    /// <summary>
    /// (Classes): class weights; null for 1 each. With class indices, the mean divides by the summed weights of the targets.
    /// </summary>
    public Tensor? Weight { get; init; }

    /// <summary>The class index of elements to ignore.</summary>
    public int IgnoreIndex { get; init; } = -100;

    /// <summary>s, from 0 to 1: each target distribution t becomes (1 - s) t + s / Classes (Szegedy et al. 2016).</summary>
    public float LabelSmoothing { get; init; }

    /// <summary>How per-element losses are reduced.</summary>
    public Reduction Reduction { get; init; }
}

public static unsafe partial class Ops
{
    // Float32 holds integers exactly up to this one.
    private const int MostClasses = 1 << 24;

    /// <summary>The cross-entropy between softmax(logits) and class indices, per image or per pixel: PyTorch's cross_entropy.</summary>
    /// <param name="logits">(B, Classes), or (B, ..., Classes), channels last.</param>
    /// <param name="target">One class index per row of logits.</param>
    /// <param name="options">
    /// Class weights, the index to ignore, label smoothing, reduction; null for <see cref="CrossEntropyOptions.Default"/>.
    /// </param>
    /// <returns>A scalar; (B, ...) without reduction. The mean of no elements is NaN.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is not a class, or the smoothing is out of range.</exception>
    public static Tensor CrossEntropy(Tensor logits, ReadOnlySpan<int> target, CrossEntropyOptions? options = null)
    {
        CrossEntropyOptions o = options ?? CrossEntropyOptions.Default;
        CheckSmoothing(o.LabelSmoothing);
        Tensor labels = ClassLabels("CrossEntropy", logits, target, o.IgnoreIndex, o.Weight);
        return ClassLoss(
            "CrossEntropy", logits, labels, new(o.Weight, o.LabelSmoothing, 0f, Normalized: false, CountRows: false, o.Reduction));
    }

    /// <inheritdoc cref="CrossEntropy(Tensor, ReadOnlySpan{int}, CrossEntropyOptions?)"/>
    /// <param name="logits">(B, Classes), or (B, ..., Classes), channels last.</param>
    /// <param name="target">One class index per row of logits.</param>
    /// <param name="labelSmoothing">From 0 to 1, see <see cref="CrossEntropyOptions.LabelSmoothing"/>.</param>
    public static Tensor CrossEntropy(Tensor logits, ReadOnlySpan<int> target, float labelSmoothing)
    {
        CheckSmoothing(labelSmoothing);
        Tensor labels = ClassLabels("CrossEntropy", logits, target, CrossEntropyOptions.Default.IgnoreIndex, null);
        return ClassLoss(
            "CrossEntropy", logits, labels, new(null, labelSmoothing, 0f, Normalized: false, CountRows: false, Reduction.Mean));
    }

    /// <summary>The negative log-likelihood of class indices, from log-probabilities: PyTorch's nll_loss.</summary>
    /// <param name="logProbabilities">(B, Classes), or (B, ..., Classes), channels last: the result of <see cref="LogSoftmax"/>.</param>
    /// <param name="target">One class index per row.</param>
    /// <param name="weight">(Classes): class weights; null for 1 each. It gets no gradient.</param>
    /// <param name="ignoreIndex">The class index of rows to ignore.</param>
    /// <param name="reduction">How per-row losses are reduced; the mean is weighted.</param>
    /// <returns>A scalar; (B, ...) without reduction. The mean of no rows is NaN.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is not a class.</exception>
    public static Tensor NllLoss(
        Tensor logProbabilities, ReadOnlySpan<int> target, Tensor? weight = null, int ignoreIndex = -100,
            Reduction reduction = Reduction.Mean)
    {
        Tensor labels = ClassLabels("NllLoss", logProbabilities, target, ignoreIndex, weight);
        return ClassLoss("NllLoss", logProbabilities, labels, new(weight, 0f, 0f, Normalized: true, CountRows: false, reduction));
    }

    /// <summary>Mean over the batch of the cross-entropy between softmax(logits) and (1 - s) target + s / Classes: PyTorch's
    /// cross_entropy.</summary>
    /// <param name="logits">(B, ..., Classes).</param>
    /// <param name="target">The same shape: one distribution per row, for instance of two mixed images. It gets no gradient.</param>
    /// <param name="labelSmoothing">s, from 0 to 1.</param>
    /// <returns>A scalar.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The smoothing is out of range.</exception>
    public static Tensor CrossEntropy(Tensor logits, Tensor target, float labelSmoothing) =>
        SoftCrossEntropy(logits, target, null, labelSmoothing, Reduction.Mean);

    /// <summary>
    /// The cross-entropy between softmax(logits) and target distributions: PyTorch's cross_entropy. The mean divides by the number of rows.
    /// </summary>
    /// <param name="logits">(B, ..., Classes).</param>
    /// <param name="target">The same shape: one distribution per row. It gets no gradient.</param>
    /// <param name="options">Class weights, label smoothing, reduction; null for <see cref="CrossEntropyOptions.Default"/>.</param>
    /// <returns>A scalar; (B, ...) without reduction.</returns>
    /// <exception cref="ShapeException">The shapes differ.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The smoothing is out of range.</exception>
    public static Tensor CrossEntropy(Tensor logits, Tensor target, CrossEntropyOptions? options = null)
    {
        CrossEntropyOptions o = options ?? CrossEntropyOptions.Default;
        return SoftCrossEntropy(logits, target, o.Weight, o.LabelSmoothing, o.Reduction);
    }

    private static Tensor SoftCrossEntropy(Tensor logits, Tensor target, Tensor? weight, float labelSmoothing, Reduction reduction)
    {
        (int rows, int classes) = ClassRowsOf("CrossEntropy", logits);
        Check.That(target.Shape == logits.Shape, "CrossEntropy",
            $"logits {logits.Shape} and targets {target.Shape}; expected equal shapes");
        Check.Extents(weight, "CrossEntropy", "weight", classes);
        CheckSmoothing(labelSmoothing);

        // The gradient, softmax (times the sum of the target) minus target, is cheap once the loss is known; it is kept instead of the
        // softmax.
        Tensor gradient = LogSoftmaxValues(logits), y = ReducedRows("CrossEntropy", logits, reduction);
        using (Scratch sums = Scratch.OfDoubles(Launch.CeilDiv(rows, SoftClassRows.Grain)))
        {
            Launch.Run(
                new SoftClassRows
                {
                    Gradient = gradient.Pointer,
                    Target = target.Pointer,
                    Weight = weight.Pointer,
                    Elements = reduction == Reduction.None ? y.Pointer : null,
                    Sums = sums.Doubles,
                    Columns = classes,
                    Smoothing = labelSmoothing,
                    Divisor = reduction == Reduction.Mean ? rows : 1,
                },
                rows, SoftClassRows.Grain);
            double loss = 0;
            for (nint i = 0; i < Launch.CeilDiv(rows, SoftClassRows.Grain); i++) loss += sums.Doubles[i];
            if (reduction != Reduction.None) y.Span[0] = (float)(reduction == Reduction.Mean ? loss / rows : loss);
        }

        if (Tape.Needs(logits, target, weight) && logits.NeedsGrad)
            Tape.Record(
                y, (logits, gradient),
                static (context, dy) => AddScaledRows(context.Values.gradient, dy, context.Values.logits.OpenGrad()), gradient);
        return y;
    }

    /// <summary>Adds rows to a gradient, each times its own scale, or all times a single one.</summary>
    private static void AddScaledRows(Tensor rows, Tensor scale, GradSlot dx)
    {
        int columns = rows.Shape[-1];
        ReadOnlySpan<float> g = rows.Span, scales = scale.Span;
        Span<float> d = dx.Span;
        for (int i = 0; i < d.Length; i++)
        {
            float scaled = scales[scales.Length == 1 ? 0 : i / columns] * g[i];
            d[i] = dx.Accumulate ? d[i] + scaled : scaled;
        }
    }

    /// <summary>A loss of rows of logits with one class index each.</summary>
    /// <param name="Weight">(Classes), or null.</param>
    /// <param name="Smoothing">Label smoothing.</param>
    /// <param name="Gamma">The exponent of a focal loss; 0 for none.</param>
    /// <param name="Normalized">Whether the logits are log-probabilities.</param>
    /// <param name="CountRows">Whether the mean divides by the number of rows not ignored, not by their weights.</param>
    /// <param name="Reduction">How per-row losses are reduced.</param>
    private readonly record struct ClassLossTerms(Tensor? Weight, float Smoothing, float Gamma, bool Normalized, bool CountRows,
        Reduction Reduction);

    private static Tensor ClassLoss(string name, Tensor logits, Tensor labels, ClassLossTerms terms)
    {
        Tensor y = ReducedRows(name, logits, terms.Reduction);
        Tensor? logSums = terms.Normalized ? null : Tensor.Empty(labels.Count);
        ClassLossStep step = new(logits, labels, logSums, terms);
        float divisor = step.Forward(y);
        if (Tape.Needs(logits, labels, terms.Weight) && logits.NeedsGrad)
            Tape.Record(
                y, (step, divisor), static (context, dy) => context.Values.step.Backward(dy, context.Values.divisor),
                logits, labels, logSums, terms.Weight);
        return y;
    }

    /// <summary>A recorded per-row loss; LogSums are the log-sum-exp of each row, null for log-probabilities.</summary>
    private readonly record struct ClassLossStep(Tensor Logits, Tensor Labels, Tensor? LogSums, ClassLossTerms Terms)
    {
        private int Classes => Logits.Shape[-1];

        private ClassRows Rows => new()
        {
            X = Logits.Pointer,
            Target = Labels.Pointer,
            Weight = Terms.Weight.Pointer,
            LogSum = LogSums.Pointer,
            Columns = Classes,
            Smoothing = Terms.Smoothing,
            Gamma = Terms.Gamma,
        };

        /// <summary>Writes the losses, or their reduction; returns what each loss is divided by.</summary>
        public float Forward(Tensor y)
        {
            nint chunks = Launch.CeilDiv(Labels.Count, ClassRows.Grain);
            using Scratch sums = Scratch.OfDoubles(2 * chunks);
            Launch.Run(
                new ClassLossForward
                {
                    Rows = Rows,
                    Elements = Terms.Reduction == Reduction.None ? y.Pointer : null,
                    Sums = sums.Doubles,
                    CountRows = Terms.CountRows,
                },
                Labels.Count, ClassRows.Grain, Isa.For(Classes));
            double loss = 0, weight = 0;
            for (nint i = 0; i < chunks; i++)
            {
                loss += sums.Doubles[2 * i];
                weight += sums.Doubles[2 * i + 1];
            }
            if (Terms.Reduction != Reduction.None) y.Span[0] = (float)(Terms.Reduction == Reduction.Mean ? loss / weight : loss);
            return Terms.Reduction == Reduction.Mean ? (float)weight : 1f;
        }

        public void Backward(Tensor dy, float divisor) => Launch.Run(
            new ClassLossGradient
            {
                Rows = Rows,
                Dy = dy.Pointer,
                Dx = Logits.OpenGrad().Target,
                Factor = 1f / divisor,
                WeightSum = Terms.Weight is { } weight ? Sum(weight.Span) : Classes,
                OneEach = Terms.Reduction == Reduction.None,
            },
            Labels.Count, ClassRows.Grain, Isa.For(Classes));

        /// <summary>In sequence: the order of a vectorized sum would depend on the widest vector of the hardware.</summary>
        private static float Sum(ReadOnlySpan<float> values)
        {
            double sum = 0;
            foreach (float value in values) sum += value;
            return (float)sum;
        }
    }

    /// <summary>The class of each row as an integer, -1 for a row to ignore.</summary>
    private static Tensor ClassLabels(string name, Tensor logits, ReadOnlySpan<int> target, int ignoreIndex, Tensor? weight = null)
    {
        (int rows, int classes) = ClassRowsOf(name, logits);
        Check.That(target.Length == rows, name, $"logits {logits.Shape} and {target.Length} targets; expected {rows}, one a row");
        Check.That(classes <= MostClasses, name, $"logits {logits.Shape}; expected at most {MostClasses} classes");
        Check.Extents(weight, name, "weight", classes);
        foreach (int t in target)
            if (t != ignoreIndex && (uint)t >= (uint)classes)
                throw new ArgumentOutOfRangeException(nameof(target), t,
                    $"{name}: no class; expected 0 to {classes - 1}, or {ignoreIndex} to ignore.");
        Tensor labels = Tensor.Empty(rows);
        Span<float> values = labels.Span;
        for (int i = 0; i < rows; i++) values[i] = target[i] == ignoreIndex ? -1f : target[i];
        return labels;
    }

    /// <summary>The numbers of rows and of classes of (B, ..., Classes).</summary>
    private static (int Rows, int Classes) ClassRowsOf(string name, Tensor logits)
    {
        Check.That(logits.Shape.Rank >= 2 && logits.Shape[-1] > 0, name,
            $"logits {logits.Shape}; expected (B, ..., Classes) with at least one class");
        return (logits.Count / logits.Shape[-1], logits.Shape[-1]);
    }

    /// <summary>A result for per-row losses of (B, ..., Classes): a scalar, or (B, ...).</summary>
    private static Tensor ReducedRows(string name, Tensor logits, Reduction reduction)
    {
        CheckReduction(name, reduction);
        if (reduction != Reduction.None) return Tensor.Empty();
        Span<int> extents = stackalloc int[logits.Shape.Rank];
        logits.Shape.CopyTo(extents);
        return Tensor.Empty(extents[..^1]);
    }

    private static void CheckReduction(string name, Reduction reduction)
    {
        if (reduction is < Reduction.Mean or > Reduction.None)
            throw new ArgumentOutOfRangeException(nameof(reduction), reduction, $"{name}: expected one of the reductions.");
    }

    private static void CheckSmoothing(float smoothing)
    {
        if (!(smoothing is >= 0f and <= 1f))
            throw new ArgumentOutOfRangeException("labelSmoothing", smoothing, "CrossEntropy: expected 0 to 1.");
    }

    private static Tensor LogSoftmaxValues(Tensor x)
    {
        Tensor y = Tensor.Empty(x.Shape);
        Launch.Run(
            new SoftmaxForward
            {
                X = x.Pointer,
                Y = y.Pointer,
                RowStride = x.Shape[-1],
                Columns = x.Shape[-1],
                Scale = 1f,
                Logarithm = true
            },
            x.Count / x.Shape[-1], 64);
        return y;
    }
}
