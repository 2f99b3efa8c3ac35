using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Numbers by their places, with places that repeat.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class IndexingTests(VectorWidth width)
{
    [TestCase(5, 3, 4), TestCase(7, 1000, 33), TestCase(3, 9, 1)]
    public void Embedding_looks_rows_up(int rows, int count, int channels)
    {
        int[] places = Places(count, rows);
        Tensor index = Tensor.From(Array.ConvertAll(places, p => (float)p), 1, count);
        double[] Rows(double[] table) => [.. places.SelectMany(p => table.Skip(p * channels).Take(channels))];
        OperatorCheck.Run(width, i => Ops.Embedding(i[0], places), i => Rows(i[0]), [Numbers.Random(2, rows, channels)]);
        OperatorCheck.Run(
            width, i => Ops.Embedding(i[0], index).Reshape(count, channels), i => Rows(i[0]), [Numbers.Random(2, rows, channels)]);
        Assert.That(Ops.Embedding(Numbers.Random(2, rows, channels), index).Shape, Is.EqualTo(new Shape(1, count, channels)));
    }

    [TestCase(1), TestCase(-2)]
    public void Padding_takes_no_gradient(int padding)
    {
        using IDisposable _ = Isa.Use(width);
        Tensor table = Numbers.Random(1, 3, 4);
        table.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.Embedding(table, [0, 1, 1, 2, 0], padding);
        Assert.That(y.Span.Slice(4, 4).ToArray(), Is.EqualTo(table.Span.Slice(4, 4).ToArray()));
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        Assert.That(table.Grad!.Value.Span.ToArray(), Is.EqualTo(new float[] { 2, 2, 2, 2, 0, 0, 0, 0, 1, 1, 1, 1 }));
    }

    [Test]
    public void Select_takes_places_of_a_dimension([Values(0, 1, -1)] int axis, [Values(0, 2, 50)] int count)
    {
        int[] shape = [6, 5, 17], result = [.. shape];
        int dimension = axis < 0 ? 2 : axis;
        int[] places = Places(count, shape[dimension]);
        result[dimension] = count;
        Tensor x = Numbers.Random(1, shape);
        if (count == 0)
        {
            Assert.That(Ops.IndexSelect(x, axis, places).Shape, Is.EqualTo(new Shape(result)));
            return;
        }
        int total = result.Aggregate(1, (n, e) => n * e);
        OperatorCheck.Run(width, i => Ops.IndexSelect(i[0], axis, places), i => [.. Enumerable.Range(0, total).Select(e =>
        {
            int[] at = Elements.Of(e, result);
            at[dimension] = places[at[dimension]];
            return i[0][Elements.At(at, shape)];
        })], [x]);
    }

    [TestCase(0, 6, 5, 17), TestCase(1, 6, 9, 17), TestCase(-1, 6, 5, 40), TestCase(1, 4, 9, 3), TestCase(0, 300, 2, 16)]
    public void Gather_and_scatter_are_transposes(int axis, params int[] sizes)
    {
        int[] shape = [6, 5, 17];
        int dimension = axis < 0 ? 2 : axis;
        int[] places = Places(sizes.Aggregate(1, (n, e) => n * e), shape[dimension]);
        Tensor index = Tensor.From(Array.ConvertAll(places, p => (float)p), sizes);
        int Target(int e)
        {
            int[] at = Elements.Of(e, sizes);
            at[dimension] = places[e];
            return Elements.At(at, shape);
        }
        OperatorCheck.Run(
            width, i => Ops.Gather(i[0], axis, index), i => [.. places.Select((_, e) => i[0][Target(e)])], [Numbers.Random(1, shape)]);

        int[] covering = [.. shape];
        covering[dimension] = sizes[dimension];
        if (!covering.SequenceEqual(sizes))
        {
            OperatorCheck.Refuses("ScatterAdd", () => Ops.ScatterAdd(Tensor.Zeros(shape), axis, index, Tensor.Zeros(sizes)));
            return;
        }
        int[] larger = [.. sizes.Select(s => s + 1)]; // what is beyond the index is not read
        OperatorCheck.Run(width, i => Ops.ScatterAdd(i[0], axis, index, i[1]), i =>
        {
            double[] y = [.. i[0]];
            for (int e = 0; e < places.Length; e++) y[Target(e)] += i[1][Elements.At(Elements.Of(e, sizes), larger)];
            return y;
        }, [Numbers.Random(1, shape), Numbers.Random(2, larger)]);
    }

    [Test]
    public void A_tensor_may_be_scattered_into_itself() => OperatorCheck.Run(
        width, i => Ops.ScatterAdd(i[0], 0, Tensor.From([2f, 2f, 0f], 3), i[0]),
        i => [i[0][0] + i[0][2], i[0][1], i[0][2] + i[0][0] + i[0][1]], [Numbers.Random(1, 3)]);

    [Test]
    public void Bad_arguments_are_refused()
    {
        Tensor x = Tensor.Zeros(2, 3), index = Tensor.Zeros(2, 3);
        OperatorCheck.Refuses("Embedding", () => Ops.Embedding(Tensor.Zeros(3), [0]));
        OperatorCheck.Refuses("IndexSelect", () => Ops.IndexSelect(x, 2, [0]));
        OperatorCheck.Refuses("Gather", () => Ops.Gather(x, 0, Tensor.Zeros(2)));
        OperatorCheck.Refuses("Gather", () => Ops.Gather(x, 0, Tensor.Zeros(2, 4)));
        OperatorCheck.Refuses("ScatterAdd", () => Ops.ScatterAdd(x, 0, index, Tensor.Zeros(1, 3)));
        OperatorCheck.Refuses("ScatterAdd", () => Ops.ScatterAdd(x, 0, Tensor.Zeros(2), x));
        foreach (float bad in new[] { -1f, 2f, 0.5f, float.NaN, float.PositiveInfinity, 1e20f })
        {
            Tensor wrong = Tensor.Full(bad, 2, 3);
            Refused(() => Ops.Gather(x, 0, wrong));
            Refused(() => Ops.ScatterAdd(x, 0, wrong, x));
            Refused(() => Ops.Embedding(x, wrong));
        }
        Refused(() => Ops.Embedding(x, [2]));
        Refused(() => Ops.Embedding(x, [0], paddingIndex: 2));
        Refused(() => Ops.Embedding(x, [0], paddingIndex: -3));
        Refused(() => Ops.IndexSelect(x, 0, [-1]));
        Assert.That(Ops.Gather(Tensor.Zeros(2, 0), 1, Tensor.Zeros(2, 0)).Shape, Is.EqualTo(new Shape(2, 0)));
        Assert.That(Ops.Embedding(Tensor.Zeros(3, 0), [1, 2]).Shape, Is.EqualTo(new Shape(2, 0)));

        static void Refused(Func<Tensor> call) => Assert.That(call, Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    private static int[] Places(int count, int extent) =>
        Array.ConvertAll(Numbers.Uniform(count, seed: 9, 0f, 1f), u => Math.Min(extent - 1, (int)(u * extent)));
}
