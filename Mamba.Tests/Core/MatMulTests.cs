using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class MatMulTests(VectorWidth width)
{
    [TestCase(1, 1, 1), TestCase(3, 17, 33), TestCase(13, 33, 1), TestCase(25, 3, 65), TestCase(100, 5, 9), TestCase(800, 3, 2)]
    [TestCase(2, 2100, 3), TestCase(2100, 3, 5)] // long inner dimensions, forward and in the weight gradient, are split
    public void Linear_is_the_sum_of_products(int rows, int inputs, int outputs)
    {
        Tensor x = Numbers.Random(1, rows, inputs), weight = Numbers.Random(2, outputs, inputs), bias = Numbers.Random(3, outputs);
        OperatorCheck.Run(width, i => Ops.Linear(i[0], i[1], i[2]), i => Naive.Linear(i[0], i[1], i[2], inputs, outputs), [x, weight, bias]);
        OperatorCheck.Run(width, i => Ops.Linear(i[0], i[1]), i => Naive.Linear(i[0], i[1], null, inputs, outputs), [x, weight]);
    }

    [Test]
    public void Linear_keeps_leading_dimensions()
    {
        Tensor weight = Numbers.Random(2, 5, 3);
        Assert.That(Ops.Linear(Numbers.Random(1, 2, 4, 6, 3), weight).Shape, Is.EqualTo(new Shape(2, 4, 6, 5)));
        Assert.That(Ops.Linear(Numbers.Random(1, 3), weight).Shape, Is.EqualTo(new Shape(5)));
        Assert.That(Ops.Linear(Tensor.Zeros(0, 3), weight).Shape, Is.EqualTo(new Shape(0, 5)));
    }

    [Test]
    public void MatMul_takes_transposes([Values] bool transposeA, [Values] bool transposeB, [Values(1, 3)] int batch)
    {
        const int M = 7, K = 13, N = 17;
        Tensor a = transposeA ? Numbers.Random(1, batch, K, M) : Numbers.Random(1, batch, M, K);
        Tensor b = transposeB ? Numbers.Random(2, batch, N, K) : Numbers.Random(2, batch, K, N);
        OperatorCheck.Run(
            width, i => Ops.MatMul(i[0], i[1], transposeA, transposeB), i => Naive.MatMul(i[0], i[1], batch, M, K, N, transposeA, transposeB), [a, b]);
    }

    [Test]
    public void MatMul_of_a_matrix_with_itself() =>
        OperatorCheck.Run(width, i => Ops.MatMul(i[0], i[0]), i => Naive.MatMul(i[0], i[0], 1, 5, 5, 5, false, false), [Numbers.Random(1, 5, 5)]);

    [Test]
    public void Bad_shapes_are_refused()
    {
        OperatorCheck.Refuses("Linear", () => Ops.Linear(Tensor.Zeros(2, 3), Tensor.Zeros(4, 2)));
        OperatorCheck.Refuses("Linear", () => Ops.Linear(Tensor.Zeros(2, 3), Tensor.Zeros(4, 3), Tensor.Zeros(3)));
        OperatorCheck.Refuses("Linear", () => Ops.Linear(Tensor.Zeros(), Tensor.Zeros(4, 3)));
        OperatorCheck.Refuses("MatMul", () => Ops.MatMul(Tensor.Zeros(2, 3), Tensor.Zeros(2, 3)));
        OperatorCheck.Refuses("MatMul", () => Ops.MatMul(Tensor.Zeros(2, 2, 3), Tensor.Zeros(3, 3, 2)));
        OperatorCheck.Refuses("MatMul", () => Ops.MatMul(Tensor.Zeros(3), Tensor.Zeros(3)));
    }
}
