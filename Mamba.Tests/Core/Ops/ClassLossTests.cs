using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Losses of rows of logits with a class each, of images or of pixels.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ClassLossTests(VectorWidth width)
{
    // One row; pixels of few classes; more rows than a chunk of 256; more classes than a vector.
    private static readonly int[][] s_shapes = [[1, 2], [2, 3, 4, 5], [300, 2], [7, 37]];

    public static IEnumerable<TestCaseData> Cases =>
        from shape in s_shapes
        from reduction in Enum.GetValues<Reduction>()
        from weighted in new[] { false, true }
        select new TestCaseData(shape, reduction, weighted);

    [TestCaseSource(nameof(Cases))]
    public void CrossEntropy_weighs_ignores_and_smooths(int[] shape, Reduction reduction, bool weighted)
    {
        int classes = shape[^1];
        int[] target = Targets(shape, ignore: 255);
        foreach (float smoothing in new[] { 0f, 0.1f })
        {
            Tensor logits = Numbers.Uniform(1, -4f, 4f, shape), weight = Numbers.Uniform(2, 0.5f, 2f, classes);
            OperatorCheck.Run(
                width, i => Ops.CrossEntropy(i[0], target, Options(i, smoothing)), i =>
                    Rows(i[0], target, weighted ? i[1] : null, classes, smoothing, reduction),
                weighted ? [logits, weight] : [logits], 1e-5, 1);
        }

        CrossEntropyOptions Options(Tensor[] i, float smoothing) =>
            new() { Weight = weighted ? i[1] : null, IgnoreIndex = 255, LabelSmoothing = smoothing, Reduction = reduction };
    }

    [TestCaseSource(nameof(Cases))]
    public void Soft_targets_are_distributions(int[] shape, Reduction reduction, bool weighted)
    {
        int classes = shape[^1], rows = shape.Aggregate(1, (a, b) => a * b) / classes;
        Tensor logits = Numbers.Uniform(1, -4f, 4f, shape), target = Numbers.Uniform(3, 0f, 1f, shape),
            weight = Numbers.Uniform(2, 0.5f, 2f, classes);
        CrossEntropyOptions options = new() { Weight = weighted ? weight : null, LabelSmoothing = 0.2f, Reduction = reduction };
        OperatorCheck.Run(width, i => Ops.CrossEntropy(i[0], i[1], options), i =>
        {
            double[] p = Naive.Softmax(i[0], classes), loss = new double[rows];
            for (int e = 0; e < p.Length; e++) loss[e / classes] -= (weighted ? weight.Span[e % classes] : 1) * (0.8f * i[1][e]
                + 0.2f / classes) * Math.Log(p[e]);
            return reduction == Reduction.None ? loss : [reduction == Reduction.Mean ? loss.Average() : loss.Sum()];
        }, [logits, target], 1e-5, 1);
    }

    [TestCaseSource(nameof(Cases))]
    public void NllLoss_picks_log_probabilities(int[] shape, Reduction reduction, bool weighted)
    {
        int classes = shape[^1];
        int[] target = Targets(shape, ignore: -1);
        Tensor weight = Numbers.Uniform(2, 0.5f, 2f, classes);
        OperatorCheck.Run(
            width, i => Ops.NllLoss(i[0], target, weighted ? weight : null, -1, reduction),
            i => Reduce(
                target.Select((t, r) => t < 0 ? (0, 0) : (Weight(t) * -i[0][r * classes + t], Weight(t))), reduction),
                    [Numbers.Uniform(1, -4f, 0f, shape)]);

        double Weight(int t) => weighted ? weight.Span[t] : 1;
    }

    [TestCaseSource(nameof(Cases))]
    public void Focal_loss_turns_from_what_is_easy(int[] shape, Reduction reduction, bool weighted)
    {
        int classes = shape[^1];
        int[] target = Targets(shape, ignore: 255);
        Tensor weight = Numbers.Uniform(2, 0.5f, 2f, classes);
        foreach (float gamma in new[] { 0.5f, 2f })
            OperatorCheck.Run(width, i => Ops.FocalLoss(i[0], target, gamma, weighted ? weight : null, 255, reduction), i =>
            {
                double[] p = Naive.Softmax(i[0], classes);
                return Reduce(target.Select((t, r) => t == 255 ? (0, 0) : (
                    (weighted ? weight.Span[t] : 1) * Math.Pow(1 - p[r * classes + t], gamma) * -Math.Log(p[r * classes + t]), 1.0)),
                        reduction);
            }, [Numbers.Uniform(1, -3f, 3f, shape)]);
    }

    [TestCase(1f), TestCase(4f)]
    public void Distillation_is_a_divergence_at_a_temperature(float temperature)
    {
        foreach (int[] shape in s_shapes)
            foreach (Reduction reduction in Enum.GetValues<Reduction>())
            {
                int classes = shape[^1];
                OperatorCheck.Run(width, i => Ops.Distillation(i[0], i[1], temperature, reduction), i =>
                {
                    double[] p = Naive.Softmax(Array.ConvertAll(i[0], x => x / temperature), classes);
                    double[] q = Naive.Softmax(Array.ConvertAll(i[1], x => x / temperature), classes),
                        loss = new double[p.Length / classes];
                    for (int e = 0; e < p.Length; e++) loss[e / classes] += temperature * temperature * q[e] * Math.Log(q[e] / p[e]);
                    return reduction == Reduction.None ? loss : [reduction == Reduction.Mean ? loss.Average() : loss.Sum()];
                }, [Numbers.Uniform(1, -4f, 4f, shape), Numbers.Uniform(2, -4f, 4f, shape)], 1e-5, 1);
            }
    }

    [Test]
    public void Dice_is_the_mean_over_classes([Values] bool perImage, [Values] bool background, [Values] bool ignore)
    {
        // 35 x 31 pixels are chunks of 512 and some.
        foreach (int[] shape in (int[][])[[2, 3, 4, 5], [2, 35, 31, 3], [3, 2]])
        {
            int classes = shape[^1], images = perImage ? shape[0] : 1;
            int[] target = Targets(shape, ignore ? 255 : 0);
            DiceOptions options = new() { PerImage = perImage, Background = background, Smooth = 0.5f, IgnoreIndex = 255 };
            OperatorCheck.Run(width, i => Ops.DiceLoss(i[0], target, options), i =>
            {
                double[] p = Naive.Softmax(i[0], classes);
                int pixels = target.Length / images;
                double[] ratios = [.. from image in Enumerable.Range(0, images) from c in Enumerable.Range(0, classes) where c > 0
                    || background select Ratio(image, c)];
                return [1 - ratios.Average()];

                double Ratio(int image, int c)
                {
                    double both = 0, total = 0;
                    for (int r = image * pixels; r < (image + 1) * pixels; r++)
                    {
                        if (target[r] == 255) continue;
                        double t = target[r] == c ? 1 : 0;
                        both += p[r * classes + c] * t;
                        total += p[r * classes + c] + t;
                    }
                    return (2 * both + 0.5) / (total + 0.5);
                }
            }, [Numbers.Uniform(1, -3f, 3f, shape)], 2e-5);
        }
    }

    [Test]
    public void Lovasz_softmax_extends_the_Jaccard_index([Values] bool perImage)
    {
        foreach (int[] shape in (int[][])[[2, 3, 4, 5], [2, 9, 2], [1, 40, 3]])
        {
            int classes = shape[^1], images = perImage ? shape[0] : 1;
            int[] target = Targets(shape, ignore: 255);
            OperatorCheck.Run(width, i => Ops.LovaszSoftmax(i[0], target, 255, perImage), i =>
            {
                double[] p = Naive.Softmax(i[0], classes);
                int pixels = target.Length / images;
                return [Enumerable.Range(0, images).Average(image =>
                {
                    int[] kept = [.. Enumerable.Range(image * pixels, pixels).Where(r => target[r] != 255)];
                    return kept.Select(r => target[r]).Distinct()
                        .Average(c => Lovasz(kept.Select(r => (Math.Abs((target[r] == c ? 1 : 0) - p[r * classes + c]), target[r] == c))));
                })];
            }, [Numbers.Uniform(1, -3f, 3f, shape)], 2e-5);
        }
    }

    [Test]
    public void Lovasz_hinge_extends_the_Jaccard_index([Values] bool perImage)
    {
        foreach (int[] shape in (int[][])[[3, 1, 6, 5], [2, 40], [1, 1]])
        {
            Tensor target = Numbers.Random(9, shape);
            foreach (ref float t in target.Span) t = t > 0.3f ? 1f : 0f;
            int images = perImage ? shape[0] : 1, pixels = target.Count / images;
            OperatorCheck.Run(
                width, i => Ops.LovaszHinge(i[0], i[1], perImage),
                i => [Enumerable.Range(0, images).Average(image => Lovasz(
                    Enumerable.Range(image * pixels, pixels).Select(r => (Math.Max(0, 1 - i[0][r] * (2 * i[1][r] - 1)), i[1][r] == 1))))],
                [Numbers.Uniform(1, -2f, 2f, shape), target], 2e-5, 1);
        }
    }

    [Test]
    public void An_infinite_loss_of_a_row_leaves_the_others_alone()
    {
        Tensor logits = Tensor.From([0f, float.NegativeInfinity, 0f, 0f], 2, 2), target = Tensor.From([0f, 1f, 0f, 1f], 2, 2);
        float[] losses = Ops.CrossEntropy(logits, target, new CrossEntropyOptions { Reduction = Reduction.None }).Span.ToArray();
        Assert.That(losses[0], Is.EqualTo(float.PositiveInfinity));
        Assert.That(losses[1], Is.EqualTo(MathF.Log(2f)).Within(1e-6f));
    }

    [Test]
    public void Nothing_to_count_gives_PyTorchs_values()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Numbers.Random(1, 2, 3);
        Assert.That(Ops.CrossEntropy(x, [-100, -100]).Item(), Is.NaN);
        Assert.That(Ops.CrossEntropy(x, [-100, -100], new CrossEntropyOptions { Reduction = Reduction.Sum }).Item(), Is.Zero);
        Assert.That(Ops.CrossEntropy(Tensor.Zeros(0, 3), []).Item(), Is.NaN);
        Assert.That(Ops.NllLoss(Tensor.Zeros(0, 4, 3), [], reduction: Reduction.None).Shape, Is.EqualTo(new Shape(0, 4)));
        Assert.That(Ops.Distillation(Tensor.Zeros(0, 3), Tensor.Zeros(0, 3)).Item(), Is.NaN);
        Assert.That(Ops.LovaszSoftmax(x, [-100, -100]).Item(), Is.Zero);
    }

    [Test]
    public void A_class_that_cannot_be_costs_nothing_and_a_certain_mistake_costs_its_logit()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.From([float.NegativeInfinity, 0f, 0f, 500f, 0f, 0f, float.NaN, 0f, 0f], 3, 3);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor loss = Ops.CrossEntropy(x, [1, 2, 0], new CrossEntropyOptions { Reduction = Reduction.None });
        Assert.That(loss.Span[..2].ToArray(), Is.EqualTo(new[] { MathF.Log(2), 500f }).Within(1e-5));
        Assert.That(loss.Span[2], Is.NaN);
        tape.Backward(loss, Tensor.From([1f, 1f, 0f], 3));
        Assert.That(x.Grad!.Value.Span[..6].ToArray(), Is.EqualTo(new[] { 0f, -0.5f, 0.5f, 1f, 0f, -1f }).Within(1e-6));
    }

    [Test]
    public void Bad_input_is_refused()
    {
        Tensor x = Tensor.Zeros(2, 3);
        OperatorCheck.Refuses("CrossEntropy", () => Ops.CrossEntropy(x, [0]));
        OperatorCheck.Refuses("CrossEntropy", () => Ops.CrossEntropy(x, [0, 1], new CrossEntropyOptions { Weight = Tensor.Zeros(2) }));
        OperatorCheck.Refuses("CrossEntropy", () => Ops.CrossEntropy(Tensor.Zeros(2, 0), [0, 0]));
        OperatorCheck.Refuses("CrossEntropy", () => Ops.CrossEntropy(x, Tensor.Zeros(3, 2)));
        OperatorCheck.Refuses("NllLoss", () => Ops.NllLoss(x, [0, 1, 2]));
        OperatorCheck.Refuses("FocalLoss", () => Ops.FocalLoss(x, [0, 1, 2]));
        OperatorCheck.Refuses("DiceLoss", () => Ops.DiceLoss(Tensor.Zeros(0, 3), []));
        OperatorCheck.Refuses("DiceLoss", () => Ops.DiceLoss(Tensor.Zeros(2, 1), [0, 0], new DiceOptions { Background = false }));
        OperatorCheck.Refuses("LovaszSoftmax", () => Ops.LovaszSoftmax(x, [0]));
        OperatorCheck.Refuses("LovaszHinge", () => Ops.LovaszHinge(x, Tensor.Zeros(3, 2)));
        OperatorCheck.Refuses("LovaszHinge", () => Ops.LovaszHinge(Tensor.Zeros(), Tensor.Zeros()));
        OperatorCheck.Refuses("Distillation", () => Ops.Distillation(x, Tensor.Zeros(2, 4)));
        Assert.That(() => Ops.NllLoss(x, [0, 3]), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.FocalLoss(x, [0, int.MinValue]), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.FocalLoss(x, [0, 1], gamma: -1f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.CrossEntropy(x, [0, 1], new CrossEntropyOptions { LabelSmoothing = float.NaN }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.Distillation(x, x, 0f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.LovaszHinge(x, Tensor.Full(0.5f, 2, 3)), Throws.ArgumentException);
    }

    /// <summary>Classes in turn, every seventh row to be ignored, if there is more than one.</summary>
    private static int[] Targets(int[] shape, int ignore)
    {
        int rows = shape.Aggregate(1, (a, b) => a * b) / shape[^1];
        return [.. Enumerable.Range(0, rows).Select(r => r % 7 == 3 && rows > 1 ? ignore : r * 5 % shape[^1])];
    }

    private static double[] Rows(double[] x, int[] target, double[]? weight, int classes, double smoothing, Reduction reduction)
    {
        double[] p = Naive.Softmax(x, classes);
        return Reduce(target.Select((t, r) => t == 255 ? (0, 0) : (
            Enumerable.Range(0, classes).Sum(c => (weight?[c] ?? 1) * -Math.Log(p[r * classes + c]) * ((c == t ? 1 - smoothing : 0)
                + smoothing / classes)),
            weight?[t] ?? 1)), reduction);
    }

    private static double[] Reduce(IEnumerable<(double Loss, double Weight)> rows, Reduction reduction) => reduction switch
    {
        Reduction.Mean => [rows.Sum(r => r.Loss) / rows.Sum(r => r.Weight)],
        Reduction.Sum => [rows.Sum(r => r.Loss)],
        _ => [.. rows.Select(r => r.Loss)],
    };

    /// <summary>The errors in falling order, each times what the Jaccard loss grows by when its pixel joins the wrong ones.</summary>
    private static double Lovasz(IEnumerable<(double Error, bool Truth)> pixels)
    {
        (double Error, bool Truth)[] sorted = [.. pixels.OrderByDescending(p => p.Error)];
        double loss = 0, before = 0;
        for (int k = 1; k <= sorted.Length; k++)
        {
            double missed = sorted[k..].Count(p => p.Truth), union = sorted.Count(p => p.Truth) + sorted[..k].Count(p => !p.Truth),
                jaccard = 1 - missed / union;
            loss += sorted[k - 1].Error * (jaccard - before);
            before = jaccard;
        }
        return loss;
    }
}
