using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>A scalar, of rank 0, counts as a vector of one element where PyTorch takes it as one.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ScalarTests(VectorWidth width)
{
    /// <summary>An operator along a dimension, and its value and derivative at 3.</summary>
    public static IEnumerable<TestCaseData> Cases =>
    [
        Case("Softmax", (x, axis) => Ops.Softmax(x, axis), 1f, 0f),
        Case("LogSoftmax", (x, axis) => Ops.LogSoftmax(x, axis), 0f, 0f),
        Case("Sum", (x, axis) => Ops.Sum(x, [axis]), 3f, 1f),
        Case("Sum, kept", (x, axis) => Ops.Sum(x, [axis], keepDim: true), 3f, 1f),
        Case("Mean", (x, axis) => Ops.Mean(x, [axis]), 3f, 1f),
        Case("Prod", (x, axis) => Ops.Prod(x, [axis]), 3f, 1f),
        Case("Max", (x, axis) => Ops.Max(x, [axis]), 3f, 1f),
        Case("Min", (x, axis) => Ops.Min(x, [axis]), 3f, 1f),
        Case("LogSumExp", (x, axis) => Ops.LogSumExp(x, [axis]), 3f, 1f),
        Case("Norm", (x, axis) => Ops.Norm(x, 2f, [axis]), 3f, 1f),
        Case("Norm, infinite", (x, axis) => Ops.Norm(x, float.PositiveInfinity, [axis]), 3f, 1f),
        Case("Normalize", (x, axis) => Ops.Normalize(x, axis), 1f, 0f),
        Case("CumSum", (x, axis) => Ops.CumSum(x, axis), 3f, 1f),
        Case("Sort", (x, axis) => Ops.Sort(x, axis).Values, 3f, 1f),
        Case("TopK", (x, axis) => Ops.TopK(x, 1, axis).Values, 3f, 1f),
    ];

    [TestCaseSource(nameof(Cases))]
    public void It_has_a_dimension_0(Func<Tensor, int, Tensor> op, float value, float slope)
    {
        using IDisposable _ = Isa.Use(width);
        foreach (int axis in new[] { 0, -1 })
        {
            Tensor x = Tensor.Full(3f);
            x.RequiresGrad = true;
            using Tape tape = new();
            Tensor y = op(x, axis);
            tape.Backward(y, Tensor.Full(1f));
            Assert.That((y.Shape, y.Item()), Is.EqualTo((new Shape(), value)), $"axis {axis}");
            Assert.That((x.Grad!.Value.Shape, x.Grad.Value.Item()), Is.EqualTo((new Shape(), slope)), $"axis {axis}");
        }
    }

    [Test]
    public void Its_places_are_0()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Full(3f);
        Tensor[] places = [Ops.ArgMax(x), Ops.ArgMin(x, 0), Ops.ArgMax(x, 0, keepDim: true), Ops.Sort(x).Indices, Ops.TopK(x, 1).Indices];
        foreach (Tensor place in places) Assert.That((place.Shape, place.Item()), Is.EqualTo((new Shape(), 0f)));
    }

    [Test]
    public void Its_shape_is_that_without_extents_however_it_is_made()
    {
        using IDisposable _ = Isa.Use(width);
        foreach (Shape shape in new Shape[] { default, new(), new([]), Tensor.Full(3f).Shape })
        {
            Assert.That((shape.Rank, shape.Count), Is.EqualTo((0, 1)));
            Assert.That(shape, Is.EqualTo(new Shape([])));
        }
        Tensor two = Tensor.Full(2f, new Shape());
        Assert.That(two.Item(), Is.EqualTo(2f));
        Assert.That(Ops.Add(two, Tensor.Full(1f, 3)).Span.ToArray(), Is.EqualTo(new[] { 3f, 3f, 3f }));
    }

    [Test]
    public void It_has_no_other_dimension()
    {
        Tensor x = Tensor.Full(3f);
        foreach (int axis in new[] { 1, -2 })
        {
            OperatorCheck.Refuses("Softmax", () => Ops.Softmax(x, axis));
            OperatorCheck.Refuses("LogSoftmax", () => Ops.LogSoftmax(x, axis));
            OperatorCheck.Refuses("Sum", () => Ops.Sum(x, [axis]));
            OperatorCheck.Refuses("ArgMax", () => Ops.ArgMax(x, axis));
            OperatorCheck.Refuses("Sort", () => Ops.Sort(x, axis).Values);
        }
        OperatorCheck.Refuses("Sum", () => Ops.Sum(x, [0, -1]));
        OperatorCheck.Refuses("TopK", () => Ops.TopK(x, 0).Values);
        OperatorCheck.Refuses("Flip", () => Ops.Flip(x, 0));
        OperatorCheck.Refuses("Concat", () => Ops.Concat([x, x], 0));
    }

    private static TestCaseData Case(string name, Func<Tensor, int, Tensor> op, float value, float slope) =>
        new TestCaseData(op, value, slope).SetArgDisplayNames(name);
}
