using Mamba.Core;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class OptimTests(VectorWidth width) : WidthFixture(width)
{
    private const int Count = 37, Steps = 5;

    [Test]
    public void Adam_follows_its_definition([Values] bool decoupled, [Values(0, 0.1)] double decay)
    {
        Tensor w = Leaf();
        double[] x = w.ToDouble(), m = new double[Count], v = new double[Count];
        Adam adam = new([("w", w)], 0.01, decay) { Decoupled = decoupled };
        for (int t = 1; t <= Steps; t++)
        {
            float[] g = SetGradient(w, t);
            adam.Step();
            for (int i = 0; i < Count; i++)
            {
                double gradient = g[i] + (decoupled ? 0 : decay * x[i]);
                if (decoupled) x[i] -= 0.01 * decay * x[i];
                m[i] = 0.9 * m[i] + 0.1 * gradient;
                v[i] = 0.999 * v[i] + 0.001 * gradient * gradient;
                x[i] -= 0.01 * (m[i] / (1 - Math.Pow(0.9, t))) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.999, t))) + 1e-8);
            }
        }
        GradCheck.Close(x, w.Span, 1e-6, "weights");
    }

    [Test]
    public void A_plateau_lowers_the_rate_after_more_than_its_patience()
    {
        // By hand from ReduceLROnPlateau's rule: 0.9 and 0.8 are lower, 0.79999 is not lower enough; two epochs are let pass.
        Plateau plateau = new(factor: 0.1, patience: 2);
        double[] losses = [0.9, 0.8, 0.79999, 0.85, double.NaN, 0.81, 0.7, 0.75, 0.75, 0.75];
        double[] scales = [1, 1, 1, 1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.01];
        for (int i = 0; i < losses.Length; i++)
        {
            plateau.Observe(losses[i]);
            Assert.That(plateau.Scale, Is.EqualTo(scales[i]).Within(1e-12), $"epoch {i}");
        }
    }

    [Test]
    public void The_average_of_weights_follows_its_definition_and_can_be_exchanged()
    {
        ParameterStore store = new(3);
        Tensor w = new Scope(store).Parameter("w", Init.Uniform(1), Count), statistic = new Scope(store).Buffer("s", Init.Zeros, 2);
        double[] average = w.ToDouble();
        WeightAverage ema = new(store, 0.3);
        for (int t = 1; t <= Steps; t++)
        {
            foreach (ref float x in w.Span) x += 0.25f * t;
            statistic.Span.Fill(t);
            ema.Update();
            double decay = Math.Min(0.3, t / (t + 10.0));
            for (int i = 0; i < Count; i++) average[i] = decay * average[i] + (1 - decay) * w.Span[i];
        }
        float[] last = w.Span.ToArray();
        ema.Swap();
        GradCheck.Close(average, w.Span, 1e-6, "average");
        Assert.That(statistic.Span[1], Is.InRange(3.5f, 4.99f), "running statistics are averaged, too");
        ema.Swap();
        Assert.That(w.Span.ToArray(), Is.EqualTo(last));
        Assert.That(() => new WeightAverage(store, 1.1), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Sgd_follows_its_definition()
    {
        Tensor w = Leaf();
        double[] x = w.ToDouble(), v = new double[Count];
        Sgd sgd = new([("w", w)], 0.05, momentum: 0.8, weightDecay: 0.01);
        for (int t = 1; t <= Steps; t++)
        {
            float[] g = SetGradient(w, t);
            sgd.Step();
            for (int i = 0; i < Count; i++)
            {
                v[i] = 0.8 * v[i] + g[i] + 0.01 * x[i];
                x[i] -= 0.05 * v[i];
            }
        }
        GradCheck.Close(x, w.Span, 1e-6, "weights");
    }

    [Test]
    public void Clipping_bounds_the_norm_of_all_gradients_together()
    {
        Tensor a = Leaf(), b = Leaf(), free = Leaf();
        float[] ga = SetGradient(a, 1), gb = SetGradient(b, 2);
        double norm = Math.Sqrt(ga.Concat(gb).Sum(g => (double)g * g));
        double[] expected = a.ToDouble();
        for (int i = 0; i < Count; i++) expected[i] -= ga[i] * 0.5 / norm;
        float[] untouched = free.Span.ToArray();
        new Sgd([("a", a), ("b", b), ("free", free)], 1, momentum: 0) { MaxGradientNorm = 0.5 }.Step();
        GradCheck.Close(expected, a.Span, 1e-5, "clipped");
        Assert.That(free.Span.ToArray(), Is.EqualTo(untouched), "a parameter without gradient");

        SetGradient(a, 1);
        expected = a.ToDouble();
        for (int i = 0; i < Count; i++) expected[i] -= ga[i];
        new Sgd([("a", a)], 1, momentum: 0) { MaxGradientNorm = 1000 }.Step();
        GradCheck.Close(expected, a.Span, 1e-6, "not clipped");
    }

    [Test]
    public void Schedules_have_their_shapes()
    {
        Schedule step = Schedules.Step(10, 0.5), cosine = Schedules.CosineWithWarmup(4, 24, floor: 0.1);
        Assert.That(new[] { step(0), step(9), step(10), step(25) }, Is.EqualTo(new[] { 1, 1, 0.5, 0.25 }).Within(1e-12));
        Assert.That(
            new[] { cosine(0), cosine(3), cosine(4), cosine(14), cosine(24), cosine(99) },
            Is.EqualTo(new[] { 0.25, 1, 1, 0.55, 0.1, 0.1 }).Within(1e-12));
        Assert.That(Schedules.Constant(123), Is.EqualTo(1));
        Assert.That(() => Schedules.CosineWithWarmup(5, 5), Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => Schedules.Step(0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    private static Tensor Leaf()
    {
        Tensor w = Numbers.Random(7, Count);
        w.RequiresGrad = true;
        return w;
    }

    /// <summary>Gives a leaf a gradient of known numbers.</summary>
    private static float[] SetGradient(Tensor w, int seed)
    {
        float[] gradient = Numbers.Uniform(Count, seed);
        w.ZeroGrad();
        gradient.CopyTo(w.OpenGrad().Span);
        return gradient;
    }
}
