using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Losses of single elements: regression, weighted and focal binary cross-entropy, and the Tversky loss of their sums.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ElementLossTests(VectorWidth width)
{
    // One element; fewer than a vector; a block of 1,024 and some.
    private static readonly int[][] s_shapes = [[1], [3, 5, 7], [2, 70, 63, 1]];

    private static readonly (string Name, Func<Tensor, Tensor, Reduction, Tensor> Op, Func<double, double, double> Naive)[] s_regression =
    [
        ("mse", Ops.MeanSquaredError, (x, t) => (x - t) * (x - t)),
        ("l1", Ops.L1Loss, (x, t) => Math.Abs(x - t)),
        ("smooth l1", (x, t, r) => Ops.SmoothL1Loss(x, t, 0.5f, r), (x, t) => Math.Abs(x - t) is var d && d < 0.5 ? d * d : d - 0.25),
        ("huber", (x, t, r) => Ops.HuberLoss(x, t, 0.7f, r), (x, t) => Math.Abs(x - t) is var d && d < 0.7f ? 0.5 * d * d
            : 0.7f * (d - 0.35f)),
    ];

    private static readonly (string Name, Func<Tensor, Tensor, Reduction, Tensor> Op, Func<double, double, double> Naive)[] s_binary =
    [
        ("weighted", (x, t, r) => Ops.BinaryCrossEntropyWithLogits(x, t, 3f, r), (x, t) =>
            -3 * t * Math.Log(Sigmoid(x)) - (1 - t) * Math.Log(Sigmoid(-x))),
        ("focal", (x, t, r) => Ops.FocalLoss(x, t, 0.25f, 2f, r), (x, t) => Focal(x, t, 0.25, 2)),
        ("focal without alpha", (x, t, r) => Ops.FocalLoss(x, t, -1f, 1.5f, r), (x, t) => Focal(x, t, -1, 1.5)),
        ("focal with gamma 0", (x, t, r) => Ops.FocalLoss(x, t, 0.3f, 0f, r), (x, t) => Focal(x, t, 0.3f, 0)),
        ("focal with gamma below 1", (x, t, r) => Ops.FocalLoss(x, t, 0.3f, 0.5f, r), (x, t) => Focal(x, t, 0.3f, 0.5)),
    ];

    public static IEnumerable<TestCaseData> Regressions => Cases(s_regression.Length);

    public static IEnumerable<TestCaseData> Binaries => Cases(s_binary.Length);

    [TestCaseSource(nameof(Regressions))]
    public void Regression_losses_flow_to_both_sides(int which, int[] shape, Reduction reduction)
    {
        (string _, Func<Tensor, Tensor, Reduction, Tensor> op, Func<double, double, double> naive) = s_regression[which];
        OperatorCheck.Run(
            width, i => op(i[0], i[1], reduction), i => Reduce(i[0].Zip(i[1], naive), reduction),
                [Numbers.Random(1, shape), Numbers.Random(2, shape)]);
    }

    [TestCaseSource(nameof(Binaries))]
    public void Binary_losses_take_soft_targets(int which, int[] shape, Reduction reduction)
    {
        (string _, Func<Tensor, Tensor, Reduction, Tensor> op, Func<double, double, double> naive) = s_binary[which];
        foreach (bool soft in new[] { false, true })
        {
            Tensor target = Numbers.Uniform(2, 0f, 1f, shape);
            if (!soft) foreach (ref float t in target.Span) t = t > 0.6f ? 1f : 0f;
            OperatorCheck.Run(
                width, i => op(i[0], i[1], reduction), i => Reduce(i[0].Zip(i[1], naive), reduction),
                    [Numbers.Uniform(1, -4f, 4f, shape), target], 1e-5, 1);
        }
    }

    [Test]
    public void A_tensor_against_itself_costs_nothing()
    {
        using IDisposable _ = Isa.Use(width);
        foreach ((string name, Func<Tensor, Tensor, Reduction, Tensor> op, Func<double, double, double> _) in s_regression)
        {
            Tensor x = Numbers.Random(1, 19);
            x.RequiresGrad = true;
            using Tape tape = new();
            Tensor loss = op(x, x, Reduction.Mean);
            Assert.That(loss.Item(), Is.Zero, name);
            tape.Backward(loss);
            Assert.That(x.Grad!.Value.Span.ToArray(), Is.All.Zero, name);
        }
    }

    [Test]
    public void Edges_are_those_of_PyTorch()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor none = Tensor.Zeros(0), nan = Tensor.From([float.NaN, 1f, 2f], 3), zero = Tensor.Zeros(3);
        Assert.That(Ops.MeanSquaredError(none, none).Item(), Is.NaN);
        Assert.That(Ops.L1Loss(none, none, Reduction.Sum).Item(), Is.Zero);
        Assert.That(Ops.HuberLoss(none, none, reduction: Reduction.None).Shape, Is.EqualTo(new Shape(0)));
        foreach ((string name, Func<Tensor, Tensor, Reduction, Tensor> op, Func<double, double, double> _) in s_regression.Concat(s_binary))
        {
            float[] each = op(nan, zero, Reduction.None).Span.ToArray();
            Assert.That(each[0], Is.NaN, name);
            Assert.That(each[1..], Is.All.Not.NaN, name);
            Assert.That(op(nan, zero, Reduction.Mean).Item(), Is.NaN, name);
        }
        Tensor far = Tensor.From([float.PositiveInfinity, 200f, -200f], 3), truth = Tensor.From([0f, 0f, 1f], 3);
        Assert.That(Ops.L1Loss(far, truth, Reduction.None).Span.ToArray(), Is.EqualTo(new[] { float.PositiveInfinity, 200f, 201f }));
        Assert.That(Ops.FocalLoss(far.Reshape(3).Rows(1, 2), truth.Rows(1, 2), -1f, 2f, Reduction.None).Span.ToArray(),
            Is.EqualTo(new[] { 200f, 200f }).Within(1e-3));
        Assert.That(Ops.SmoothL1Loss(far, truth, 0f, Reduction.None).Span.ToArray(),
            Is.EqualTo(new[] { float.PositiveInfinity, 200f, 201f }));
    }

    [Test]
    public void A_saturated_focal_loss_has_finite_gradients([Values(0f, 0.5f, 2f)] float gamma)
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.From([200f, -200f, 200f, -200f], 4);
        x.RequiresGrad = true;
        using Tape tape = new();
        tape.Backward(Ops.FocalLoss(x, Tensor.From([1f, 0f, 0f, 1f], 4), -1f, gamma, Reduction.Sum));
        Assert.That(x.Grad!.Value.Span.ToArray(), Is.EqualTo(new[] { 0f, 0f, 1f, -1f }).Within(1e-6));
    }

    [TestCase(0.3f, 0.7f, 1f, 1f), TestCase(0.5f, 0.5f, 0.5f, 1f), TestCase(0.3f, 0.7f, 1f, 0.75f)]
    public void Tversky_weights_both_kinds_of_error(float alpha, float beta, float smooth, float gamma)
    {
        foreach (int[] shape in s_shapes)
        {
            Tensor target = Numbers.Random(9, shape);
            foreach (ref float t in target.Span) t = t > 0.3f ? 1f : 0f;
            OperatorCheck.Run(width, i => Ops.TverskyLoss(i[0], i[1], alpha, beta, smooth, gamma), i =>
            {
                double[] p = Array.ConvertAll(i[0], Sigmoid);
                double tp = p.Zip(i[1], (a, t) => a * t).Sum(), fp = p.Zip(i[1], (a, t) => a * (1 - t)).Sum(),
                    fn = p.Zip(i[1], (a, t) => (1 - a) * t).Sum();
                return [Math.Pow(1 - (tp + smooth) / (tp + alpha * fp + beta * fn + smooth), gamma)];
            }, [Numbers.Uniform(1, -4f, 4f, shape), target], 1e-5, 1);
        }
    }

    [Test]
    public void Bad_input_is_refused()
    {
        Tensor x = Tensor.Zeros(2, 3), other = Tensor.Zeros(3, 2);
        OperatorCheck.Refuses("MeanSquaredError", () => Ops.MeanSquaredError(x, other));
        OperatorCheck.Refuses("L1Loss", () => Ops.L1Loss(x, other));
        OperatorCheck.Refuses("SmoothL1Loss", () => Ops.SmoothL1Loss(x, other));
        OperatorCheck.Refuses("HuberLoss", () => Ops.HuberLoss(x, other));
        OperatorCheck.Refuses("BinaryCrossEntropyWithLogits", () => Ops.BinaryCrossEntropyWithLogits(x, other, 2f));
        OperatorCheck.Refuses("FocalLoss", () => Ops.FocalLoss(x, other));
        OperatorCheck.Refuses("TverskyLoss", () => Ops.TverskyLoss(x, other));
        OperatorCheck.Refuses("TverskyLoss", () => Ops.TverskyLoss(Tensor.Zeros(0), Tensor.Zeros(0)));
        Assert.That(() => Ops.SmoothL1Loss(x, x, -1f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.HuberLoss(x, x, 0f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.FocalLoss(x, x, gamma: float.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.TverskyLoss(x, x, gamma: 0f), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    private static IEnumerable<TestCaseData> Cases(int losses) =>
        from which in Enumerable.Range(0, losses)
        from shape in s_shapes
        from reduction in Enum.GetValues<Reduction>()
        select new TestCaseData(which, shape, reduction);

    private static double[] Reduce(IEnumerable<double> losses, Reduction reduction) => reduction switch
    {
        Reduction.Mean => [losses.Average()],
        Reduction.Sum => [losses.Sum()],
        _ => [.. losses],
    };

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static double Focal(double x, double t, double alpha, double gamma)
    {
        double p = Sigmoid(x), pt = p * t + (1 - p) * (1 - t);
        return (alpha < 0 ? 1 : alpha * t + (1 - alpha) * (1 - t)) * Math.Pow(1 - pt, gamma) * -(t * Math.Log(p)
            + (1 - t) * Math.Log(1 - p));
    }
}
