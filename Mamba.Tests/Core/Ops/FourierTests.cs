using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Discrete Fourier transforms against their definition in double precision.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class FourierTests(VectorWidth width)
{
    // Of no point more than one; powers; products of the radices; primes and their multiples (Bluestein); two passes from 129 complex
    // points on, with even and odd numbers of columns.
    private static readonly int[] s_lengths =
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 16, 25, 30, 34, 64, 74, 97, 135, 256, 258, 270, 289, 360, 512, 750, 1024, 1250];

    private static readonly int[] s_short = [1, 2, 3, 6, 7, 10, 16, 26, 270];

    [TestCaseSource(nameof(s_lengths))]
    public void Transforms_are_as_accurate_as_numbers_of_32_bits(int n)
    {
        using IDisposable _ = Isa.Use(width);
        Tensor real = Numbers.Random(n, 2, n, 3), complex = Numbers.Random(n + 1, 2, n, 2, 3);
        double tolerance = 2e-7 * (2 + Math.Log2(n)); // of the largest magnitude
        Tensor half = Ops.Rfft(real);
        Assert.That(half.Shape, Is.EqualTo(new Shape(2, n / 2 + 1, 2, 3)));
        GradCheck.Close(Real(real.ToDouble(), n, 3), half.Span, tolerance, "Rfft");
        GradCheck.Close(Complex(complex.ToDouble(), n, 3, -1), Ops.Fft(complex).Span, tolerance, "Fft");
        double[] inverse = Array.ConvertAll(Complex(complex.ToDouble(), n, 3, 1), v => v / n);
        GradCheck.Close(inverse, Ops.Fft(complex, inverse: true).Span, tolerance, "inverse Fft");
        GradCheck.Close(real.ToDouble(), Ops.Irfft(half, n).Span, tolerance, "Irfft of Rfft");
    }

    [TestCaseSource(nameof(s_short))]
    public void Gradients_are_those_of_the_definition(int n)
    {
        int bins = n / 2 + 1;
        OperatorCheck.Run(width, i => Ops.Rfft(i[0]), i => Real(i[0], n, 3), [Numbers.Random(1, 2, n, 3)]);
        OperatorCheck.Run(width, i => Ops.Irfft(i[0], n), i => Inverse(i[0], n, 3), [Numbers.Random(2, 2, bins, 2, 3)]);
        OperatorCheck.Run(width, i => Ops.Fft(i[0]), i => Complex(i[0], n, 3, -1), [Numbers.Random(3, 2, n, 2, 3)]);
        OperatorCheck.Run(
            width, i => Ops.Fft(i[0], inverse: true), i => Array.ConvertAll(Complex(i[0], n, 3, 1), v => v / n),
            [Numbers.Random(4, 2, n, 2, 3)]);
    }

    [Test]
    public void Channels_of_several_groups_are_transformed_apart()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Numbers.Random(1, 1, 60, 37);
        GradCheck.Close(Real(x.ToDouble(), 60, 37), Ops.Rfft(x).Span, 1e-6, "Rfft");
    }

    [Test]
    public void A_long_transform_keeps_its_accuracy()
    {
        using IDisposable _ = Isa.Use(width);
        const int N = 65536;
        Tensor x = Tensor.Zeros(1, N, 1);
        for (int i = 0; i < N; i++) x.Span[i] = (float)Math.Cos(2 * Math.PI * 12345 * ((double)i / N));
        float[] spectrum = Ops.Rfft(x).Span.ToArray();
        Assert.That(spectrum[2 * 12345], Is.EqualTo(N / 2).Within(0.05));
        spectrum[2 * 12345] = 0;
        Assert.That(spectrum.Max(Math.Abs), Is.LessThan(0.05), "leakage");
    }

    /// <summary>Plans are kept for so many lengths; those that were dropped are made again.</summary>
    [Test]
    public void More_lengths_than_plans_are_kept()
    {
        using IDisposable _ = Isa.Use(width);
        for (int round = 0; round < 2; round++)
            for (int n = 1; n < 160; n += 2)
            {
                Tensor x = Tensor.Full(1f, new Shape(1, n, 1));
                Assert.That(Ops.Rfft(x).Span[0], Is.EqualTo(n).Within(1e-4 * n));
            }
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        using IDisposable _ = Isa.Use(width);
        OperatorCheck.Refuses("Rfft", () => Ops.Rfft(Tensor.Zeros(3, 4)));
        OperatorCheck.Refuses("Rfft", () => Ops.Rfft(Tensor.Zeros(3, 0, 4)));
        OperatorCheck.Refuses("Irfft", () => Ops.Irfft(Tensor.Zeros(3, 4, 2, 1), 4));
        OperatorCheck.Refuses("Irfft", () => Ops.Irfft(Tensor.Zeros(3, 3, 1, 1), 4));
        OperatorCheck.RefusesArgument("Irfft", () => Ops.Irfft(Tensor.Zeros(3, 1, 2, 1), 0));
        OperatorCheck.Refuses("Fft", () => Ops.Fft(Tensor.Zeros(3, 4, 3, 1)));
        OperatorCheck.Refuses("Fft", () => Ops.Fft(Tensor.Zeros(3, 0, 2, 1)));
        OperatorCheck.Refuses("Rfft", () => Ops.Rfft(Tensor.Zeros(1, (1 << 24) + 1, 1)));
        Assert.That(Ops.Rfft(Tensor.Zeros(0, 4, 3)).Shape, Is.EqualTo(new Shape(0, 3, 2, 3)));
    }

    /// <summary>The first bins of (B, n, C).</summary>
    private static double[] Real(double[] x, int n, int channels)
    {
        double[] complex = new double[2 * x.Length];
        for (int i = 0; i < x.Length; i++) complex[(i / channels * 2) * channels + i % channels] = x[i];
        double[] full = Complex(complex, n, channels, -1);
        int batch = x.Length / (n * channels), kept = (n / 2 + 1) * 2 * channels;
        return [.. Enumerable.Range(0, batch).SelectMany(b => full.Skip(b * n * 2 * channels).Take(kept))];
    }

    /// <summary>The inverse of <see cref="Real"/>.</summary>
    private static double[] Inverse(double[] x, int n, int channels)
    {
        int bins = n / 2 + 1, batch = x.Length / (bins * 2 * channels);
        double[] y = new double[batch * n * channels];
        for (int b = 0; b < batch; b++)
            for (int j = 0; j < n; j++)
                for (int k = 0; k < bins; k++)
                {
                    (double sin, double cos) = Math.SinCos(2 * Math.PI * ((long)j * k % n) / n);
                    double weight = (k == 0 || 2 * k == n ? 1.0 : 2.0) / n;
                    for (int c = 0; c < channels; c++)
                    {
                        int at = ((b * bins + k) * 2) * channels + c;
                        y[(b * n + j) * channels + c] += weight * (x[at] * cos - (2 * k == n ? 0 : x[at + channels] * sin));
                    }
                }
        return y;
    }

    /// <summary>sum_j x_j e^(sign 2 pi i j k / n) of (B, n, 2, C).</summary>
    private static double[] Complex(double[] x, int n, int channels, int sign)
    {
        double[] y = new double[x.Length];
        int batch = x.Length / (n * 2 * channels);
        (double Sin, double Cos)[] roots = [.. Enumerable.Range(0, n).Select(k => Math.SinCos(sign * 2 * Math.PI * k / n))];
        for (int b = 0; b < batch; b++)
            for (int k = 0; k < n; k++)
                for (int j = 0; j < n; j++)
                {
                    (double sin, double cos) = roots[(long)j * k % n];
                    int from = (b * n + j) * 2 * channels, to = (b * n + k) * 2 * channels;
                    for (int c = 0; c < channels; c++)
                    {
                        double re = x[from + c], im = x[from + channels + c];
                        y[to + c] += re * cos - im * sin;
                        y[to + channels + c] += re * sin + im * cos;
                    }
                }
        return y;
    }
}
