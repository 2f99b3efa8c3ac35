using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class LayoutTests(VectorWidth width)
{
    [Test]
    public void Concat_joins_along_any_dimension([Values(0, 1, 2, -1)] int axis)
    {
        int dimension = axis < 0 ? 2 : axis;
        int[][] shapes = [.. new[] { 1, 17, 3 }.Select(n => new[] { 3, 5, 7 }.Select((e, d) => d == dimension ? n : e).ToArray())];
        OperatorCheck.Run(width, i => Ops.Concat(i, axis), i =>
        {
            int outer = new[] { 3, 5, 7 }.Take(dimension).Aggregate(1, (a, b) => a * b);
            return
            [
                .. Enumerable.Range(0, outer).SelectMany(o =>
                    i.SelectMany(part => part.Skip(o * part.Length / outer).Take(part.Length / outer))),
            ];
        }, [.. shapes.Select((shape, n) => Numbers.Random(n, shape))]);
    }

    [Test]
    public void Concat_takes_a_tensor_twice() => OperatorCheck.Run(
        width, i => Ops.Concat([i[0], i[1], i[0]]),
        i => [.. Enumerable.Range(0, 3).SelectMany(r => new[] { i[0][r], i[1][2 * r], i[1][2 * r + 1], i[0][r] })],
        [Numbers.Random(1, 3, 1), Numbers.Random(2, 3, 2)]);

    [Test]
    public void Slice_is_a_range([Values(0, 1, 2, -1)] int axis, [Values(0, 2)] int start, [Values(0, 1, 3)] int count)
    {
        int[] shape = [5, 6, 17];
        int dimension = axis < 0 ? 2 : axis;
        if (count == 0)
        {
            Assert.That(Ops.Slice(Numbers.Random(1, shape), axis, start, 0).Count, Is.Zero);
            return;
        }
        OperatorCheck.Run(
            width, i => Ops.Slice(i[0], axis, start, count),
            i => [.. i[0].Where((_, e) => Indices(e, shape)[dimension] is int p && p >= start && p < start + count)],
            [Numbers.Random(1, shape)]);
    }

    [TestCase(0), TestCase(0, 1), TestCase(1, 0), TestCase(0, 2, 1), TestCase(2, 0, 1), TestCase(1, 0, 2), TestCase(0, 3, 1, 2)]
    [TestCase(3, 1, 0, 2)]
    [TestCase(0, 2, 3, 1), TestCase(5, 0, 4, 1, 3, 2)]
    public void Permute_reorders_dimensions(params int[] order)
    {
        int[] shape = new[] { 3, 5, 17, 2, 1, 2 }[..order.Length], result = Array.ConvertAll(order, d => shape[d]);
        OperatorCheck.Run(width, i => Ops.Permute(i[0], order), i =>
        {
            double[] y = new double[i[0].Length];
            for (int e = 0; e < y.Length; e++)
            {
                int[] to = Indices(e, result);
                int from = 0;
                for (int d = 0; d < shape.Length; d++) from = from * shape[d] + to[Array.IndexOf(order, d)];
                y[e] = i[0][from];
            }
            return y;
        }, [Numbers.Random(1, shape)]);
    }

    [Test]
    public void Flip_reverses_a_dimension([Values(0, 1, 2, -1)] int axis)
    {
        int[] shape = [3, 5, 17];
        int dimension = axis < 0 ? 2 : axis;
        OperatorCheck.Run(width, i => Ops.Flip(i[0], axis), i => [.. i[0].Select((_, e) =>
        {
            int[] at = Indices(e, shape);
            at[dimension] = shape[dimension] - 1 - at[dimension];
            return i[0][(at[0] * 5 + at[1]) * 17 + at[2]];
        })], [Numbers.Random(1, shape)]);
    }

    [Test]
    public void Empty_tensors_pass()
    {
        using IDisposable _ = Isa.Use(width);
        Assert.That(Ops.Permute(Tensor.Zeros(2, 0, 3), 2, 0, 1).Shape, Is.EqualTo(new Shape(3, 2, 0)));
        Assert.That(Ops.Flip(Tensor.Zeros(2, 0), 1).Shape, Is.EqualTo(new Shape(2, 0)));
        Assert.That(Ops.Concat([Tensor.Zeros(2, 0), Tensor.Full(1f, 2, 1)]).Span.ToArray(), Is.EqualTo(new[] { 1f, 1f }));
    }

    [TestCase(0), TestCase(1), TestCase(2)]
    public void Split_cuts_the_last_dimension(int part) => OperatorCheck.Run(
        width, i => Ops.Split(i[0], 11, 1, 5)[part],
        i => [.. i[0].Where((_, e) => part switch { 0 => e % 17 < 11, 1 => e % 17 == 11, _ => e % 17 > 11 })],
        [Numbers.Random(1, 3, 4, 17)]);

    [Test]
    public void Parts_of_a_split_add_up_again() => OperatorCheck.Run(
        width, i => Ops.Concat(Ops.Split(i[0], 2, 9).AsSpan()), i => i[0], [Numbers.Random(1, 5, 11)]);

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(2, 3);
        OperatorCheck.Refuses("Concat", () => Ops.Concat([]));
        OperatorCheck.Refuses("Concat", () => Ops.Concat([x, Tensor.Zeros(3, 3)]));
        OperatorCheck.Refuses("Concat", () => Ops.Concat([x, Tensor.Zeros(2, 3, 1)]));
        OperatorCheck.Refuses("Concat", () => Ops.Concat([x, x], 2));
        OperatorCheck.Refuses("Split", () => Ops.Split(x, 1, 1)[0]);
        OperatorCheck.Refuses("Split", () => Ops.Split(x)[0]);
        OperatorCheck.Refuses("Split", () => Ops.Split(x, x.Shape[-1] + 1, -1)[0]);
        OperatorCheck.Refuses("Split", () => Ops.Split(Tensor.Zeros(2, 0))[0]);
        OperatorCheck.Refuses("Slice", () => Ops.Slice(x, 1, 2, 2));
        OperatorCheck.Refuses("Slice", () => Ops.Slice(x, 1, -1, 2));
        OperatorCheck.Refuses("Slice", () => Ops.Slice(x, 1, int.MaxValue, int.MaxValue));
        OperatorCheck.Refuses("Slice", () => Ops.Slice(x, -3, 0, 1));
        OperatorCheck.Refuses("Permute", () => Ops.Permute(x, 0));
        OperatorCheck.Refuses("Permute", () => Ops.Permute(x, 0, 0));
        OperatorCheck.Refuses("Permute", () => Ops.Permute(x, 0, 2));
        OperatorCheck.Refuses("Flip", () => Ops.Flip(x, 2));
    }

    private static int[] Indices(int element, int[] shape)
    {
        int[] indices = new int[shape.Length];
        for (int d = shape.Length - 1; d >= 0; d--) (element, indices[d]) = Math.DivRem(element, shape[d]);
        return indices;
    }
}
