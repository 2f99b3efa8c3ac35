using Mamba.Core.Kernels.Spectral;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// The convolution of a linear time-invariant state-space model (Gu, Goel and Re 2022, section 2.4), with one kernel per channel of any
    /// length. y_t = sum_(s >= 0) kernel_s u_(t - s) + sum_(s >= 0) backward_s u_(t + 1 + s) + D u_t. By FFT, in O(L log L) time and O(L)
    /// working memory per group of channels; short kernels or sequences are summed directly.
    /// </summary>
    /// <param name="u">(B, L, H).</param>
    /// <param name="kernel">(H, K): the impulse response of each channel. Taps from L on reach no token and get zero gradients.</param>
    /// <param name="options">The skip D, the anticausal kernel; by default neither.</param>
    /// <returns>(B, L, H).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or spectra do not fit into an array.</exception>
    public static Tensor LongConv(Tensor u, Tensor kernel, in LongConvOptions options = default)
    {
        LongConvShape s = CheckLongConv(u, kernel, options);
        Tensor y = Tensor.Empty(u.Shape);
        if (y.Count == 0) return Independent(y, u, kernel, options.Backward, options.D);
        LongConvolution.Forward(s, Inputs(u, kernel, options), y.Pointer);
        if (MultiplyAdds.IsCounting) MultiplyAdds.Add(CountLongConv(s));

        if (Tape.Needs(u, kernel, options.Backward, options.D))
            Tape.Record(y, (u, kernel, options, s), static (context, dy) =>
            {
                (Tensor u, Tensor kernel, LongConvOptions options, LongConvShape s) = context.Values;
                // Opened in write order: two inputs may be the same tensor.
                LongConvGradients gradients = new()
                {
                    U = Open(u).Target,
                    Kernel = Open(kernel).Target,
                    Back = Open(options.Backward).Target,
                    Skip = Open(options.D).Target,
                };
                LongConvolution.Backward(s, Inputs(u, kernel, options), dy.Pointer, gradients);
            }, u, kernel, options.Backward, options.D);
        return y;
    }

    private static LongConvInputs Inputs(Tensor u, Tensor kernel, in LongConvOptions options) => new()
    {
        U = u.Pointer,
        Kernel = kernel.Pointer,
        Back = options.Backward.Pointer,
        Skip = options.D.Pointer,
    };

    private static LongConvShape CheckLongConv(Tensor u, Tensor kernel, in LongConvOptions options)
    {
        Check.Rank(u, 3, "LongConv", "(B, L, H)");
        int channels = u.Shape[2];
        Check.That(
            kernel.Shape.Rank == 2 && kernel.Shape[0] == channels, "LongConv",
            $"u {u.Shape} and kernel {kernel.Shape}; expected (B, L, H) and (H, K)");
        Check.Extents(options.D, "LongConv", "D", channels);
        if (options.Backward is { } backward)
            Check.That(
                backward.Shape.Rank == 2 && backward.Shape[0] == channels, "LongConv",
                $"u {u.Shape} and backward kernel {backward.Shape}; expected (B, L, H) and (H, K)");
        LongConvShape s = new(u.Shape[0], u.Shape[1], channels, kernel.Shape[1], options.Backward is { } ahead ? ahead.Shape[1] : 0);
        if (u.Count > 0) Shape.Checked(s.Memory, "LongConv", "working memory");
        return s;
    }

    /// <summary>
    /// Multiply-adds: a transform of N real points takes 5/2 N log2 N operations, half as many multiply-adds. Each sequence takes two
    /// transforms, each kernel one.
    /// </summary>
    private static long CountLongConv(in LongConvShape s)
    {
        if (s.IsDirect) return (long)s.Batch * s.Length * s.Channels * s.AllTaps;
        double transform = 1.25 * s.Points * Math.Log2(s.Points);
        return (long)(s.Channels * ((2 * s.Batch + 1) * transform + 2.0 * s.Batch * s.Points));
    }
}
