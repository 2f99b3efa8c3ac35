using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Tests.Core;

internal sealed class RandomStreamTests
{
    private const int Draws = 40_000;

    // The values are those of the definition (SplitMix64 from a hash of seed and name), computed outside this library.
    [TestCase(0UL, "", 0x5B21F68FFA77F14CUL, 0xACF0460C6CC09C67UL, 0x1E3A31B219D0D222UL)]
    [TestCase(42UL, "in_proj.weight", 0xD390FA92407FE43AUL, 0xF691EA81E93E42F1UL, 0xB51EB9F6D1602F45UL)]
    [TestCase(42UL, "in_proj.bias", 0x62BB947835A6B67FUL, 0x0B7D47979C8E3C0CUL, 0x633CF8B99118B018UL)]
    [TestCase(ulong.MaxValue, "ä", 0xF85FE0ECDB8B96C2UL, 0x83932AFC9EF24BA1UL, 0x085DD41F73C0BB96UL)]
    public void The_bits_are_fixed(ulong seed, string name, ulong first, ulong second, ulong third)
    {
        RandomStream random = new(seed, name);
        Assert.That(new[] { random.NextBits(), random.NextBits(), random.NextBits() }, Is.EqualTo(new[] { first, second, third }));
        Assert.That(new RandomStream(seed, name).NextDouble(), Is.EqualTo((first >> 11) / 9007199254740992.0));
    }

    [Test]
    public void Doubles_fill_their_range()
    {
        RandomStream random = new(1, "uniform");
        double[] values = Draw(() => random.NextDouble(-2, 3));
        Assert.That(values, Is.All.InRange(-2.0, 3.0).And.All.Not.EqualTo(3.0));
        Moments(values, mean: 0.5, variance: 25.0 / 12);
    }

    [Test]
    public void Integers_are_equally_likely()
    {
        RandomStream random = new(1, "integers");
        int[] counts = new int[7];
        for (int i = 0; i < 7 * 4000; i++) counts[random.NextInt(7)]++;
        Assert.That(counts, Is.All.InRange(3700, 4300)); // five standard deviations
        Assert.That(random.NextInt(1), Is.Zero);
    }

    [Test]
    public void Normals_have_the_moments_of_the_bell_curve()
    {
        RandomStream random = new(1, "normal");
        double[] values = Draw(() => random.NextNormal());
        Moments(values, 0, 1);
        Assert.That(values.Average(v => v * v * v * v), Is.EqualTo(3).Within(0.15));
        Assert.That(values.Zip(values.Skip(1), (a, b) => a * b).Average(), Is.Zero.Within(0.03), "neighbors are independent");
    }

    [TestCase(0.2, 0.2), TestCase(1, 1), TestCase(0.8, 3), TestCase(40, 10), TestCase(0.001, 0.001)]
    public void Betas_have_the_moments_of_their_distribution(double a, double b)
    {
        RandomStream random = new(1, "beta");
        double[] values = Draw(() => random.NextBeta(a, b));
        double sum = a + b, mean = a / sum,
            variance = mean * (1 - mean) / (sum + 1),
            third = mean * (a + 1) / (sum + 1) * (a + 2) / (sum + 2);
        Assert.That(values, Is.All.InRange(0.0, 1.0));
        Moments(values, mean, variance);
        Assert.That(values.Average(v => v * v * v), Is.EqualTo(third).Within(0.015));
        Assert.That(() => random.NextBeta(a, 0), Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => random.NextBeta(double.NaN, b), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Shuffle_gives_every_order()
    {
        RandomStream random = new(1, "shuffle");
        Dictionary<string, int> counts = [];
        for (int i = 0; i < 6000; i++)
        {
            char[] items = ['a', 'b', 'c'];
            random.Shuffle<char>(items);
            counts[new string(items)] = counts.GetValueOrDefault(new string(items)) + 1;
        }
        Assert.That(counts, Has.Count.EqualTo(6));
        Assert.That(counts.Values, Is.All.InRange(850, 1150));
    }

    [Test]
    public void Initializations_have_their_moments()
    {
        Moments(Fill(Init.Uniform(0.5)), 0, 1.0 / 12);
        Moments(Fill(Init.Normal(0.3)), 0, 0.09);
        Moments(Fill(Init.KaimingUniform(16)), 0, 1.0 / 48); // bound 1/4
        Moments(Fill(Init.KaimingNormal(8)), 0, 0.25);
        Moments(Fill(Init.TruncatedNormal()), 0, 0.0004);
        Assert.That(Fill(Init.KaimingUniform(16)), Is.All.InRange(-0.25, 0.25));
        Assert.That(Fill(Init.Zeros), Is.All.Zero);
        Assert.That(Fill(Init.Ones), Is.All.EqualTo(1.0));
        Assert.That(Fill(Init.Constant(-3f)), Is.All.EqualTo(-3.0));
    }

    [Test]
    public void The_truncated_normal_is_cut_at_two()
    {
        double[] values = Fill(Init.TruncatedNormal(1));
        Assert.That(values, Is.All.InRange(-2.0, 2.0));
        Moments(values, 0, 0.7737); // 1 - 4 phi(2) / (2 Phi(2) - 1)
    }

    private static double[] Fill(Initializer initializer)
    {
        float[] values = new float[Draws];
        initializer(values, new RandomStream(3, "init"));
        return Array.ConvertAll(values, v => (double)v);
    }

    private static double[] Draw(Func<double> next) => [.. Enumerable.Range(0, Draws).Select(_ => next())];

    /// <summary>Mean and variance to within five standard errors of those of a normal sample.</summary>
    private static void Moments(double[] values, double mean, double variance)
    {
        double average = values.Average(), spread = values.Average(v => (v - average) * (v - average));
        Assert.That(average, Is.EqualTo(mean).Within(5 * Math.Sqrt(variance / values.Length)));
        Assert.That(spread, Is.EqualTo(variance).Within(5 * variance * Math.Sqrt(2.0 / values.Length)));
    }
}
