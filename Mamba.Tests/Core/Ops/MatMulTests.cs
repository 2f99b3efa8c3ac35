using Mamba.Core;
using Mamba.Core.Kernels.Products;
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
        OperatorCheck.Run(
            width, i => Ops.Linear(i[0], i[1], i[2]), i => Naive.Linear(i[0], i[1], i[2], inputs, outputs), [x, weight, bias]);
        OperatorCheck.Run(width, i => Ops.Linear(i[0], i[1]), i => Naive.Linear(i[0], i[1], null, inputs, outputs), [x, weight]);
    }

    // The sum is written whole, in the lanes of a part of a vector, over several blocks, from several parts, and from dot products.
    [TestCase(3, 17, 32), TestCase(25, 6, 41), TestCase(14, 800, 33), TestCase(2, 2100, 3), TestCase(13, 33, 1)]
    public void Linear_adds_a_residual(int rows, int inputs, int outputs) => OperatorCheck.Run(
        width, i => Ops.Linear(i[0], i[1], i[2], i[3]),
        i => [.. Naive.Linear(i[0], i[1], i[2], inputs, outputs).Zip(i[3], (y, r) => y + r)],
        [
            Numbers.Random(1, rows, inputs), Numbers.Random(2, outputs, inputs), Numbers.Random(3, outputs),
            Numbers.Random(4, rows, outputs),
        ]);

    [Test]
    public void Linear_adds_to_its_own_input() => OperatorCheck.Run(
        width, i => Ops.Linear(i[0], i[1], residual: i[0]), i => [.. Naive.Linear(i[0], i[1], null, 7, 7).Zip(i[0], (y, r) => y + r)],
        [Numbers.Random(1, 5, 7), Numbers.Random(2, 7, 7)]);

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
            width, i => Ops.MatMul(i[0], i[1], transposeA, transposeB),
            i => Naive.MatMul(i[0], i[1], batch, M, K, N, transposeA, transposeB), [a, b]);
    }

    [Test]
    public void MatMul_of_a_matrix_with_itself() =>
        OperatorCheck.Run(
            width, i => Ops.MatMul(i[0], i[0]), i => Naive.MatMul(i[0], i[0], 1, 5, 5, 5, false, false), [Numbers.Random(1, 5, 5)]);

    // No inner dimension. Rows in conflict with each other. Sums in one block, in several, and in several parts. A few last columns. More
    // columns than a cache holds.
    [TestCase(5, 7, 0), TestCase(30, 43, 512), TestCase(110, 40, 96), TestCase(25, 168, 336), TestCase(270, 250, 1100)]
    [TestCase(20, 11, 2200), TestCase(13, 1200, 600), TestCase(26, 40, 30), TestCase(65, 168, 168)]
    public unsafe void Products_agree_with_double_precision(int m, int n, int k)
    {
        using IDisposable _ = Isa.Use(width);
        float[] bias = Numbers.Uniform(n, 4), before = Numbers.Uniform(m * n, 5);
        foreach (bool transposed in new[] { false, true })
        {
            using Tensor a = Numbers.Random(1, m, k), b = Numbers.Random(2, k, n), c = Tensor.From(before, m, n), d = Tensor.From(bias, n);
            float* p = a.Pointer, q = b.Pointer;
            Matrix left = transposed ? new Matrix(p, m).Transposed : new Matrix(p, k);
            Gemm.Run(m, n, k, left, new Matrix(q, n), c.Pointer, n, new Epilogue(d.Pointer, add: true, relu: true));
            double worst = 0;
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                {
                    double sum = bias[j] + before[i * n + j];
                    for (int l = 0; l < k; l++) sum += (double)left.Pointer[i * left.RowStride + l * left.ColumnStride] * q[l * n + j];
                    worst = Math.Max(worst, Math.Abs(c.Span[i * n + j] - Math.Max(0, sum)));
                }
            Assert.That(worst, Is.LessThan(1e-5 * (1 + Math.Sqrt(k) / 10)), transposed ? "transposed" : "as it is");
        }
    }

    // Whole panels and a last one of a vector; sums in one block, and in several.
    [Test]
    public unsafe void Rows_have_the_same_bits_in_tiles_of_all_heights([Values(7, 400)] int k, [Values] bool transposed)
    {
        const int N = 43;
        using IDisposable _ = Isa.Use(width);
        using Tensor b = Numbers.Random(2, k, N), bias = Numbers.Random(3, N);
        Epilogue epilogue = new(bias.Pointer, add: true, relu: true);
        foreach (int m in (int[])[.. Enumerable.Range(2, 39), 49, 65])
        {
            using Tensor a = Numbers.Random(1, m, k), c = Numbers.Random(4, m, N), rows = Tensor.From(c.Span, m, N);
            Matrix left = transposed ? new Matrix(a.Pointer, m).Transposed : new Matrix(a.Pointer, k), right = new(b.Pointer, N);
            Gemm.Run(m, N, k, left, right, c.Pointer, N, epilogue);
            for (int i = 0; i < m; i++) Gemm.Run(1, N, k, left.Offset(i * left.RowStride), right, rows.Pointer + i * N, N, epilogue);
            Assert.That(c.Span.SequenceEqual(rows.Span), $"{m} rows");
        }
    }

    // Few rows, many rows, and many rows of a large product: copied at once, by each work item, and at once.
    [TestCase(40, 40, 512), TestCase(1600, 40, 512), TestCase(1600, 2080, 1024)]
    public unsafe void Rows_in_conflict_with_each_other_change_no_bit(int m, int n, int k)
    {
        using IDisposable _ = Isa.Use(width);
        using Tensor a = Numbers.Random(1, m, k),
            apart = Tensor.Zeros(m, k + 16), b = Numbers.Random(2, k, n),
            expected = Tensor.Empty(m, n), c = Tensor.Empty(m, n);
        for (int i = 0; i < m; i++) a.Span.Slice(i * k, k).CopyTo(apart.Span[(i * (k + 16))..]);
        Gemm.Run(m, n, k, new Matrix(apart.Pointer, k + 16), new Matrix(b.Pointer, n), expected.Pointer, n);
        Gemm.Run(m, n, k, new Matrix(a.Pointer, k), new Matrix(b.Pointer, n), c.Pointer, n);
        Assert.That(c.Span.SequenceEqual(expected.Span));
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        OperatorCheck.Refuses("Linear", () => Ops.Linear(Tensor.Zeros(2, 3), Tensor.Zeros(4, 3), residual: Tensor.Zeros(2, 3)));
        OperatorCheck.Refuses("Linear", () => Ops.Linear(Tensor.Zeros(2, 3), Tensor.Zeros(4, 2)));
        OperatorCheck.Refuses("Linear", () => Ops.Linear(Tensor.Zeros(2, 3), Tensor.Zeros(4, 3), Tensor.Zeros(3)));
        OperatorCheck.Refuses("Linear", () => Ops.Linear(Tensor.Zeros(), Tensor.Zeros(4, 3)));
        OperatorCheck.Refuses("MatMul", () => Ops.MatMul(Tensor.Zeros(2, 3), Tensor.Zeros(2, 3)));
        OperatorCheck.Refuses("MatMul", () => Ops.MatMul(Tensor.Zeros(2, 2, 3), Tensor.Zeros(3, 3, 2)));
        OperatorCheck.Refuses("MatMul", () => Ops.MatMul(Tensor.Zeros(3), Tensor.Zeros(4)));
        OperatorCheck.Refuses("MatMul", () => Ops.MatMul(Tensor.Zeros(), Tensor.Zeros(3)));
        OperatorCheck.Refuses("MatMul", () => Ops.MatMul(Tensor.Zeros(2, 3), Tensor.Zeros(4)));
    }
}
