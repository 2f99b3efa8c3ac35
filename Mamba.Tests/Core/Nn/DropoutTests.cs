using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Dropout and the random numbers that it is keyed by.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class DropoutTests(VectorWidth width)
{
    [TestCase(0.0), TestCase(0.3), TestCase(0.9)]
    public void Elements_follow_the_stream(double rate)
    {
        RandomStream again = new(7, "mask");
        double[] factors = [.. Enumerable.Range(0, 20_000).Select(_ => again.NextDouble() >= rate ? 1 / (1 - rate) : 0)];
        OperatorCheck.Run(
            width, i => Ops.Dropout(i[0], rate, new RandomStream(7, "mask")), i => [.. i[0].Zip(factors, (x, f) => x * f)],
            [Numbers.Random(1, 20_000)]);
        Assert.That(factors.Average(), Is.EqualTo(1).Within(0.1));
    }

    [Test]
    public void The_layer_is_keyed_by_seed_place_and_step()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Full(1f, 50, 40);
        float[] Mask(ulong seed, string place, long step)
        {
            ParameterStore store = new(seed) { Training = true, Step = step };
            return new Dropout(new Scope(store) / place, 0.5).Forward(x).Span.ToArray();
        }
        float[] mask = Mask(1, "a", 3);
        Assert.That(mask.Distinct().Order(), Is.EqualTo(new[] { 0f, 2f }));
        Assert.That(Mask(1, "a", 3), Is.EqualTo(mask));
        foreach (float[] other in new[] { Mask(2, "a", 3), Mask(1, "b", 3), Mask(1, "a", 4) })
            Assert.That(
                other.Zip(mask).Count(p => p.First == p.Second) / 2000.0, Is.EqualTo(0.5).Within(0.06), "independent of each other");
    }

    [Test]
    public void Two_uses_of_one_stream_zero_other_elements()
    {
        RandomStream random = new(7, "mask");
        Tensor x = Tensor.Full(1f, 2000);
        float[] first = Ops.Dropout(x, 0.5, random).Span.ToArray(), second = Ops.Dropout(x, 0.5, random).Span.ToArray();
        Assert.That(first.Zip(second).Count(p => p.First == p.Second) / 2000.0, Is.EqualTo(0.5).Within(0.06));
    }

    [Test]
    public void Outside_of_training_nothing_happens()
    {
        ParameterStore store = new() { Training = false };
        Tensor x = Tensor.Full(1f, 5);
        Assert.That(new Dropout(new Scope(store) / "drop", 0.5).Forward(x), Is.EqualTo(x));
        store.Training = true;
        Assert.That(new Dropout(new Scope(store) / "drop", 0).Forward(x), Is.EqualTo(x));
        Assert.That(Ops.Dropout(Tensor.Zeros(2, 0), 0.5, new RandomStream(1, "mask")).Shape, Is.EqualTo(new Shape(2, 0)));
    }

    [TestCase(-0.1), TestCase(1.0), TestCase(double.NaN)]
    public void Other_rates_are_refused(double rate)
    {
        Assert.That(() => Ops.Dropout(Tensor.Zeros(2), rate, new RandomStream(1, "mask")), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new Dropout(new Scope(new ParameterStore()), rate), Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
