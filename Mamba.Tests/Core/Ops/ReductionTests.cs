using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Reductions over dimensions, running sums and order.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ReductionTests(VectorWidth width)
{
    /// <summary>A reduction and its naive form.</summary>
    public sealed record Case(string Name, Func<Tensor, int[], bool, Tensor> Call, Func<double[], double> Naive)
    {
        public override string ToString() => Name;
    }

    public static IEnumerable<Case> Cases =>
    [
        new("Sum", (x, axes, keep) => Ops.Sum(x, axes, keep), v => v.Sum()),
        new("Mean", (x, axes, keep) => Ops.Mean(x, axes, keep), v => v.Average()),
        new("Max", (x, axes, keep) => Ops.Max(x, axes, keep), v => v.Max()),
        new("Min", (x, axes, keep) => Ops.Min(x, axes, keep), v => v.Min()),
        new("Var", (x, axes, keep) => Ops.Var(x, axes, keep, unbiased: false), v => Variance(v, v.Length)),
        new("Var, unbiased", (x, axes, keep) => Ops.Var(x, axes, keep), v => Variance(v, v.Length - 1)),
        new("Std, unbiased", (x, axes, keep) => Ops.Std(x, axes, keep), v => Math.Sqrt(Variance(v, v.Length - 1))),
        new("LogSumExp", (x, axes, keep) => Ops.LogSumExp(x, axes, keep), v => Math.Log(v.Sum(Math.Exp))),
        new("Norm 2", (x, axes, keep) => Ops.Norm(x, 2f, axes, keep), v => Math.Sqrt(v.Sum(a => a * a))),
        new("Norm 1", (x, axes, keep) => Ops.Norm(x, 1f, axes, keep), v => v.Sum(Math.Abs)),
        new("Norm 3.5", (x, axes, keep) => Ops.Norm(x, 3.5f, axes, keep), v => Math.Pow(v.Sum(a => Math.Pow(Math.Abs(a), 3.5)), 1 / 3.5)),
        new("Norm inf", (x, axes, keep) => Ops.Norm(x, float.PositiveInfinity, axes, keep), v => v.Max(Math.Abs)),
    ];

    public static IEnumerable<object[]> Axes =>
    [
        [new[] { 3, 4, 5 }, new[] { -1 }],
        [new[] { 3, 4, 17 }, new[] { 1 }],
        [new[] { 2, 3, 4, 5 }, new[] { 1, -2 }],
        [new[] { 2, 3, 4, 5 }, new[] { 2, 0 }],
        [new[] { 3, 1, 4, 2 }, new[] { 0, 2 }],
        [new[] { 3, 33 }, new[] { 0 }],
        [new[] { 5, 7 }, new int[0]],
    ];

    [TestCase(new[] { 0, 65536, 49152 }, new[] { 1, 2 }, 0)]
    [TestCase(new[] { 65536, 0, 49152 }, new[] { 0, 2 }, 1)]
    public void Extents_beside_one_of_zero_may_have_a_product_above_an_int(int[] shape, int[] axes, int kept)
    {
        Tensor x = Tensor.Zeros(shape);
        x.RequiresGrad = true;
        Func<Tensor, Tensor>[] reductions = [t => Ops.Sum(t, axes), t => Ops.Var(t, axes), t => Ops.Prod(t, axes)];
        foreach (Func<Tensor, Tensor> op in reductions)
        {
            using Tape tape = new();
            Tensor y = op(x);
            Assert.That(y.Shape, Is.EqualTo(new Shape(shape[kept])));
            tape.Backward(y, Tensor.Zeros(y.Shape.ToArray()));
            Assert.That(x.Grad!.Value.Shape, Is.EqualTo(x.Shape));
        }
    }

    [Test]
    public void Dimensions_are_reduced(
        [ValueSource(nameof(Cases))] Case reduction, [ValueSource(nameof(Axes))] object[] sizes, [Values] bool keepDim)
    {
        int[] shape = (int[])sizes[0], axes = (int[])sizes[1];
        int[] reduced = axes.Length == 0
            ? [.. Enumerable.Range(0, shape.Length)]
            : Array.ConvertAll(axes, a => a < 0 ? a + shape.Length : a);
        // In between lies no number that finite differences would push past another.
        Tensor x = Distinct(shape);
        OperatorCheck.Run(
            width, i => reduction.Call(i[0], axes, keepDim), i => Elements.Reduce(i[0], shape, reduced, reduction.Naive), [x], 2e-5);
        int[] expected = [.. shape.Select((e, d) => reduced.Contains(d) ? 1 : e).Where((_, d) => keepDim || !reduced.Contains(d))];
        Assert.That(reduction.Call(x, axes, keepDim).Shape, Is.EqualTo(new Shape(expected)));
    }

    // Beyond a block of 64, a segment of 512 rows, a block of 64 columns and a row of 32768.
    [TestCase(3, 300, 1), TestCase(2, 700, 3), TestCase(1, 1100, 70), TestCase(2, 40000, 1), TestCase(1, 70000, 2)]
    public void Blocks_and_segments_meet_in_order(int outer, int count, int inner)
    {
        int[] shape = [outer, count, inner];
        foreach ((Func<Tensor, Tensor> op, Func<double[], double> naive) in new (Func<Tensor, Tensor>, Func<double[], double>)[]
        {
            (x => Ops.Mean(x, [1]), v => v.Average()), (x => Ops.Std(x, [1]), v => Math.Sqrt(Variance(v, v.Length - 1))),
            (x => Ops.Max(x, [1]), v => v.Max()),
            (x => Ops.LogSumExp(x, [1]), v => Math.Log(v.Sum(Math.Exp))),
        })
        {
            using IDisposable _ = Isa.Use(width);
            Tensor x = Distinct(shape), dy = Numbers.Random(3, outer, inner);
            GradCheck.Close(Elements.Reduce(x.ToDouble(), shape, [1], naive), op(x).Span, 2e-6, "result");
            (float[] y, float[] dx)[] runs = [.. new[] { 1, 4 }.Select(threads =>
            {
                using ThreadCount __ = new(threads);
                x.RequiresGrad = true;
                x.ZeroGrad();
                using Tape tape = new();
                Tensor y = op(x);
                tape.Backward(y, dy);
                return (y.Span.ToArray(), x.Grad!.Value.Span.ToArray());
            })];
            Assert.That(runs[1].y, Is.EqualTo(runs[0].y));
            Assert.That(runs[1].dx, Is.EqualTo(runs[0].dx));
        }
    }

    [Test]
    public void A_long_sum_keeps_its_low_bits()
    {
        using IDisposable _ = Isa.Use(width);
        const int Count = 1 << 20;
        Tensor x = Tensor.Full(0.1f, Count);
        Assert.That(Ops.Sum(x).Item(), Is.EqualTo(0.1f * (double)Count).Within(1e-6 * Count / 10));
        Assert.That(Ops.Sum(x.Reshape(Count / 4, 4), [0]).Span.ToArray(), Is.All.EqualTo(0.1f * (Count / 4.0)).Within(1e-6 * Count / 40));
        Assert.That(Ops.CumSum(x).Span[^1], Is.EqualTo(0.1f * (double)Count).Within(1e-6 * Count / 10));
    }

    [TestCase(0), TestCase(1), TestCase(2)]
    public void Products_have_gradients_beside_zeros(int zeros)
    {
        Tensor x = Numbers.Uniform(4, 0.5f, 1.5f, 3, 4, 5);
        for (int i = 0; i < zeros; i++) x.Span[i * 5] = 0f; // in one column
        OperatorCheck.Run(
            width, i => Ops.Prod(i[0], [1]), i => Elements.Reduce(i[0], [3, 4, 5], [1], v => v.Aggregate(1.0, (a, b) => a * b)), [x]);
        OperatorCheck.Run(
            width, i => Ops.Prod(i[0], [0, 2]), i => Elements.Reduce(i[0], [3, 4, 5], [0, 2], v => v.Aggregate(1.0, (a, b) => a * b)), [x]);
    }

    [Test]
    public void The_gradient_of_equals_goes_to_the_first()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Full(1f, 3, 20, 3);
        x.RequiresGrad = true;
        foreach (int axis in new[] { 0, 1, 2 })
        {
            x.ZeroGrad();
            using Tape tape = new();
            Tensor y = Ops.Max(x, [axis], keepDim: true);
            tape.Backward(y, Tensor.Full(1f, y.Shape));
            int[] shape = [3, 20, 3];
            Assert.That(
                x.Grad!.Value.Span.ToArray(), Is.EqualTo(Enumerable.Range(0, 180).Select(e => Elements.Of(e, shape)[axis] == 0 ? 1f : 0f)));
        }
    }

    [Test]
    public void NaN_and_infinities_come_through([Values(0, 1)] int axis, [Values(0, 8, 30)] int place)
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Numbers.Random(1, 31, 31);
        for (int i = 0; i < 31; i++) x.Span[axis == 0 ? place * 31 + i : i * 31 + place] = float.NaN;
        x.RequiresGrad = true;
        foreach (Func<Tensor, Tensor> op in new Func<Tensor, Tensor>[]
        {
            t => Ops.Max(t, [axis]), t => Ops.Min(t, [axis]), t => Ops.Sum(t, [axis]), t => Ops.LogSumExp(t, [axis]),
            t => Ops.Norm(t, 2f, [axis]), t => Ops.Prod(t, [axis]),
        }) Assert.That(op(x).Span.ToArray(), Is.All.NaN);
        Assert.That(Ops.ArgMax(x, axis).Span.ToArray(), Is.All.EqualTo(place));
        Assert.That(Ops.ArgMin(x, axis).Span.ToArray(), Is.All.EqualTo(place));
        using Tape tape = new();
        tape.Backward(Ops.Max(x, [axis]), Tensor.Full(2f, 31));
        for (int e = 0; e < 31 * 31; e++) Assert.That(x.Grad!.Value.Span[e], Is.EqualTo((axis == 0 ? e / 31 : e % 31) == place ? 2f : 0f));

        const float Infinity = float.PositiveInfinity;
        Assert.That(
            Ops.LogSumExp(Tensor.From([-Infinity, -Infinity, 0f, Infinity, 1e38f, 1e38f, -1e38f, 0f], 4, 2), [1]).Span.ToArray(),
            Is.EqualTo(new[] { -Infinity, Infinity, 1e38f, 0f }));
    }

    [Test]
    public void Norms_of_zero_have_no_gradient()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Zeros(3, 17);
        x.RequiresGrad = true;
        foreach (Func<Tensor, Tensor> op in new Func<Tensor, Tensor>[]
        {
            t => Ops.Norm(t, 2f, [1]), t => Ops.Norm(t, 1f, [1]), t => Ops.Norm(t, 1.5f, [1]), t => Ops.Std(t, [1]),
            t => Ops.Normalize(t) * 0f,
        })
        {
            x.ZeroGrad();
            using Tape tape = new();
            Tensor y = op(x);
            tape.Backward(y, Tensor.Full(1f, y.Shape));
            Assert.That(x.Grad!.Value.Span.ToArray(), Is.All.Zero);
        }
    }

    [Test]
    public void Rows_are_normalized([Values(0, 1, -1)] int axis) => OperatorCheck.Run(
        width, i => Ops.Normalize(i[0], axis), i =>
        {
            int[] shape = [5, 3, 17], kept = [.. shape];
            int dimension = axis < 0 ? 2 : axis;
            kept[dimension] = 1;
            double[] norms = Elements.Reduce(i[0], shape, [dimension], v => Math.Sqrt(v.Sum(a => a * a)));
            return [.. i[0].Select((v, e) => v / norms[Elements.At(Elements.Of(e, shape), kept)])];
        }, [Numbers.Random(1, 5, 3, 17)], 2e-5);

    [Test]
    public void Cosine_similarity_broadcasts()
    {
        OperatorCheck.Run(
            width, i => Ops.CosineSimilarity(i[0], i[1]), i => Cosines(i[0], i[1], 4, 1),
            [Numbers.Random(1, 4, 1, 9), Numbers.Random(2, 1, 1, 9)], 2e-5);
        OperatorCheck.Run(
            width, i => Ops.CosineSimilarity(i[0], i[1]), i => Cosines(i[0], i[1], 4, 5),
            [Numbers.Random(1, 4, 1, 9), Numbers.Random(2, 5, 9)], 2e-5);
        OperatorCheck.Run(
            width, i => Ops.CosineSimilarity(i[0].Reshape(3, 1, 9), i[0].Reshape(1, 3, 9), -1), i => Cosines(i[0], i[0], 3, 3),
            [Numbers.Random(1, 3, 9)], 2e-5);

        static double[] Cosines(double[] a, double[] b, int m, int n) => [.. Enumerable.Range(0, m * n).Select(e =>
        {
            double[] p = [.. a.Skip(e / n * 9).Take(9)], q = [.. b.Skip(e % n * 9).Take(9)];
            return p.Zip(q, (x, y) => x * y).Sum() / Math.Sqrt(p.Sum(x => x * x) * q.Sum(y => y * y));
        })];
    }

    [Test]
    public void Sums_run_along_a_dimension([Values(0, 1, -1)] int axis, [Values] bool reverse)
    {
        int[] shape = [5, 9, 70];
        int dimension = axis < 0 ? 2 : axis;
        int stride = shape[(dimension + 1)..].Aggregate(1, (n, e) => n * e), first = reverse ? shape[dimension] - 1 : 0;
        OperatorCheck.Run(width, i => Ops.CumSum(i[0], axis, reverse), i =>
        {
            double[] y = [.. i[0]];
            for (int n = 0; n < y.Length; n++)
            {
                int e = reverse ? y.Length - 1 - n : n;
                if (e / stride % shape[dimension] != first) y[e] += y[reverse ? e + stride : e - stride];
            }
            return y;
        }, [Numbers.Random(1, shape)]);
    }

    [Test]
    public void Empty_dimensions_have_PyTorchs_results()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Zeros(3, 0, 2);
        Assert.That(Ops.Sum(x, [1]).Span.ToArray(), Is.EqualTo(new float[6]));
        Assert.That(Ops.Mean(x, [1]).Span.ToArray(), Is.All.NaN);
        Assert.That(Ops.Var(x).Item(), Is.NaN);
        Assert.That(Ops.Prod(x, [1]).Span.ToArray(), Is.All.EqualTo(1f));
        Assert.That(Ops.Norm(x, 2f, [1]).Span.ToArray(), Is.All.Zero);
        Assert.That(Ops.LogSumExp(x, [1]).Span.ToArray(), Is.All.EqualTo(float.NegativeInfinity));
        Assert.That(Ops.Max(x, [0]).Shape, Is.EqualTo(new Shape(0, 2)));
        Assert.That(Ops.ArgMax(x, 0).Shape, Is.EqualTo(new Shape(0, 2)));
        Assert.That(Ops.CumSum(x, 1).Shape, Is.EqualTo(x.Shape));
        Assert.That(Ops.Sort(x, 1).Values.Shape, Is.EqualTo(x.Shape));
        Assert.That(Ops.TopK(Tensor.Zeros(3, 4), 0).Values.Shape, Is.EqualTo(new Shape(3, 0)));
        Assert.That(Ops.Sum(Tensor.Full(2f, [])).Item(), Is.EqualTo(2f));
        x.RequiresGrad = true;
        using Tape tape = new();
        tape.Backward(Ops.Sum(x) + Ops.Prod(x), Tensor.Full(1f, []));
        Assert.That(x.Grad!.Value.Count, Is.Zero);
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        Tensor x = Tensor.Zeros(2, 3), none = Tensor.Zeros(2, 0);
        OperatorCheck.Refuses("Sum", () => Ops.Sum(x, [2]));
        OperatorCheck.Refuses("Mean", () => Ops.Mean(x, [0, -2]));
        OperatorCheck.Refuses("Max", () => Ops.Max(none, [1]));
        OperatorCheck.Refuses("Min", () => Ops.Min(none));
        OperatorCheck.Refuses("ArgMax", () => Ops.ArgMax(none));
        OperatorCheck.Refuses("ArgMin", () => Ops.ArgMin(none));
        OperatorCheck.Refuses("TopK", () => Ops.TopK(x, 4).Values);
        OperatorCheck.Refuses("TopK", () => Ops.TopK(x, -1).Values);
        OperatorCheck.Refuses("Sort", () => Ops.Sort(x, 2).Values);
        OperatorCheck.Refuses("CumSum", () => Ops.CumSum(x, -3));
        OperatorCheck.Refuses("CosineSimilarity", () => Ops.CosineSimilarity(x, Tensor.Zeros(2, 2)));
        OperatorCheck.Refuses("CosineSimilarity", () => Ops.CosineSimilarity(x, Tensor.Zeros(2, 1)));
        OperatorCheck.Refuses("Normalize", () => Ops.Normalize(x, 2));
        Assert.That(() => Ops.Norm(x, 0f), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => Ops.Norm(x, float.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    /// <summary>Numbers of which no two magnitudes are within 1e-4 of each other, where there is room.</summary>
    private static Tensor Distinct(int[] shape)
    {
        int count = shape.Aggregate(1, (n, e) => n * e);
        float[] values = [.. Enumerable.Range(0, count).Select(i => (i % 2 == 0 ? 1f : -1f) * (0.1f + 1.5f * (i + 1) / count))];
        float[] order = Numbers.Uniform(count, seed: 11);
        Array.Sort(order, values);
        return Tensor.From(values, shape);
    }

    private static double Variance(double[] v, double divisor)
    {
        double mean = v.Average();
        return v.Sum(x => (x - mean) * (x - mean)) / divisor;
    }
}
