using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class LossTests(VectorWidth width)
{
    public static IEnumerable<int[]> Shapes => [[1, 1, 1, 1], [3, 5, 7, 1], [3, 17], [2, 70, 63, 1]];

    [TestCaseSource(nameof(Shapes))]
    public void Binary_cross_entropies_are_the_mean_over_pixels(int[] shape)
    {
        Tensor logits = Numbers.Uniform(1, -4f, 4f, shape), probabilities = Numbers.Uniform(2, 0.05f, 0.95f, shape), target = Mask(shape);
        OperatorCheck.Run(
            width, i => Ops.BinaryCrossEntropyWithLogits(i[0], i[1]), i => [CrossEntropy(Array.ConvertAll(i[0], Sigmoid), i[1])],
            [logits, target], 1e-5, 1);
        OperatorCheck.Run(
            width, i => Ops.BinaryCrossEntropy(i[0], i[1]), i => [CrossEntropy(i[0], i[1])], [probabilities, target], 1e-5, 1);
    }

    [TestCaseSource(nameof(Shapes))]
    public void Dice_losses_are_ratios_of_sums(int[] shape)
    {
        Tensor logits = Numbers.Uniform(1, -4f, 4f, shape), probabilities = Numbers.Uniform(2, 0.05f, 0.95f, shape), target = Mask(shape);
        OperatorCheck.Run(
            width, i => Ops.DiceWithLogits(i[0], i[1]), i => [Dice(Array.ConvertAll(i[0], Sigmoid), i[1], 1, 100)], [logits, target], 1e-5,
            1);
        OperatorCheck.Run(
            width, i => Ops.BceDice(i[0], i[1], 2f, 0.5f, 3f), i => [0.5 * CrossEntropy(i[0], i[1]) + 3 * Dice(i[0], i[1], shape[0], 2)],
            [probabilities, target],
            1e-5, 1);
    }

    [Test]
    public void Certain_and_wrong_costs_one_hundred()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor prediction = Tensor.From([0f, 1f, 0f, 1f], 4), target = Tensor.From([1f, 0f, 0f, 1f], 4);
        Assert.That(Ops.BinaryCrossEntropy(prediction, target).Item(), Is.EqualTo(50f));
        Assert.That(Ops.BinaryCrossEntropyWithLogits(Tensor.From([500f, -500f], 2), Tensor.From([0f, 0f], 2)).Item(), Is.EqualTo(250f));
    }

    [TestCase(-0.001f), TestCase(1.001f), TestCase(float.PositiveInfinity), TestCase(float.NegativeInfinity)]
    public void A_probability_outside_0_to_1_is_refused_with_its_value(float bad)
    {
        using IDisposable _ = Isa.Use(width);
        foreach (int count in new[] { 1, 3, 100, 5000 })
        {
            Tensor prediction = Tensor.Full(0.5f, 1, count), ones = Tensor.Full(1f, 1, count), zeros = Tensor.Zeros(1, count);
            prediction.Span[count / 2] = bad;
            foreach (Tensor target in new[] { ones, zeros, prediction })
            {
                Refuses("BinaryCrossEntropy", () => Ops.BinaryCrossEntropy(prediction, target), bad);
                Refuses("BceDice", () => Ops.BceDice(prediction, target), bad);
            }
        }

        static void Refuses(string name, Func<Tensor> call, float bad)
        {
            OperatorCheck.RefusesArgument(name, call);
            Assert.That(call, Throws.InstanceOf<ArgumentOutOfRangeException>()
                .With.Property(nameof(ArgumentOutOfRangeException.ActualValue)).EqualTo(bad));
        }
    }

    [Test]
    public void A_probability_that_is_NaN_makes_the_loss_NaN()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor prediction = Tensor.From([0.5f, float.NaN], 1, 2), target = Tensor.From([1f, 0f], 1, 2);
        Assert.That(Ops.BinaryCrossEntropy(prediction, target).Item(), Is.NaN);
        Assert.That(Ops.BceDice(prediction, target).Item(), Is.NaN);
    }

    [TestCase(float.NegativeInfinity), TestCase(-300f)]
    public void A_class_that_is_ruled_out_has_a_gradient_of_0(float logit)
    {
        using IDisposable _ = Isa.Use(width);
        const int Classes = 21;
        foreach (int ruledOut in new[] { 0, 7, Classes - 1 })
        {
            float[] row = [.. Enumerable.Range(0, Classes).Select(c => c == ruledOut ? logit : 0.1f * c)];
            Func<Tensor, Tensor>[] losses =
            [
                x => Ops.CrossEntropy(x, [3]), x => Ops.FocalLoss(x, [3]), x => Ops.NllLoss(Ops.LogSoftmax(x), [3]),
                x => Ops.Distillation(x, Tensor.Zeros(1, Classes)),
            ];
            foreach (Func<Tensor, Tensor> loss in losses)
            {
                Tensor x = Tensor.From(row, 1, Classes);
                x.RequiresGrad = true;
                using Tape tape = new();
                tape.Backward(loss(x));
                float[] gradient = x.Grad!.Value.Span.ToArray();
                if (loss == losses[^1]) gradient[ruledOut] += 1f / Classes; // what the teacher asks for
                Assert.That(gradient[ruledOut], Is.Zero.Within(loss == losses[^1] ? 1e-8f : 0f), $"loss {Array.IndexOf(losses, loss)}");
                Assert.That(gradient.Where((_, c) => c != ruledOut), Has.None.Zero);
            }
        }
    }

    [TestCase(1, 1), TestCase(3, 3), TestCase(5, 17), TestCase(3, 33)]
    public void CrossEntropy_is_the_mean_surprise(int batch, int classes)
    {
        int[] target = [.. Enumerable.Range(0, batch).Select(b => b * 7 % classes)];
        foreach (float smoothing in new[] { 0f, 0.1f })
            OperatorCheck.Run(width, i => Ops.CrossEntropy(i[0], target, smoothing), i =>
            {
                double[] p = Naive.Softmax(i[0], classes);
                return
                [
                    -p.Select((v, e) => Math.Log(v) * (smoothing / classes + (e % classes == target[e / classes] ? 1 - smoothing : 0)))
                        .Sum() / batch,
                ];
            }, [Numbers.Uniform(1, -4f, 4f, batch, classes)]);
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(2, 3), other = Tensor.Zeros(3, 2);
        OperatorCheck.Refuses("BinaryCrossEntropy", () => Ops.BinaryCrossEntropy(x, other));
        OperatorCheck.Refuses("BinaryCrossEntropyWithLogits", () => Ops.BinaryCrossEntropyWithLogits(x, other));
        OperatorCheck.Refuses("DiceWithLogits", () => Ops.DiceWithLogits(x, other));
        OperatorCheck.Refuses("BceDice", () => Ops.BceDice(Tensor.Zeros(0, 3), Tensor.Zeros(0, 3)));
        OperatorCheck.Refuses("CrossEntropy", () => Ops.CrossEntropy(x, [0]));
        OperatorCheck.RefusesArgument("CrossEntropy", () => Ops.CrossEntropy(x, [0, 3]));
        OperatorCheck.RefusesArgument("CrossEntropy", () => Ops.CrossEntropy(x, [0, -1]));
        OperatorCheck.RefusesArgument("CrossEntropy", () => Ops.CrossEntropy(x, [0, 1], 1.5f));
        OperatorCheck.RefusesArgument("CrossEntropy", () => Ops.CrossEntropy(x, [0, 1], float.NaN));
        OperatorCheck.Refuses("CrossEntropy", () => Ops.CrossEntropy(Tensor.Zeros(3), [0]));
    }

    private static Tensor Mask(int[] shape)
    {
        Tensor mask = Numbers.Random(9, shape);
        foreach (ref float value in mask.Span) value = value > 0.3f ? 1f : 0f;
        return mask;
    }

    private static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));

    private static double CrossEntropy(double[] p, double[] t) =>
        -p.Select((v, i) => t[i] * Math.Log(v) + (1 - t[i]) * Math.Log(1 - v)).Average();

    private static double Dice(double[] p, double[] t, int images, double smooth) => Enumerable.Range(0, images).Average(i =>
    {
        Range image = (i * p.Length / images)..((i + 1) * p.Length / images);
        double[] prediction = p[image], truth = t[image];
        return 1 - (2 * prediction.Zip(truth, (a, b) => a * b).Sum() + smooth) / (prediction.Sum() + truth.Sum() + smooth);
    });
}
