using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Products whose leading dimensions broadcast, and of vectors, as torch.matmul has them.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class BatchedMatMulTests(VectorWidth width)
{
    // a, b: repeated on either side, on both, in the middle; one matrix for all; more rows than a block; an inner dimension that goes
    // product by product.
    private static readonly int[][][] s_shapes =
    [
        [[2, 1, 5, 7], [3, 7, 4]], [[3, 5, 7], [2, 1, 7, 4]], [[2, 1, 3, 3, 5], [1, 4, 1, 5, 2]], [[2, 3, 4, 6], [6, 5]],
            [[4, 6], [2, 3, 6, 5]],
        [[3, 130, 9], [3, 9, 17]], [[2, 3, 1030], [2, 1030, 4]], [[1, 3, 4], [2, 4, 5]], [[2, 1, 1], [2, 1, 1]],
    ];

    public static IEnumerable<TestCaseData> Cases =>
        from s in s_shapes from ta in new[] { false, true } from tb in new[] { false, true } select new TestCaseData(s[0], s[1], ta, tb);

    [TestCaseSource(nameof(Cases))]
    public void Leading_dimensions_broadcast(int[] shapeA, int[] shapeB, bool transposeA, bool transposeB)
    {
        Tensor a = Numbers.Random(1, Stored(shapeA, transposeA)), b = Numbers.Random(2, Stored(shapeB, transposeB));
        OperatorCheck.Run(
            width, i => Ops.MatMul(i[0], i[1], transposeA, transposeB), i => Naive(i[0], i[1], shapeA, shapeB, transposeA, transposeB),
                [a, b]);

        static int[] Stored(int[] shape, bool transposed) => transposed ? [.. shape[..^2], shape[^1], shape[^2]] : shape;
    }

    [TestCase(new[] { 7 }, new[] { 7 }, new int[0]), TestCase(new[] { 3, 4, 6 }, new[] { 6 }, new[] { 3, 4 }),
        TestCase(new[] { 6 }, new[] { 2, 6, 3 }, new[] { 2, 3 })]
    [TestCase(new[] { 33 }, new[] { 33, 17 }, new[] { 17 }), TestCase(new[] { 1200 }, new[] { 1200 }, new int[0])]
    public void Vectors_lose_their_dimension(int[] shapeA, int[] shapeB, int[] result)
    {
        using IDisposable _ = Isa.Use(width);
        Tensor a = Numbers.Random(1, shapeA), b = Numbers.Random(2, shapeB);
        Assert.That(Ops.MatMul(a, b).Shape, Is.EqualTo(new Shape(result)));
        int[] matrixA = shapeA.Length == 1 ? [1, shapeA[0]] : shapeA, matrixB = shapeB.Length == 1 ? [shapeB[0], 1] : shapeB;
        OperatorCheck.Run(width, i => Ops.MatMul(i[0], i[1], transposeA: shapeA.Length == 1), i =>
            Naive(i[0], i[1], matrixA, matrixB, false, false), [a, b]);
    }

    [Test]
    public void A_batch_with_itself() => OperatorCheck.Run(
        width, i => Ops.MatMul(i[0], i[0], transposeB: true), i => Naive(i[0], i[0], [3, 4, 5], [3, 5, 4], false, true),
            [Numbers.Random(1, 3, 4, 5)]);

    [Test]
    public void A_vector_with_itself() =>
        OperatorCheck.Run(width, i => Ops.MatMul(i[0], i[0]), i => [i[0].Sum(x => x * x)], [Numbers.Random(1, 19)]);

    [TestCase(new[] { 0, 3 }, new[] { 3, 4 }), TestCase(new[] { 3, 0 }, new[] { 0, 4 }), TestCase(new[] { 2, 3, 4 }, new[] { 0, 1, 4, 5 })]
    [TestCase(new[] { 0 }, new[] { 0 }), TestCase(new[] { 2, 3, 0 }, new[] { 2, 0, 4 }), TestCase(new[] { 0, 3, 4 }, new[] { 1, 4, 5 })]
    public void Empty_operands_give_zeros(int[] shapeA, int[] shapeB)
    {
        using IDisposable _ = Isa.Use(width);
        Tensor a = Numbers.Random(1, shapeA), b = Numbers.Random(2, shapeB);
        (a.RequiresGrad, b.RequiresGrad) = (true, true);
        using Tape tape = new();
        Tensor y = Ops.MatMul(a, b);
        Assert.That(y.Span.ToArray(), Is.All.Zero);
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        Assert.That(a.Grad!.Value.Span.ToArray(), Is.All.Zero);
        Assert.That(b.Grad!.Value.Span.ToArray(), Is.All.Zero);
    }

    private static double[] Naive(double[] a, double[] b, int[] shapeA, int[] shapeB, bool transposeA, bool transposeB)
    {
        int m = shapeA[^2], k = shapeA[^1], n = shapeB[^1], rank = Math.Max(shapeA.Length, shapeB.Length) - 2;
        int[] leading = [.. Enumerable.Range(0, rank).Select(i => Math.Max(Extent(shapeA, i), Extent(shapeB, i)))];
        List<double> c = [];
        for (int item = 0; item < leading.Aggregate(1, (x, y) => x * y); item++)
        {
            int atA = Offset(shapeA, item) * m * k, atB = Offset(shapeB, item) * k * n;
            c.AddRange(Support.Naive.MatMul(a[atA..(atA + m * k)], b[atB..(atB + k * n)], 1, m, k, n, transposeA, transposeB));
        }
        return [.. c];

        int Extent(int[] shape, int i) => i + shape.Length - 2 - rank is var own && own < 0 ? 1 : shape[own];

        int Offset(int[] shape, int item)
        {
            int offset = 0, stride = 1;
            for (int i = rank - 1; i >= 0; i--)
            {
                int index = item % leading[i], extent = Extent(shape, i);
                item /= leading[i];
                offset += (extent == 1 ? 0 : index) * stride;
                stride *= extent;
            }
            return offset;
        }
    }
}
