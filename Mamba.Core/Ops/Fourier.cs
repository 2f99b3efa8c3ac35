using Mamba.Core.Kernels.Spectral;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// The discrete Fourier transform of real sequences, X_k = sum_j x_j e^(-2 pi i j k / n) for k up to n / 2; the other bins are
    /// conjugates of these. Of any length n; fastest where 2, 3 and 5 are its only prime factors.
    /// </summary>
    /// <param name="x">(B, n, C): the sequences are along the second dimension, n &gt; 0.</param>
    /// <returns>(B, n / 2 + 1, 2, C): real, then imaginary parts.</returns>
    /// <exception cref="ShapeException">x has another rank, or no points; or too many for working memory.</exception>
    public static Tensor Rfft(Tensor x)
    {
        Check.That(x.Shape.Rank == 3 && x.Shape[1] > 0, "Rfft", $"input is {x.Shape}, expected (B, n, C) with n > 0");
        (int batch, int length, int channels) = (x.Shape[0], x.Shape[1], x.Shape[2]);
        FourierShape s = Fourier("Rfft", batch, length, channels, 1f);
        Tensor y = Tensor.Empty(Shape.Of("Rfft", batch, length / 2 + 1, 2, channels));
        if (y.Count == 0) return Independent(y, x);
        RunRealForward(s, x.Pointer, new(y.Pointer, accumulate: false));
        if (Tape.Needs(x))
            Tape.Record(y, (x, s), static (context, dy) =>
                // The transposed transform sums each bin once; the inverse counts all bins twice but the first and the last.
                RunRealInverse(context.Values.s with { InnerScale = 0.5f }, dy.Pointer, Open(context.Values.x).Target));
        return y;
    }

    /// <summary>
    /// The inverse of <see cref="Rfft"/>: x_j = 1/n sum_k X_k e^(2 pi i j k / n) over all n bins, of which those above n / 2 are
    /// conjugates.
    /// </summary>
    /// <param name="x">
    /// (B, n / 2 + 1, 2, C): real, then imaginary parts. The imaginary part of the first bin, and for an even n of the last one, is
    /// ignored.
    /// </param>
    /// <param name="length">n. The number of bins is the same for 2k and 2k + 1, so it must be given.</param>
    /// <returns>(B, n, C).</returns>
    /// <exception cref="ShapeException">x has another rank, or another number of bins.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The length is not positive.</exception>
    public static Tensor Irfft(Tensor x, int length)
    {
        Check.Positive(length, "Irfft", nameof(length));
        Check.That(
            x.Shape.Rank == 4 && x.Shape[1] == length / 2 + 1 && x.Shape[2] == 2, "Irfft",
            $"input is {x.Shape}, expected (B, {length / 2 + 1}, 2, C) for a length of {length}");
        (int batch, int channels) = (x.Shape[0], x.Shape[3]);
        FourierShape s = Fourier("Irfft", batch, length, channels, 1f / length);
        Tensor y = Tensor.Empty(Shape.Of("Irfft", batch, length, channels));
        if (y.Count == 0) return Independent(y, x);
        RunRealInverse(s, x.Pointer, new(y.Pointer, accumulate: false));
        if (Tape.Needs(x))
            Tape.Record(y, (x, s), static (context, dy) =>
            {
                (Tensor x, FourierShape s) = context.Values;
                RunRealForward(s with { InnerScale = 2f * s.InnerScale }, dy.Pointer, Open(x).Target);
            });
        return y;
    }

    /// <summary>
    /// The discrete Fourier transform of complex sequences, X_k = sum_j x_j e^(-2 pi i j k / n), or its inverse,
    /// x_j = 1/n sum_k X_k e^(2 pi i j k / n). Of any length n; fastest where 2, 3 and 5 are its only prime factors.
    /// </summary>
    /// <param name="x">(B, n, 2, C): real, then imaginary parts; n &gt; 0.</param>
    /// <param name="inverse">Whether to compute the inverse.</param>
    /// <returns>(B, n, 2, C).</returns>
    /// <exception cref="ShapeException">x has another shape, or no points.</exception>
    public static Tensor Fft(Tensor x, bool inverse = false)
    {
        Check.That(
            x.Shape.Rank == 4 && x.Shape[1] > 0 && x.Shape[2] == 2, "Fft", $"input is {x.Shape}, expected (B, n, 2, C) with n > 0");
        FourierShape s = Fourier("Fft", x.Shape[0], x.Shape[1], x.Shape[3], inverse ? 1f / x.Shape[1] : 1f);
        Tensor y = Tensor.Empty(x.Shape);
        if (y.Count == 0) return Independent(y, x);
        RunComplex(s, x.Pointer, new(y.Pointer, accumulate: false), inverse);
        if (Tape.Needs(x))
            Tape.Record(y, (x, s, inverse), static (context, dy) =>
                RunComplex(context.Values.s, dy.Pointer, Open(context.Values.x).Target, !context.Values.inverse));
        return y;
    }

    /// <summary>The sizes, if working memory fits into an array.</summary>
    private static FourierShape Fourier(string name, int batch, int length, int channels, float scale)
    {
        Shape.Checked(FourierShape.MemoryOf(length), name, "working memory");
        return new(batch, length, channels, scale, scale);
    }

    private static void RunRealForward(in FourierShape s, float* x, Kernels.GradientTarget y)
    {
        FftPlan plan = FftPlan.Of(s.Points);
        Launch.Run(new RealForward { Shape = s, View = plan.View, X = x, Y = y }, s.Items, 1, s.Width);
        GC.KeepAlive(plan);
    }

    private static void RunRealInverse(in FourierShape s, float* x, Kernels.GradientTarget y)
    {
        FftPlan plan = FftPlan.Of(s.Points);
        Launch.Run(new RealInverse { Shape = s, View = plan.View, X = x, Y = y }, s.Items, 1, s.Width);
        GC.KeepAlive(plan);
    }

    private static void RunComplex(in FourierShape s, float* x, Kernels.GradientTarget y, bool inverse)
    {
        FftPlan plan = FftPlan.Of(s.Length);
        Launch.Run(new ComplexFft { Shape = s, View = plan.View, X = x, Y = y, Inverse = inverse }, s.Items, 1, s.Width);
        GC.KeepAlive(plan);
    }
}
