using Mamba.Core.Kernels.Pooling;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    // An adaptive max pool counts the pixels of a window in floats.
    private const long MostCounted = 1 << 24;

    /// <summary>
    /// The maximum over windows (PyTorch's max_pool2d); padding is never chosen. On ties the gradient goes to the first; NaN propagates.
    /// </summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="kernel">The window.</param>
    /// <param name="options">Stride, padding (at most half the window), dilation, ceil mode; <see cref="PoolOptions.Default"/> if
    /// null.</param>
    /// <returns>(B, (H + top + bottom - dilation (Kh - 1) - 1) / stride + 1, ..., C).</returns>
    /// <exception cref="ShapeException">The window does not fit into the padded image.</exception>
    /// <exception cref="ArgumentOutOfRangeException">Kernel, stride or dilation is not positive, or a padding negative or more than half
    /// the window.</exception>
    /// <exception cref="ArgumentException">Padding is 'same' with a stride.</exception>
    public static Tensor MaxPool2d(Tensor x, Size2d kernel, PoolOptions? options = null)
    {
        Check.Rank(x, 4, "MaxPool2d", "(B, H, W, C)");
        options ??= PoolOptions.Default;
        Window window = Window.Of("MaxPool2d", kernel, options.Stride ?? kernel, options.Padding, options.Dilation);
        return MaxPool("MaxPool2d", x, window, options);
    }

    /// <summary>The maximum over windows of a sequence (PyTorch's max_pool1d), as <see cref="MaxPool2d"/>.</summary>
    /// <param name="x">(B, L, C); B may be 0.</param>
    /// <param name="kernel">The window.</param>
    /// <param name="options">Only the column values are used; <see cref="PoolOptions.Default"/> if null.</param>
    /// <returns>(B, (L + left + right - dilation (K - 1) - 1) / stride + 1, C).</returns>
    /// <inheritdoc cref="MaxPool2d" path="/exception"/>
    public static Tensor MaxPool1d(Tensor x, int kernel, PoolOptions? options = null)
    {
        Check.Rank(x, 3, "MaxPool1d", "(B, L, C)");
        options ??= PoolOptions.Default;
        Window window = Window.OfSequence("MaxPool1d", kernel, options.Stride ?? kernel, options.Padding, options.Dilation);
        return Sequence(MaxPool("MaxPool1d", OneRow(x), window, options));
    }

    /// <summary>The mean over windows (PyTorch's avg_pool2d).</summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="kernel">The window.</param>
    /// <param name="options">
    /// Stride, padding (at most half the window), ceil mode, whether padding is counted; <see cref="PoolOptions.Default"/> if null.
    /// </param>
    /// <returns>(B, (H + top + bottom - Kh) / stride + 1, ..., C).</returns>
    /// <exception cref="ShapeException">The window does not fit into the padded image.</exception>
    /// <exception cref="ArgumentOutOfRangeException">Kernel or stride is not positive, or a padding negative or more than half the
    /// window.</exception>
    /// <exception cref="ArgumentException">A dilation is given, or padding is 'same' with a stride.</exception>
    public static Tensor AvgPool2d(Tensor x, Size2d kernel, PoolOptions? options = null)
    {
        Check.Rank(x, 4, "AvgPool2d", "(B, H, W, C)");
        options ??= PoolOptions.Default;
        return AvgPool("AvgPool2d", x, Window.Of("AvgPool2d", kernel, options.Stride ?? kernel, options.Padding, options.Dilation),
            options);
    }

    /// <summary>The mean over windows of a sequence (PyTorch's avg_pool1d), as <see cref="AvgPool2d"/>.</summary>
    /// <param name="x">(B, L, C); B may be 0.</param>
    /// <param name="kernel">The window.</param>
    /// <param name="options">Only the column values are used; <see cref="PoolOptions.Default"/> if null.</param>
    /// <returns>(B, (L + left + right - K) / stride + 1, C).</returns>
    /// <inheritdoc cref="AvgPool2d" path="/exception"/>
    public static Tensor AvgPool1d(Tensor x, int kernel, PoolOptions? options = null)
    {
        Check.Rank(x, 3, "AvgPool1d", "(B, L, C)");
        options ??= PoolOptions.Default;
        Window window = Window.OfSequence("AvgPool1d", kernel, options.Stride ?? kernel, options.Padding, options.Dilation);
        return Sequence(AvgPool("AvgPool1d", OneRow(x), window, options));
    }

    /// <summary>Averages over a grid of windows that covers the image (PyTorch's adaptive_avg_pool2d).</summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="size">Rows and columns of the result; may exceed H and W.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The image is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The size is not positive.</exception>
    public static Tensor AdaptiveAvgPool2d(Tensor x, Size2d size)
    {
        CheckResize("AdaptiveAvgPool2d", x, size);
        return Average("AdaptiveAvgPool2d", x, new AverageStep(x, size, null, true));
    }

    /// <summary>Maxima over a grid of windows that covers the image (PyTorch's adaptive_max_pool2d); NaN propagates.</summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="size">Rows and columns of the result; may exceed H and W.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The image is empty, or a window would have more than 2^24 pixels.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The size is not positive.</exception>
    public static Tensor AdaptiveMaxPool2d(Tensor x, Size2d size)
    {
        CheckResize("AdaptiveMaxPool2d", x, size);
        Shape shape = x.Shape;
        Check.That(
            (shape[1] / size.Height + 2L) * (shape[2] / size.Width + 2L) <= MostCounted, "AdaptiveMaxPool2d",
            $"{shape} to {size}; expected windows of at most 2^24 pixels");
        Tensor y = Tensor.Empty(Shape.Of("AdaptiveMaxPool2d", shape[0], size.Height, size.Width, shape[3]));
        Tensor? taps = Tape.IsRecording && x.NeedsGrad ? Tensor.Empty(y.Shape) : null;
        using (PoolAxis vertical = PoolAxis.Adaptive(shape[1], size.Height), horizontal = PoolAxis.Adaptive(shape[2], size.Width))
            Launch.Run(
                new AdaptiveMaxPoolForward
                {
                    Windows = new PoolWindows(shape, vertical, horizontal, size.Height, size.Width),
                    X = x.Pointer,
                    Y = y.Pointer,
                    Taps = taps.Pointer,
                },
                (nint)shape[0] * size.Height, 1, Isa.For(shape[3]));
        if (Tape.Needs(x))
            Tape.Record(y, (x, taps, size), static (context, dy) =>
            {
                (Tensor x, Tensor? taps, Size2d size) = context.Values;
                Shape shape = x.Shape;
                GradSlot dx = x.OpenGrad();
                using PoolAxis vertical = PoolAxis.Adaptive(shape[1], size.Height), horizontal = PoolAxis.Adaptive(shape[2], size.Width);
                Launch.Run(
                    new AdaptiveMaxPoolBackward
                    {
                        Windows = new PoolWindows(shape, vertical, horizontal, size.Height, size.Width),
                        Taps = taps.Pointer,
                        Dy = dy.Pointer,
                        Dx = dx.Target,
                    },
                    (nint)shape[0] * shape[1], PoolGrain(shape[2], shape[3]), Isa.For(shape[3]));
            }, taps);
        return y;
    }

    private static Tensor MaxPool(string name, Tensor x, in Window window, PoolOptions options)
    {
        CheckPool(name, x, window);
        PoolShape s = window.Pool(x.Shape, window.Outputs(name, x.Shape, options.CeilMode));
        Check.That((long)s.KernelHeight * s.KernelWidth <= MostCounted, name, $"kernel {window.Kernel}; expected at most 2^24 pixels");
        Tensor y = Tensor.Empty(Shape.Of(name, s.Batch, s.OutHeight, s.OutWidth, s.Channels));
        Tensor? taps = Tape.IsRecording && x.NeedsGrad ? Tensor.Empty(y.Shape) : null;
        Launch.Run(
            new MaxPoolForward { Shape = s, X = x.Pointer, Y = y.Pointer, Taps = taps.Pointer }, (nint)s.Batch * s.OutHeight,
            PoolGrain((nint)s.OutWidth * s.KernelHeight * s.KernelWidth, s.Channels), Isa.For(s.Channels));
        if (Tape.Needs(x))
            Tape.Record(y, (x, taps, s), static (context, dy) =>
            {
                (Tensor x, Tensor? taps, PoolShape s) = context.Values;
                GradSlot dx = x.OpenGrad();
                Launch.Run(
                    new MaxPoolBackward { Shape = s, Taps = taps.Pointer, Dy = dy.Pointer, Dx = dx.Target },
                        (nint)s.Batch * s.Height,
                    PoolGrain((nint)s.Width * s.KernelHeight, s.Channels), Isa.For(s.Channels));
            }, taps);
        return y;
    }

    private static Tensor AvgPool(string name, Tensor x, in Window window, PoolOptions options)
    {
        if (window.Dilation != 1) throw new ArgumentException($"{name}: dilation {window.Dilation} is for maxima only.", nameof(options));
        CheckPool(name, x, window);
        Size2d size = window.Outputs(name, x.Shape, options.CeilMode);
        return Average(name, x, new AverageStep(x, size, window, options.CountIncludePad));
    }

    private static Tensor Average(string name, Tensor x, in AverageStep step)
    {
        Tensor y = Tensor.Empty(Shape.Of(name, x.Shape[0], step.Size.Height, step.Size.Width, x.Shape[3]));
        step.Forward(y);
        if (Tape.Needs(x)) Tape.Record(y, step, static (step, dy) => step.Values.Backward(dy));
        return y;
    }

    /// <summary>Means over windows: sliding ones, or adaptive ones if Sliding is null.</summary>
    private readonly record struct AverageStep(Tensor X, Size2d Size, Window? Sliding, bool CountPadding)
    {
        public void Forward(Tensor y)
        {
            Shape x = X.Shape;
            using PoolAxis vertical = Rows(x[1]), horizontal = Columns(x[2]);
            nint perRow = Sliding is { } window ? (nint)Size.Width * window.Kernel.Height * window.Kernel.Width : Launch.ElementGrain;
            Launch.Run(
                new AveragePoolForward
                {
                    Windows = new PoolWindows(x, vertical, horizontal, Size.Height, Size.Width),
                    X = X.Pointer,
                    Y = y.Pointer
                },
                (nint)x[0] * Size.Height, PoolGrain(perRow, x[3]), Isa.For(x[3]));
        }

        public void Backward(Tensor dy)
        {
            Shape x = X.Shape;
            GradSlot dx = X.OpenGrad();
            using PoolAxis vertical = Rows(x[1]), horizontal = Columns(x[2]);
            PoolWindows windows = new(x, vertical, horizontal, Size.Height, Size.Width);
            Launch.Run(
                new AveragePoolBackward { Windows = windows, Dy = dy.Pointer, Dx = dx.Target }, (nint)x[0] * x[1],
                PoolGrain(x[2], x[3]), Isa.For(x[3]));
        }

        private PoolAxis Rows(int input) => Sliding is not { } w
            ? PoolAxis.Adaptive(input, Size.Height)
            : PoolAxis.Sliding(input, Size.Height, w.Kernel.Height, w.Stride.Height, (w.Padding.Top, w.Padding.Bottom), CountPadding);

        private PoolAxis Columns(int input) => Sliding is not { } w
            ? PoolAxis.Adaptive(input, Size.Width)
            : PoolAxis.Sliding(input, Size.Width, w.Kernel.Width, w.Stride.Width, (w.Padding.Left, w.Padding.Right), CountPadding);
    }

    private static void CheckPool(string name, Tensor x, in Window window)
    {
        Check.That(x.Shape[1] > 0 && x.Shape[2] > 0 && x.Shape[3] > 0, name, $"{x.Shape}; expected images that are not empty");
        Padding2d p = window.Padding;
        if (Math.Max(p.Top, p.Bottom) > window.ReachY / 2 || Math.Max(p.Left, p.Right) > window.ReachX / 2)
            throw new ArgumentOutOfRangeException(nameof(window), p,
                $"{name}: expected padding of at most half the window, {window.Kernel}.");
    }

    /// <summary>The checks of an operator that resizes images.</summary>
    private static void CheckResize(string name, Tensor x, Size2d size)
    {
        Check.Rank(x, 4, name, "(B, H, W, C)");
        if (size.Height <= 0 || size.Width <= 0) throw new ArgumentOutOfRangeException(nameof(size), size,
            $"{name}: expected a positive size.");
        Check.That(x.Shape[1] > 0 && x.Shape[2] > 0 && x.Shape[3] > 0, name, $"{x.Shape} to {size}; expected images that are not empty");
    }

    private static nint PoolGrain(nint width, nint channels) => Math.Max(1, Launch.ElementGrain / Math.Max(1, width * channels));
}
