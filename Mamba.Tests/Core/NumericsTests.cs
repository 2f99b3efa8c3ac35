using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class NumericsTests(VectorWidth width) : WidthFixture(width)
{
    /// <summary>More than a chunk of the kernel that looks, and no whole number of vectors.</summary>
    private const int Count = 20_011;

    [Test]
    public void A_gradient_that_is_not_finite_is_named_and_nothing_is_changed(
        [Values(float.NaN, float.PositiveInfinity, float.NegativeInfinity)] float value, [Values(0, 8191, 8192, Count - 1)] int at,
        [Values] bool adam)
    {
        Tensor first = Leaf(1), second = Leaf(2);
        (float[] a, float[] b) = (first.Span.ToArray(), second.Span.ToArray());
        second.Grad!.Value.Span[at] = value;
        (string, Tensor)[] parameters = [("first.weight", first), ("second.weight", second)];
        Optimizer optimizer = adam ? new Adam(parameters, 0.1) : new Sgd(parameters, 0.1);
        Assert.That(
            optimizer.Step,
            Throws.TypeOf<NonFiniteException>().With.Message.Contains("gradient of 'second.weight'")
                .And.Message.Contains($"element {at} of ({Count})"));
        Assert.That(first.Span.ToArray(), Is.EqualTo(a));
        Assert.That(second.Span.ToArray(), Is.EqualTo(b));
        Assert.That(optimizer.Steps, Is.Zero);
        Assert.That(optimizer.State.SelectMany(s => s.Tensor.Span.ToArray()), Is.All.Zero);
    }

    [Test]
    public void Gradients_whose_squares_overflow_are_finite_and_are_clipped_by_their_norm()
    {
        Tensor w = Leaf(3);
        double[] expected = w.ToDouble();
        foreach (ref float g in w.Grad!.Value.Span) g *= 1e30f;
        double[] gradient = w.Grad!.Value.ToDouble();
        double norm = Math.Sqrt(gradient.Sum(g => g * g));
        for (int i = 0; i < Count; i++) expected[i] -= gradient[i] / norm;
        new Sgd([("w", w)], 1, momentum: 0) { MaxGradientNorm = 1 }.Step();
        GradCheck.Close(expected, w.Span, 1e-6, "weights");
    }

    [Test]
    public void The_operator_whose_result_is_not_finite_is_named_with_its_place()
    {
        ParameterStore store = new();
        Tensor weight = new Scope(store).Parameter("encoder.weight", Init.Uniform(1), 3, 4);
        Tensor x = Tensor.From([1, 2, 3, 4], 1, 4);
        x.RequiresGrad = true;
        using Tape tape = new() { Numerics = new NumericsCheck(store.All) };
        Tensor y = Ops.Linear(x, weight);
        Assert.That(
            () => Ops.Exp(Ops.Scale(y, float.PositiveInfinity)),
            Throws.TypeOf<NonFiniteException>().With.Message.StartsWith("the result of Scale after 'encoder.weight' is "));
        weight.Span[5] = float.NaN;
        Assert.That(
            () => Ops.Linear(x, weight),
            Throws.TypeOf<NonFiniteException>().With.Message.StartsWith(
                "the result of Linear with 'encoder.weight' is NaN at element 1 of (1, 3)"));
    }

    [Test]
    public void The_operator_whose_gradient_is_not_finite_is_named()
    {
        ParameterStore store = new();
        Tensor weight = new Scope(store).Parameter("head.weight", Init.Uniform(1), 1, 4);
        using Tape tape = new() { Numerics = new NumericsCheck(store.All) };
        Tensor x = Tensor.Full(1e-30f, 1, 4);
        x.RequiresGrad = true;
        Tensor y = Ops.Scale(Ops.Scale(Ops.Linear(x, weight), 1e30f), 1e30f); // the result is finite, 1e30 twice back is not
        Assert.That(
            () => tape.Backward(y),
            Throws.TypeOf<NonFiniteException>().With.Message.StartsWith("the gradient of the result of Linear with 'head.weight' is "));
    }

    [Test]
    public void Nothing_is_looked_at_unless_it_is_asked_for()
    {
        using Tape tape = new();
        Tensor x = Tensor.Full(1f, 2);
        x.RequiresGrad = true;
        Assert.That(Ops.Scale(x, float.PositiveInfinity).Span[0], Is.EqualTo(float.PositiveInfinity));
    }

    private static Tensor Leaf(int seed)
    {
        Tensor w = Numbers.Random(seed, Count);
        w.RequiresGrad = true;
        Numbers.Uniform(Count, seed + 100).CopyTo(w.OpenGrad().Span);
        return w;
    }
}
