using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ElementwiseTests(VectorWidth width)
{
    public static IEnumerable<object[]> Shapes =>
    [
        [new[] { 3, 5, 17 }, new[] { 3, 5, 17 }],
        [new[] { 3, 5, 17 }, new[] { 17 }],
        [new[] { 33 }, new[] { 4, 33 }],
        [new[] { 3, 4, 5, 17 }, new[] { 3, 1, 1, 17 }],
        [new[] { 3, 4, 5, 3 }, new[] { 3, 4, 5, 1 }],
        [new[] { 3, 1, 5 }, new[] { 1, 4, 5 }],
        [new[] { 2, 1, 3, 1 }, new[] { 4, 1, 5 }],
        [new[] { 7, 3 }, new int[0]],
        [new[] { 1 }, new[] { 1, 1 }],
        [new[] { 20, 900 }, new[] { 900 }],
        [new[] { 20, 900 }, new[] { 20, 1 }],
        [new[] { 9000 }, new[] { 1 }],
        [new[] { 64, 6 }, new[] { 6 }], // many short rows
        [new[] { 5, 13, 8 }, new[] { 8 }],
        [new[] { 130, 16 }, new[] { 16 }],
        [new[] { 70, 8 }, new[] { 70, 1 }], // and one number for each
        [new[] { 66, 4 }, new[] { 66, 1 }],
        [new[] { 9, 16 }, new[] { 9, 1 }],
    ];

    [TestCaseSource(nameof(Shapes))]
    public void Operands_broadcast(int[] a, int[] b)
    {
        Tensor[] inputs = [Numbers.Random(1, a), Numbers.Random(2, b)];
        OperatorCheck.Run(width, i => Ops.Add(i[0], i[1]), i => Naively(i, (x, y) => x + y), inputs);
        OperatorCheck.Run(width, i => Ops.Subtract(i[0], i[1]), i => Naively(i, (x, y) => x - y), inputs);
        OperatorCheck.Run(width, i => Ops.Multiply(i[0], i[1]), i => Naively(i, (x, y) => x * y), inputs);

        double[] Naively(double[][] i, Func<double, double, double> f)
        {
            int rank = Math.Max(a.Length, b.Length);
            int[] left = [.. Enumerable.Repeat(1, rank - a.Length), .. a], right = [.. Enumerable.Repeat(1, rank - b.Length), .. b];
            int[] result = [.. left.Zip(right, Math.Max)];
            double[] y = new double[result.Aggregate(1, (n, e) => n * e)];
            for (int e = 0; e < y.Length; e++)
            {
                int rest = e, p = 0, q = 0, strideP = 1, strideQ = 1;
                for (int d = rank - 1; d >= 0; d--)
                {
                    int index = rest % result[d];
                    rest /= result[d];
                    p += index % left[d] * strideP;
                    q += index % right[d] * strideQ;
                    strideP *= left[d];
                    strideQ *= right[d];
                }
                y[e] = f(i[0][p], i[1][q]);
            }
            return y;
        }
    }

    [Test]
    public void An_operand_may_come_twice()
    {
        Tensor[] x = [Numbers.Random(1, 3, 17)];
        OperatorCheck.Run(width, i => Ops.Add(i[0], i[0]), i => Array.ConvertAll(i[0], v => 2 * v), x);
        OperatorCheck.Run(width, i => Ops.Subtract(i[0], i[0]), i => new double[i[0].Length], x);
        OperatorCheck.Run(width, i => Ops.Multiply(i[0], i[0]), i => Array.ConvertAll(i[0], v => v * v), x);
        // The same on tensors inside the graph, which may take the incoming gradient without a copy.
        OperatorCheck.Run(width, i => Twice(Ops.Scale(i[0], 3f), Ops.Add), i => Array.ConvertAll(i[0], v => 6 * v), x);
        OperatorCheck.Run(width, i => Twice(Ops.Scale(i[0], 3f), Ops.Subtract), i => new double[i[0].Length], x);

        static Tensor Twice(Tensor y, Func<Tensor, Tensor, Tensor> op) => op(y, y);
    }

    [Test]
    public void The_operands_of_a_sum_have_gradients_of_their_own()
    {
        // a is used again: what its other use adds must not reach the gradient of b, which the sum made from the same numbers.
        OperatorCheck.Run(width, i =>
        {
            Tensor a = Ops.Scale(i[0], 2f), b = Ops.Scale(i[1], 3f);
            Tensor again = Ops.Scale(a, 5f);
            return Ops.Concat([again, Ops.Add(a, b)]);
        },
        i => [.. Array.ConvertAll(i[0], v => 10 * v), .. i[0].Zip(i[1], (v, w) => 2 * v + 3 * w)],
        [Numbers.Random(1, 19), Numbers.Random(2, 19)]);
    }

    [TestCase(1), TestCase(17), TestCase(9001)]
    public void Scale_multiplies_by_a_constant(int count) =>
        OperatorCheck.Run(width, i => Ops.Scale(i[0], -2.5f), i => Array.ConvertAll(i[0], v => -2.5 * v), [Numbers.Random(1, count)]);

    [Test]
    public void Empty_operands_give_empty_results()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor a = Tensor.Zeros(3, 0), b = Numbers.Random(1, 3, 1);
        b.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.Multiply(a, b);
        Assert.That(y.Shape, Is.EqualTo(new Shape(3, 0)));
        tape.Backward(y, Tensor.Zeros(3, 0));
        Assert.That(b.Grad!.Value.Span.ToArray(), Is.All.Zero);
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor a = Tensor.Zeros(2, 3), b = Tensor.Zeros(2);
        OperatorCheck.Refuses("Add", () => Ops.Add(a, b));
        OperatorCheck.Refuses("Subtract", () => Ops.Subtract(a, b));
        OperatorCheck.Refuses("Multiply", () => Ops.Multiply(b, a));
    }
}
