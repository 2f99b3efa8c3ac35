using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Sorting, the first few in order, and the places of extremes.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class OrderTests(VectorWidth width)
{
    [Test]
    public void The_first_in_order_come_with_their_places(
        [Values(0, 1, -1)] int axis, [Values(1, 3, null)] int? k, [Values] bool descending)
    {
        int[] shape = [3, 20, 7], result = [.. shape];
        int dimension = axis < 0 ? 2 : axis;
        int count = result[dimension] = k ?? shape[dimension];
        Tensor x = Numbers.Random(3, shape);
        (Tensor Values, Tensor Indices) Call(Tensor t) => k is { } few ? Ops.TopK(t, few, axis, descending) : Ops.Sort(t, axis, descending);
        double[] values = x.ToDouble();
        int[] places = new int[result.Aggregate(1, (n, e) => n * e)];
        for (int e = 0; e < places.Length; e++)
        {
            int[] at = Elements.Of(e, result);
            int rank = at[dimension];
            IEnumerable<int> line = Enumerable.Range(0, shape[dimension]);
            places[e] = descending ? line.OrderByDescending(Value).ElementAt(rank) : line.OrderBy(Value).ElementAt(rank);
            double Value(int place)
            {
                at[dimension] = place;
                return values[Elements.At(at, shape)];
            }
        }
        using (Isa.Use(width)) Assert.That(Call(x).Indices.Span.ToArray(), Is.EqualTo(places));
        OperatorCheck.Run(width, i => Call(i[0]).Values, i => [.. places.Select((place, e) =>
        {
            int[] at = Elements.Of(e, result);
            at[dimension] = place;
            return i[0][Elements.At(at, shape)];
        })], [x]);
        Assert.That(places.Length / count, Is.EqualTo(x.Count / shape[dimension]));
    }

    [Test]
    public void Equals_keep_their_order_and_NaN_is_the_largest()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.From([1f, float.NaN, 0f, -0f, float.PositiveInfinity, 1f, float.NegativeInfinity, 0f], 8);
        Assert.That(Ops.Sort(x).Indices.Span.ToArray(), Is.EqualTo(new float[] { 6, 2, 3, 7, 0, 5, 4, 1 }));
        Assert.That(Ops.Sort(x, descending: true).Indices.Span.ToArray(), Is.EqualTo(new float[] { 1, 4, 0, 5, 2, 3, 7, 6 }));
        Assert.That(Ops.TopK(x, 4).Indices.Span.ToArray(), Is.EqualTo(new float[] { 1, 4, 0, 5 }));
        Assert.That(Ops.TopK(x, 4, largest: false).Indices.Span.ToArray(), Is.EqualTo(new float[] { 6, 2, 3, 7 }));
        Assert.That(float.IsNegative(Ops.Sort(x).Values.Span[2]), "the value itself comes, not its key");
    }

    [Test]
    public void Extremes_have_places([Values(0, 1, -1)] int axis, [Values] bool keepDim)
    {
        using IDisposable _ = Isa.Use(width);
        int[] shape = [6, 40, 7];
        int dimension = axis < 0 ? 2 : axis;
        Tensor x = Numbers.Random(3, shape);
        x.Span[..80].Fill(0.5f); // equals: the first counts
        Tensor most = Ops.ArgMax(x, axis, keepDim), least = Ops.ArgMin(x, axis, keepDim);
        Assert.That(most.Span.ToArray(), Is.EqualTo(Elements.Reduce(x.ToDouble(), shape, [dimension], v => Array.IndexOf(v, v.Max()))));
        Assert.That(least.Span.ToArray(), Is.EqualTo(Elements.Reduce(x.ToDouble(), shape, [dimension], v => Array.IndexOf(v, v.Min()))));
        Assert.That(
            most.Shape,
            Is.EqualTo(new Shape([.. shape.Select((e, d) => d == dimension ? 1 : e).Where((_, d) => keepDim || d != dimension)])));
    }

    [Test]
    public void Softmax_runs_along_any_dimension([Values(0, 1, 2, -2)] int axis, [Values(1f, 4f, 0.5f)] float temperature)
    {
        int[] shape = [3, 5, 70], kept = [.. shape];
        int dimension = axis < 0 ? axis + 3 : axis;
        kept[dimension] = 1;
        double[] Naive(double[] x)
        {
            double[] sums = Elements.Reduce(x, shape, [dimension], v => v.Sum(a => Math.Exp(a / temperature)));
            return [.. x.Select((v, e) => Math.Exp(v / temperature) / sums[Elements.At(Elements.Of(e, shape), kept)])];
        }
        OperatorCheck.Run(width, i => Ops.Softmax(i[0], axis, temperature), i => Naive(i[0]), [Numbers.Uniform(1, -3f, 3f, shape)], 2e-5);
        OperatorCheck.Run(
            width, i => Ops.LogSoftmax(i[0], axis, temperature), i => Array.ConvertAll(Naive(i[0]), Math.Log),
            [Numbers.Uniform(1, -3f, 3f, shape)], 2e-5);
    }

    [Test]
    public void Softmax_along_a_dimension_bears_large_numbers_and_passes_NaN_on()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.From([1e30f, 0f, float.NaN, 0f, 1f, 1f], 2, 3);
        Assert.That(
            Ops.Softmax(x, 0).Span.ToArray(), Is.EqualTo(new[] { 1f, 0.26894142f, float.NaN, 0f, 0.7310586f, float.NaN }).Within(1e-6));
        Assert.That(Ops.LogSoftmax(x, 0).Span[3], Is.EqualTo(-1e30f));
        Assert.That(Ops.Softmax(Tensor.Zeros(0, 3, 2), 1).Count, Is.Zero);
        OperatorCheck.Refuses("Softmax", () => Ops.Softmax(Tensor.Zeros(2, 0)));
        OperatorCheck.Refuses("LogSoftmax", () => Ops.LogSoftmax(Tensor.Zeros(2, 3), 2));
        foreach (float bad in new[] { 0f, -1f, float.NaN, float.PositiveInfinity, 1e-40f })
            Assert.That(() => Ops.Softmax(x, temperature: bad), Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
