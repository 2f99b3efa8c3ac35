using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class LocalResponseNormTests(VectorWidth width)
{
    // rows, channels, size: odd, even, as wide as the channels, wider, one
    [TestCase(3, 1, 5), TestCase(2, 7, 5), TestCase(3, 17, 4), TestCase(2, 5, 100), TestCase(300, 33, 2), TestCase(3, 9, 1)]
    public void LocalResponseNorm_divides_by_neighboring_channels(int rows, int channels, int size) => OperatorCheck.Run(
        width, i => Ops.LocalResponseNorm(i[0], size, 0.5f, 0.6f, 1.5f), i => [.. i[0].Select((x, e) =>
        {
            int c = e % channels, first = Math.Max(0, c - size / 2), last = Math.Min(channels - 1, c + (size - 1) / 2);
            double sum = Enumerable.Range(first, last - first + 1).Sum(j => i[0][e - c + j] * i[0][e - c + j]);
            return x / Math.Pow(1.5 + 0.5 / size * sum, 0.6f);
        })], [Numbers.Uniform(1, -3f, 3f, rows, channels)]);

    [Test]
    public void Values_at_the_edges_are_PyTorchs()
    {
        using IDisposable _ = Isa.Use(width);
        // Alone in its window: 0, an infinite square, infinity, NaN.
        Tensor x = Tensor.From([0f, 1e30f, float.PositiveInfinity, float.NaN], 4, 1);
        Assert.That(Ops.LocalResponseNorm(x, 3).Span.ToArray(), Is.EqualTo(new[] { 0f, 0f, float.NaN, float.NaN }));
    }

    [Test]
    public void Rows_may_be_none_and_sizes_huge()
    {
        using IDisposable _ = Isa.Use(width);
        OperatorCheck.IsEmpty(i => Ops.LocalResponseNorm(i[0], 5), Tensor.Zeros(0, 3, 3, 4));
        Tensor x = Numbers.Random(1, 2, 4);
        // the mean over so many is nothing
        Assert.That(Ops.LocalResponseNorm(x, int.MaxValue).Span.ToArray(), Is.EqualTo(x.Span.ToArray()).Within(1e-6f));
        Assert.That(Ops.LocalResponseNorm(Tensor.Zeros(3, 0), 5).Count, Is.Zero);
        OperatorCheck.Refuses("LocalResponseNorm", () => Ops.LocalResponseNorm(Tensor.Zeros(), 5));
        OperatorCheck.RefusesArgument("LocalResponseNorm", () => Ops.LocalResponseNorm(x, 0));
    }
}
