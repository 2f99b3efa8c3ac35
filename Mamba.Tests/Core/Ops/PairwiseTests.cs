using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Functions of two operands and of a mask, under broadcasting.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class PairwiseTests(VectorWidth width)
{
    public static IEnumerable<object[]> Shapes => ElementwiseTests.Shapes;

    [TestCaseSource(nameof(Shapes))]
    public void Operands_broadcast(int[] a, int[] b)
    {
        Tensor[] inputs = [Numbers.Random(1, a), Numbers.Uniform(2, 0.5f, 2f, b)];
        OperatorCheck.Run(width, i => i[0] / i[1], i => Elements.Broadcast(i, (x, y) => x / y, a, b), inputs, 2e-5);
        OperatorCheck.Run(
            width, i => Ops.Maximum(i[0], i[1]), i => Elements.Broadcast(i, Math.Max, a, b), [Numbers.Random(1, a), Numbers.Random(2, b)],
            2e-5);
        OperatorCheck.Run(
            width, i => Ops.Minimum(i[0], i[1]), i => Elements.Broadcast(i, Math.Min, a, b), [Numbers.Random(1, a), Numbers.Random(2, b)],
            2e-5);
    }

    [TestCase(new[] { 3, 5, 17 }, new[] { 3, 5, 17 }, new[] { 3, 5, 17 })]
    [TestCase(new[] { 5, 17 }, new[] { 3, 5, 1 }, new[] { 17 })]
    [TestCase(new[] { 3, 1, 1 }, new[] { 5, 17 }, new int[0])]
    [TestCase(new[] { 2, 1, 3, 1, 2 }, new[] { 4, 1, 5, 1 }, new[] { 2, 4, 3, 5, 2 })]
    [TestCase(new[] { 8200 }, new[] { 8200 }, new[] { 1 })]
    public void Where_chooses(int[] condition, int[] a, int[] b)
    {
        Tensor mask = Ops.Greater(Numbers.Random(5, condition), 0.2f);
        double[] chosen = mask.ToDouble();
        OperatorCheck.Run(
            width, i => Ops.Where(mask, i[0], i[1]),
            i => Elements.Broadcast([chosen, i[0], i[1]], v => v[0] != 0 ? v[1] : v[2], condition, a, b),
            [Numbers.Random(1, a), Numbers.Random(2, b)]);
    }

    [Test]
    public void Where_keeps_what_was_not_chosen_out_of_the_gradient()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.From([-1f, 4f], 2);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.Where(Tensor.From([0f, float.NaN], 2), Ops.Sqrt(x), Tensor.Zeros(2)); // NaN is not 0, so it is true
        Assert.That(y.Span.ToArray(), Is.EqualTo(new[] { 0f, 2f }));
        tape.Backward(y, Tensor.From([float.PositiveInfinity, 1f], 2));
        Assert.That(x.Grad!.Value.Span[1], Is.EqualTo(0.25f));
    }

    [Test]
    public void Masked_fill_replaces() => OperatorCheck.Run(
        width, i => Ops.MaskedFill(i[0], Tensor.From([1f, 0f, 1f, 0f, 0f], 5), -2.5f),
        i => [.. i[0].Select((v, e) => e % 5 is 0 or 2 ? -2.5 : v)],
        [Numbers.Random(1, 3, 7, 5)]);

    [Test]
    public void Comparisons_give_masks()
    {
        using IDisposable _ = Isa.Use(width);
        float[] left = [.. Enumerable.Repeat(new[] { 1f, 2f, 2f, float.NaN, 0f, -0f, float.NegativeInfinity }, 5).SelectMany(v => v)];
        float[] right =
        [
            .. Enumerable.Repeat(new[] { 2f, 1f, 2f, float.NaN, -0f, float.NaN, float.NegativeInfinity }, 5).SelectMany(v => v),
        ];
        Tensor a = Tensor.From(left, 35), b = Tensor.From(right, 35);
        Holds(Ops.Greater(a, b), (x, y) => x > y);
        Holds(Ops.GreaterOrEqual(a, b), (x, y) => x >= y);
        Holds(Ops.Less(a, b), (x, y) => x < y);
        Holds(Ops.LessOrEqual(a, b), (x, y) => x <= y);
        Holds(Ops.Equal(a, b), (x, y) => x == y);
        Holds(Ops.NotEqual(a, b), (x, y) => x != y);
        right = [.. Enumerable.Repeat(1.5f, 35)];
        Holds(Ops.Greater(a, 1.5f), (x, y) => x > y);
        Holds(Ops.GreaterOrEqual(a, 1.5f), (x, y) => x >= y);
        Holds(Ops.Less(a, 1.5f), (x, y) => x < y);
        Holds(Ops.LessOrEqual(a, 1.5f), (x, y) => x <= y);
        Holds(Ops.Equal(a, 1.5f), (x, y) => x == y);
        Holds(Ops.NotEqual(a, 1.5f), (x, y) => x != y);
        a.RequiresGrad = true;
        using Tape tape = new();
        Assert.That(Ops.Greater(a, b).NeedsGrad, Is.False);

        void Holds(Tensor mask, Func<float, float, bool> comparison) =>
            Assert.That(mask.Span.ToArray(), Is.EqualTo(left.Zip(right, (x, y) => comparison(x, y) ? 1f : 0f)));
    }

    [Test]
    public void Equals_share_the_gradient_and_NaN_passes_on()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor a = Tensor.From([1f, 2f, 3f, float.NaN, 1f], 5), b = Tensor.From([1f, 3f, 2f, 1f, float.NaN], 5);
        a.RequiresGrad = b.RequiresGrad = true;
        foreach (Func<Tensor, Tensor, Tensor> op in new Func<Tensor, Tensor, Tensor>[] { Ops.Maximum, Ops.Minimum })
        {
            using Tape tape = new();
            a.ZeroGrad();
            b.ZeroGrad();
            Tensor y = op(a, b);
            Assert.That(y.Span[3..].ToArray(), Is.All.NaN);
            tape.Backward(y, Tensor.Full(2f, 5));
            bool larger = op == Ops.Maximum;
            Assert.That(a.Grad!.Value.Span[..3].ToArray(), Is.EqualTo(larger ? new[] { 1f, 0f, 2f } : [1f, 2f, 0f]));
            Assert.That(b.Grad!.Value.Span[..3].ToArray(), Is.EqualTo(larger ? new[] { 1f, 2f, 0f } : [1f, 0f, 2f]));
        }
    }

    [TestCase(7), TestCase(1)]
    public void PRelu_has_a_slope_a_channel_or_one(int slopes) => OperatorCheck.Run(
        width, i => Ops.PRelu(i[0], i[1]), i => [.. i[0].Select((v, e) => v > 0 ? v : v * i[1][e % slopes])],
        [Numbers.Random(1, 12, 100, 7), Numbers.Random(2, slopes)],
        2e-5);

    [TestCase(0), TestCase(1), TestCase(-1)]
    public void Gates_halve_a_dimension(int axis)
    {
        int[] shape = [4, 6, 34], half = [.. shape];
        int dimension = axis < 0 ? 2 : axis, extent = half[dimension] /= 2;
        double[] Gate(double[] x, Func<double, double> gate)
        {
            double[] y = new double[x.Length / 2];
            for (int e = 0; e < y.Length; e++)
            {
                int[] at = Elements.Of(e, half);
                double a = x[Elements.At(at, shape)];
                at[dimension] += extent;
                y[e] = a * gate(x[Elements.At(at, shape)]);
            }
            return y;
        }
        OperatorCheck.Run(width, i => Ops.Glu(i[0], axis), i => Gate(i[0], b => 1 / (1 + Math.Exp(-b))), [Numbers.Random(1, shape)]);
        OperatorCheck.Run(width, i => Ops.SwiGlu(i[0], axis), i => Gate(i[0], b => b / (1 + Math.Exp(-b))), [Numbers.Random(1, shape)]);
    }

    [Test]
    public void Tensors_have_operators()
    {
        Tensor[] x = [Numbers.Uniform(1, 0.5f, 2f, 4, 17), Numbers.Uniform(2, 0.5f, 2f, 17)];
        OperatorCheck.Run(
            width, i => (i[0] + i[1]) * i[0] - 2f / i[1] + (1f - i[0]) / 4f + 0.5f * -i[1] - (i[0] * 3f + 1f + (2f + i[0])) - (i[1] - 1f),
            i =>
                Elements.Broadcast(i, (a, b) => (a + b) * a - 2 / b + (1 - a) / 4 - 0.5 * b - (3 * a + 1 + 2 + a) - (b - 1), [4, 17], [17]),
            x);
    }

    [Test]
    public void An_operand_may_come_twice()
    {
        Tensor[] x = [Numbers.Uniform(1, 0.5f, 2f, 9, 1000)];
        OperatorCheck.Run(width, i => i[0] / i[0], i => Array.ConvertAll(i[0], _ => 1.0), x);
        OperatorCheck.Run(width, i => Ops.Maximum(i[0], i[0]), i => i[0], x);
        OperatorCheck.Run(width, i => Ops.Minimum(i[0], i[0]), i => i[0], x);
        OperatorCheck.Run(width, i => Ops.Where(i[0], i[0], i[0]), i => i[0], x);
        OperatorCheck.Run(width, i => Ops.PRelu(i[0], i[0]), i => i[0], [Numbers.Uniform(1, 0.5f, 2f, 9)]);
    }

    [Test]
    public void Empty_operands_give_empty_results()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor none = Tensor.Zeros(3, 0), b = Numbers.Random(1, 3, 1);
        b.RequiresGrad = true;
        foreach (Func<Tensor> op in new Func<Tensor>[]
        {
            () => none / b, () => Ops.Maximum(b, none), () => Ops.Where(none, b, b), () => Ops.Where(b, none, b),
            () => Ops.MaskedFill(none + b, none, 1f), () => Ops.Glu(none * b),
        })
        {
            b.ZeroGrad();
            using Tape tape = new();
            Tensor y = op();
            Assert.That(y.Shape, Is.EqualTo(new Shape(3, 0)));
            tape.Backward(y, Tensor.Zeros(3, 0));
            Assert.That(b.Grad!.Value.Span.ToArray(), Is.All.Zero);
        }
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(2, 3), other = Tensor.Zeros(2);
        OperatorCheck.Refuses("Divide", () => x / other);
        OperatorCheck.Refuses("Maximum", () => Ops.Maximum(x, other));
        OperatorCheck.Refuses("Minimum", () => Ops.Minimum(other, x));
        OperatorCheck.Refuses("Less", () => Ops.Less(other, x));
        OperatorCheck.Refuses("Where", () => Ops.Where(other, x, x));
        OperatorCheck.Refuses("Where", () => Ops.Where(x, other, x));
        OperatorCheck.Refuses("MaskedFill", () => Ops.MaskedFill(other, Tensor.Zeros(3, 2), 0f));
        OperatorCheck.Refuses("PRelu", () => Ops.PRelu(x, other));
        OperatorCheck.Refuses("PRelu", () => Ops.PRelu(x, Tensor.Zeros(1, 3)));
        OperatorCheck.Refuses("Glu", () => Ops.Glu(x));
        OperatorCheck.Refuses("SwiGlu", () => Ops.SwiGlu(x, 2));
    }
}
