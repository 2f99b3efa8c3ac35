using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Stacking, exchanging, rolling and repeating.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ArrangementTests(VectorWidth width)
{
    private static readonly int[] s_shape = [4, 5, 17];

    [Test]
    public void Stack_adds_a_dimension([Values(0, 1, 2, -1, -3)] int axis, [Values(1, 3, 9)] int count)
    {
        int[] shape = [4, 17];
        int dimension = axis < 0 ? axis + 3 : axis;
        int[] result = [.. shape[..dimension], count, .. shape[dimension..]];
        OperatorCheck.Run(width, i => Ops.Stack(i, axis), i => [.. Enumerable.Range(0, count * 68).Select(e =>
        {
            int[] at = Elements.Of(e, result);
            return i[at[dimension]][Elements.At([.. at[..dimension], .. at[(dimension + 1)..]], shape)];
        })], [.. Enumerable.Range(0, count).Select(n => Numbers.Random(n, shape))]);
        Assert.That(Ops.Stack([Tensor.Zeros(shape), Tensor.Zeros(shape)], axis).Shape[axis], Is.EqualTo(2));
    }

    [Test]
    public void Stack_takes_a_tensor_twice() => OperatorCheck.Run(
        width, i => Ops.Stack([i[0], i[0]], -1), i => [.. i[0].SelectMany(v => new[] { v, v })], [Numbers.Random(1, 3, 5)]);

    [TestCase(0, 1), TestCase(-1, 0), TestCase(1, 1), TestCase(-2, -1)]
    public void Transpose_exchanges_two_dimensions(int one, int other)
    {
        int a = (one + 3) % 3, b = (other + 3) % 3;
        int[] result = [.. s_shape];
        (result[a], result[b]) = (result[b], result[a]);
        OperatorCheck.Run(
            width, i => Ops.Transpose(i[0], one, other), i => Moved(i[0], result, at => (at[a], at[b]) = (at[b], at[a])),
            [Numbers.Random(1, s_shape)]);
        Assert.That(Ops.Permute(Tensor.Zeros(s_shape), -1, 0, -2).Shape, Is.EqualTo(new Shape(17, 4, 5)));
    }

    [Test]
    public void Roll_moves_elements_on([Values(0, 1, -1)] int axis, [Values(0, 1, -2, 23, int.MinValue, int.MaxValue)] int shift)
    {
        int dimension = axis < 0 ? 2 : axis, extent = s_shape[dimension];
        OperatorCheck.Run(
            width, i => Ops.Roll(i[0], shift, axis),
            i => Moved(i[0], s_shape, at =>
                at[dimension] = (int)(((at[dimension] - (long)shift) % extent + extent) % extent)), [Numbers.Random(1, s_shape)]);
    }

    [Test]
    public void Roll_takes_several_dimensions() => OperatorCheck.Run(
        width, i => Ops.Roll(i[0], [-1, 2], [0, -1]), i => Moved(i[0], s_shape, at =>
            (at[0], at[2]) = ((at[0] + 1) % 4, (at[2] + 15) % 17)), [Numbers.Random(1, s_shape)]);

    [Test]
    public void Elements_repeat_where_they_stand([Values(0, 1, -1)] int axis, [Values(1, 3)] int repeats)
    {
        int dimension = axis < 0 ? 2 : axis;
        int[] result = [.. s_shape];
        result[dimension] *= repeats;
        OperatorCheck.Run(
            width, i => Ops.RepeatInterleave(i[0], repeats, axis), i => Moved(i[0], result, at => at[dimension] /= repeats),
            [Numbers.Random(1, s_shape)]);
    }

    [Test]
    public void Nothing_may_be_left()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Numbers.Random(1, 2, 3);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.RepeatInterleave(x, 0, 1);
        Assert.That(y.Shape, Is.EqualTo(new Shape(2, 0)));
        tape.Backward(y, Tensor.Zeros(2, 0));
        Assert.That(x.Grad!.Value.Span.ToArray(), Is.All.Zero);
        Assert.That(Ops.Roll(y, 3, 1).Shape, Is.EqualTo(y.Shape));
        Assert.That(Ops.Stack([y, y]).Shape, Is.EqualTo(new Shape(2, 2, 0)));
        Assert.That(Ops.Transpose(y).Shape, Is.EqualTo(new Shape(0, 2)));
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        Tensor x = Tensor.Zeros(2, 3);
        OperatorCheck.Refuses("Stack", () => Ops.Stack([]));
        OperatorCheck.Refuses("Stack", () => Ops.Stack([x, Tensor.Zeros(3, 2)]));
        OperatorCheck.Refuses("Stack", () => Ops.Stack([x, x], 3));
        OperatorCheck.Refuses("Stack", () => Ops.Stack([Tensor.Zeros(1, 1, 1, 1, 1, 1)]));
        OperatorCheck.Refuses("Transpose", () => Ops.Transpose(x, 0, 2));
        OperatorCheck.Refuses("Roll", () => Ops.Roll(x, 1, 2));
        OperatorCheck.Refuses("RepeatInterleave", () => Ops.RepeatInterleave(x, 2, 2));
        OperatorCheck.Refuses("RepeatInterleave", () => Ops.RepeatInterleave(x, int.MaxValue, 1));
        OperatorCheck.Refuses("Permute", () => Ops.Permute(x, -1, 1));
        Assert.That(() => Ops.Roll(x, [1], [0, 1]), Throws.ArgumentException);
        Assert.That(() => Ops.RepeatInterleave(x, -1, 0), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    /// <summary>A result whose elements come from other places of x.</summary>
    private static double[] Moved(double[] x, int[] result, Action<int[]> source) =>
        [.. Enumerable.Range(0, result.Aggregate(1, (n, e) => n * e)).Select(e =>
    {
        int[] at = Elements.Of(e, result);
        source(at);
        return x[Elements.At(at, s_shape)];
    })];
}
