using Mamba.Core;
using Mamba.Core.Optim;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Update rules against their definitions in double precision, at every vector width.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class UpdateRuleTests(VectorWidth width) : WidthFixture(width)
{
    private const int Count = 37, Steps = 6;

    [Test]
    public void Nesterov_looks_ahead()
    {
        double[] v = new double[Count];
        Follow(p => new Sgd(p, 0.05, momentum: 0.8, weightDecay: 0.01) { Nesterov = true }, (x, g, i, _) =>
        {
            double d = g + 0.01 * x;
            v[i] = 0.8 * v[i] + d;
            return x - 0.05 * (d + 0.8 * v[i]);
        });
    }

    [Test]
    public void AmsGrad_divides_by_the_largest_second_moment()
    {
        double[] m = new double[Count], v = new double[Count], largest = new double[Count];
        Follow(p => new Adam(p, 0.01) { AmsGrad = true, Beta2 = 0.7 }, (x, g, i, t) =>
        {
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.7 * v[i] + 0.3 * g * g;
            largest[i] = Math.Max(largest[i], v[i]);
            return x - 0.01 * (m[i] / (1 - Math.Pow(0.9, t))) / (Math.Sqrt(largest[i] / (1 - Math.Pow(0.7, t))) + 1e-8);
        });
    }

    [Test]
    public void AdamW_shrinks_the_weights()
    {
        double[] m = new double[Count], v = new double[Count];
        Follow(p => new AdamW(p, 0.01, 0.1), (x, g, i, t) =>
        {
            m[i] = 0.9 * m[i] + 0.1 * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            return x * (1 - 0.001) - 0.01 * (m[i] / (1 - Math.Pow(0.9, t))) / (Math.Sqrt(v[i] / (1 - Math.Pow(0.999, t))) + 1e-8);
        });
    }

    [Test]
    public void RmsProp_divides_by_a_running_root([Values] bool centered, [Values(0, 0.9)] double momentum)
    {
        double[] s = new double[Count], m = new double[Count], v = new double[Count];
        Follow(p => new RmsProp(p, 0.01, momentum, 0.02) { Centered = centered, Smoothing = 0.9, Eps = 1e-3 }, (x, g, i, _) =>
        {
            double d = g + 0.02 * x;
            s[i] = 0.9 * s[i] + 0.1 * d * d;
            m[i] = 0.9 * m[i] + 0.1 * d;
            v[i] = momentum * v[i] + d / (Math.Sqrt(s[i] - (centered ? m[i] * m[i] : 0)) + 1e-3);
            return x - 0.01 * v[i];
        });
    }

    [Test]
    public void Adagrad_divides_by_the_root_of_all_squares()
    {
        double[] s = [.. Enumerable.Repeat(0.25, Count)];
        Follow(p => new Adagrad(p, 0.1, learningRateDecay: 0.5, weightDecay: 0.02, initialSum: 0.25), (x, g, i, t) =>
        {
            double d = g + 0.02 * x;
            s[i] += d * d;
            return x - 0.1 / (1 + (t - 1) * 0.5) * d / (Math.Sqrt(s[i]) + 1e-10);
        });
    }

    [Test]
    public void A_run_that_resumes_takes_the_same_steps()
    {
        Tensor straight = Leaf(), resumed = Leaf();
        RmsProp whole = new([("w", straight)], momentum: 0.5) { Centered = true },
            first = new([("w", resumed)], momentum: 0.5) { Centered = true };
        for (int t = 1; t <= 3; t++) Step(whole, straight, t);
        for (int t = 1; t <= 2; t++) Step(first, resumed, t);
        RmsProp second = new([("w", resumed)], momentum: 0.5) { Centered = true, Steps = first.Steps };
        foreach (((_, Tensor from), (_, Tensor to)) in first.State.Zip(second.State)) from.Span.CopyTo(to.Span);
        Step(second, resumed, 3);
        Assert.That(resumed.Span.SequenceEqual(straight.Span));
    }

    private static void Follow(Func<(string, Tensor)[], Optimizer> create, Func<double, double, int, int, double> rule)
    {
        Tensor w = Leaf();
        double[] x = w.ToDouble();
        Optimizer optimizer = create([("w", w)]);
        for (int t = 1; t <= Steps; t++)
        {
            float[] g = Step(optimizer, w, t);
            for (int i = 0; i < Count; i++) x[i] = rule(x[i], g[i], i, t);
        }
        GradCheck.Close(x, w.Span, 2e-6, "weights");
    }

    private static float[] Step(Optimizer optimizer, Tensor w, int seed)
    {
        float[] gradient = Numbers.Uniform(Count, seed);
        w.ZeroGrad();
        gradient.CopyTo(w.OpenGrad().Span);
        optimizer.Step();
        return gradient;
    }

    private static Tensor Leaf()
    {
        Tensor w = Numbers.Random(7, Count);
        w.RequiresGrad = true;
        return w;
    }
}
