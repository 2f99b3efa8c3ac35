using Mamba.Core;
using Mamba.Core.Kernels.Spectral;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Long convolutions, by sums and by transforms, against their definition.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class LongConvTests(VectorWidth width)
{
    // Kernels shorter and longer than the sequence, of one tap, of none; lengths odd and even; transforms in one pass and in two.
    [TestCase(2, 9, 3, 4), TestCase(2, 4, 3, 9), TestCase(1, 1, 1, 1), TestCase(1, 7, 17, 1), TestCase(3, 64, 5, 64)]
    [TestCase(2, 65, 3, 65), TestCase(1, 67, 17, 100), TestCase(2, 200, 3, 70), TestCase(1, 150, 2, 1000), TestCase(2, 301, 5, 301)]
    public void A_kernel_a_channel(int batch, int length, int channels, int taps)
    {
        OperatorCheck.Run(
            width, i => Ops.LongConv(i[0], i[1]), i => Naive(i[0], i[1], null, null, batch, length, channels),
            [Numbers.Random(1, batch, length, channels), Numbers.Random(2, channels, taps)]);
    }

    [TestCase(2, 9, 3, 4, 5), TestCase(2, 4, 3, 9, 8), TestCase(1, 1, 2, 1, 1), TestCase(2, 50, 3, 9, 50)]
    [TestCase(1, 100, 5, 3, 90), TestCase(2, 90, 17, 200, 3), TestCase(1, 151, 2, 151, 151)]
    public void A_skip_and_a_kernel_that_looks_ahead(int batch, int length, int channels, int taps, int ahead)
    {
        OperatorCheck.Run(
            width, i => Ops.LongConv(i[0], i[1], new() { D = i[2], Backward = i[3] }),
            i => Naive(i[0], i[1], i[2], i[3], batch, length, channels),
            [
                Numbers.Random(1, batch, length, channels), Numbers.Random(2, channels, taps), Numbers.Random(3, channels),
                Numbers.Random(4, channels, ahead),
            ]);
    }

    /// <summary>Many sequences and few channels: the batch is summed in parts.</summary>
    [TestCase(70, 66, 2), TestCase(130, 70, 3), TestCase(130, 3, 3)]
    public void A_batch_in_parts(int batch, int length, int channels)
    {
        OperatorCheck.Run(
            width, i => Ops.LongConv(i[0], i[1]), i => Naive(i[0], i[1], null, null, batch, length, channels),
            [Numbers.Random(1, batch, length, channels), Numbers.Random(2, channels, length)]);
    }

    [Test]
    public void A_gradient_of_one_input_alone()
    {
        using IDisposable _ = Isa.Use(width);
        foreach (int taps in new[] { 5, 100 })
            GradCheck.Check(
                i => Ops.LongConv(i[0], i[1], new() { D = i[2] }), i => Naive(i[0], i[1], i[2], null, 2, 100, 3),
                [Numbers.Random(1, 2, 100, 3), Numbers.Random(2, 3, taps), Numbers.Random(3, 3)], 1e-5, 0, 1);
        GradCheck.Check(
            i => Ops.LongConv(i[0], i[1]), i => Naive(i[0], i[1], null, null, 2, 100, 3),
            [Numbers.Random(1, 2, 100, 3), Numbers.Random(2, 3, 100)], 1e-5, 1);
    }

    [Test]
    public void An_impulse_gives_the_kernel_and_does_not_wrap_round()
    {
        using IDisposable _ = Isa.Use(width);
        const int L = 1000;
        Tensor u = Tensor.Zeros(1, L, 2), kernel = Numbers.Random(1, 2, L);
        u.Span[2 * (L - 1)] = 1;
        float[] y = Ops.LongConv(u, kernel).Span.ToArray();
        Assert.That(y[2 * (L - 1)], Is.EqualTo(kernel.Span[0]).Within(2e-6));
        y[2 * (L - 1)] = 0;
        Assert.That(y.Max(Math.Abs), Is.LessThan(2e-6));
    }

    [Test]
    public void Kernels_without_taps_leave_the_skip()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor u = Numbers.Random(1, 2, 5, 3), d = Numbers.Random(2, 3), none = Tensor.Zeros(3, 0);
        Assert.That(Ops.LongConv(u, none).Span.ToArray(), Is.All.Zero);
        float[] y = Ops.LongConv(u, none, new() { D = d }).Span.ToArray();
        for (int i = 0; i < y.Length; i++) Assert.That(y[i], Is.EqualTo(u.Span[i] * d.Span[i % 3]));
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor u = Tensor.Zeros(2, 5, 3), k = Tensor.Zeros(3, 5);
        OperatorCheck.Refuses("LongConv", () => Ops.LongConv(Tensor.Zeros(5, 3), k));
        OperatorCheck.Refuses("LongConv", () => Ops.LongConv(u, Tensor.Zeros(5, 3)));
        OperatorCheck.Refuses("LongConv", () => Ops.LongConv(u, Tensor.Zeros(3, 1, 5)));
        OperatorCheck.Refuses("LongConv", () => Ops.LongConv(u, k, new() { D = Tensor.Zeros(5) }));
        OperatorCheck.Refuses("LongConv", () => Ops.LongConv(u, k, new() { Backward = Tensor.Zeros(2, 5) }));
        OperatorCheck.Refuses("LongConv", () => Ops.LongConv(u, k, new() { Backward = Tensor.Zeros(3) }));
    }

    [TestCase(1, 2), TestCase(7, 8), TestCase(2047, 2048), TestCase(2049, 2304)]
    public void A_padded_length_is_even_and_has_small_factors(int least, int most)
    {
        long good = FftLength.Good(least);
        Assert.That(good, Is.InRange((long)least, (long)most));
        Assert.That(good % 2, Is.Zero);
        Assert.That(FftLength.IsSmooth((nint)good), Is.True);
    }

    private static double[] Naive(double[] u, double[] kernel, double[]? d, double[]? ahead, int batch, int length, int channels)
    {
        double[] y = new double[u.Length];
        int taps = kernel.Length / channels, further = (ahead?.Length ?? 0) / channels;
        for (int b = 0; b < batch; b++)
            for (int c = 0; c < channels; c++)
                for (int t = 0; t < length; t++)
                {
                    double sum = (d?[c] ?? 0) * u[(b * length + t) * channels + c];
                    for (int s = 0; s < Math.Min(taps, t + 1); s++)
                        sum += kernel[c * taps + s] * u[(b * length + t - s) * channels + c];
                    for (int s = 0; s < Math.Min(further, length - 1 - t); s++)
                        sum += ahead![c * further + s] * u[(b * length + t + 1 + s) * channels + c];
                    y[(b * length + t) * channels + c] = sum;
                }
        return y;
    }
}
