using Mamba.Core.Kernels.Pooling;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    // The place of a maximum in its window is kept as a float, which counts to 2^24 without a gap.
    private const int MostPoolTaps = 4096;

    /// <summary>The maximum over square windows; padding never wins. The gradient goes to the first of equals.</summary>
    /// <param name="x">(B, H, W, C).</param>
    /// <param name="kernel">Side of the window.</param>
    /// <param name="stride">Step of the window.</param>
    /// <param name="padding">Border that windows may reach into, at most half the kernel.</param>
    /// <returns>(B, (H + 2 padding - kernel) / stride + 1, ..., C).</returns>
    /// <exception cref="ShapeException">The window does not fit into the padded image, or is padding only.</exception>
    public static Tensor MaxPool2d(Tensor x, int kernel, int stride, int padding = 0)
    {
        Check.Rank(x, 4, "MaxPool2d", "(B, H, W, C)");
        Shape shape = x.Shape;
        Check.That(
            kernel is > 0 and <= MostPoolTaps && stride > 0 && padding >= 0 && padding <= kernel / 2
            && shape[1] + 2L * padding >= kernel && shape[2] + 2L * padding >= kernel && shape.Product(1, 4) > 0, "MaxPool2d",
            $"kernel {kernel}, stride {stride}, padding {padding} for {shape}; "
            + $"expected a window of at most {MostPoolTaps} inside the image, padding of at most half of it, none empty but the batch");
        int outHeight = (int)((shape[1] + 2L * padding - kernel) / stride) + 1;
        int outWidth = (int)((shape[2] + 2L * padding - kernel) / stride) + 1;
        PoolShape s = new(shape[0], shape[1], shape[2], shape[3], outHeight, outWidth, kernel, stride, padding);
        Tensor y = Tensor.Empty(s.Batch, s.OutHeight, s.OutWidth, s.Channels);
        if (s.Batch == 0) return Independent(y, x);
        Tensor? taps = Tape.IsRecording && x.NeedsGrad ? Tensor.Empty(y.Shape) : null;
        Launch.Run(
            new MaxPoolForward { Shape = s, X = x.Pointer, Y = y.Pointer, Taps = taps is null ? null : taps.Pointer }, (nint)s.Batch * s.OutHeight,
            PoolGrain((nint)s.OutWidth * kernel * kernel, s.Channels), Isa.For(s.Channels));
        if (Tape.Needs(x))
            Tape.Push(y, (x, taps, s), static (context, dy) =>
            {
                (Tensor x, Tensor? taps, PoolShape s) = context;
                GradSlot dx = x.OpenGrad();
                Launch.Run(
                    new MaxPoolBackward { Shape = s, Taps = taps!.Pointer, Dy = dy.Pointer, Dx = dx.Target }, (nint)s.Batch * s.Height,
                    PoolGrain((nint)s.Width * s.Kernel, s.Channels), Isa.For(s.Channels));
            }, taps);
        return y;
    }

    /// <summary>Averages over height x width windows that cover the image as PyTorch's adaptive pooling does.</summary>
    /// <param name="x">(B, H, W, C).</param>
    /// <param name="height">Rows of the result; more than H is allowed, and none.</param>
    /// <param name="width">Columns of the result.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The image is empty, or height or width is negative.</exception>
    public static Tensor AdaptiveAvgPool2d(Tensor x, int height, int width)
    {
        Check.Rank(x, 4, "AdaptiveAvgPool2d", "(B, H, W, C)");
        Check.That(
            height >= 0 && width >= 0 && x.Shape.Product(1, 4) > 0, "AdaptiveAvgPool2d",
            $"{x.Shape} to {height} x {width}; expected a size that is not negative and images that are not empty");
        PoolShape s = new(x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3], height, width, 0, 0, 0);
        Tensor y = Tensor.Empty(s.Batch, height, width, s.Channels);
        if (y.Count == 0) return Independent(y, x);
        Launch.Run(new AdaptivePoolForward { Shape = s, X = x.Pointer, Y = y.Pointer }, (nint)s.Batch * height, 1, Isa.For(s.Channels));
        if (Tape.Needs(x))
            Tape.Push(y, (x, s), static (context, dy) =>
            {
                (Tensor x, PoolShape s) = context;
                GradSlot dx = x.OpenGrad();
                Launch.Run(
                    new AdaptivePoolBackward { Shape = s, Dy = dy.Pointer, Dx = dx.Target }, (nint)s.Batch * s.Height,
                    PoolGrain(s.Width, s.Channels), Isa.For(s.Channels));
            });
        return y;
    }

    private static nint PoolGrain(nint width, nint channels) => Math.Max(1, Launch.ElementGrain / Math.Max(1, width * channels));
}
