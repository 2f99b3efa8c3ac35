using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Kernels.Pooling;

namespace Mamba.Core;

/// <summary>
/// A sliding window over padded images, for convolutions, pools and unfold: checks and derived sizes, in 64-bit arithmetic.
/// </summary>
internal readonly record struct Window(Size2d Kernel, Size2d Stride, Padding2d Padding, Size2d Dilation)
{
    /// <summary>The largest number of elements of a tensor, and so of a padded image.</summary>
    private static readonly long s_mostElements = Array.MaxLength - 64;

    /// <summary>Rows that a window covers, including the gaps of its dilation.</summary>
    public long ReachY => Dilation.Height * (Kernel.Height - 1L) + 1;

    /// <summary>Columns that a window covers, including the gaps of its dilation.</summary>
    public long ReachX => Dilation.Width * (Kernel.Width - 1L) + 1;

    /// <summary>The window of an operator over images; padding 'same' is resolved to numbers.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A kernel, stride or dilation is not positive, or a padding is negative.</exception>
    /// <exception cref="ArgumentException">Padding is 'same' and the stride is not 1.</exception>
    public static Window Of(string name, Size2d kernel, Size2d stride, Padding2d padding, Size2d dilation)
    {
        Positive(name, "kernel", kernel);
        Positive(name, "stride", stride);
        Positive(name, "dilation", dilation);
        if (padding.IsSame && stride != 1) throw new ArgumentException($"{name}: padding 'same' needs stride 1, not {stride}.",
            nameof(padding));
        padding = padding.For(kernel, dilation);
        if (Math.Min(Math.Min(padding.Top, padding.Left), Math.Min(padding.Bottom, padding.Right)) < 0)
            throw new ArgumentOutOfRangeException(nameof(padding), padding, $"{name}: expected no padding to be negative.");
        return new Window(kernel, stride, padding, dilation);
    }

    /// <summary>
    /// The window of an operator over sequences, (B, L, C) taken as an image of one row: it uses the column values of the options.
    /// </summary>
    /// <inheritdoc cref="Of"/>
    public static Window OfSequence(string name, int kernel, Size2d stride, Padding2d padding, Size2d dilation) => Of(
        name, (1, kernel), (1, stride.Width), padding.IsSame ? padding : new Padding2d(0, padding.Left, 0, padding.Right), (1,
            dilation.Width));

    /// <summary>Rows and columns of the result for images (B, H, W, C).</summary>
    /// <param name="name">The operator's name.</param>
    /// <param name="x">The image's shape.</param>
    /// <param name="ceil">Whether to keep a last window that only starts inside (<see cref="PoolOptions.CeilMode"/>).</param>
    /// <exception cref="ShapeException">The window does not fit, or the padded image is too large.</exception>
    public Size2d Outputs(string name, Shape x, bool ceil = false)
    {
        long height = x[1] + (long)Padding.Top + Padding.Bottom, width = x[2] + (long)Padding.Left + Padding.Right;
        Check.That(
            Starts(height - ReachY, Stride.Height, ceil) && Starts(width - ReachX, Stride.Width, ceil) && IsImage(height, width, x[3]),
            name,
            $"input {x} with kernel {Kernel}, padding {Padding} and dilation {Dilation}; expected the window to fit into the padded image");
        return (
            Fits(height - ReachY, Stride.Height, ceil, x[1] + (long)Padding.Top),
            Fits(width - ReachX, Stride.Width, ceil, x[2] + (long)Padding.Left));
    }

    /// <summary>The convolution with this window from x, (B, H, W, Cin), to y, (B, H', W', Cout).</summary>
    public ConvShape Convolution(Shape x, Shape y, int groups) => new(
        x[0], x[1], x[2], x[3], y[1], y[2], y[3], Kernel.Height, Kernel.Width, Stride.Height, Stride.Width, Padding.Top, Padding.Left,
        Dilation.Height, Dilation.Width, groups);

    /// <summary>The pool with this window from x, (B, H, W, C), to images of the given size.</summary>
    public PoolShape Pool(Shape x, Size2d outputs) => new(
        x[0], x[1], x[2], x[3], outputs.Height, outputs.Width, Kernel.Height, Kernel.Width, Stride.Height, Stride.Width, Padding.Top,
        Padding.Left, Dilation.Height, Dilation.Width);

    /// <summary>Whether a tensor could hold an image of this size.</summary>
    public static bool IsImage(long height, long width, long channels) =>
        height <= int.MaxValue && width <= int.MaxValue && height * width <= s_mostElements / Math.Max(1, channels);

    /// <summary>
    /// Whether a first window exists. In ceil mode one that only starts inside exceeds the image by less than a step, as in PyTorch.
    /// </summary>
    private static bool Starts(long room, int stride, bool ceil) => room >= (ceil ? 1 - stride : 0);

    private static int Fits(long room, int stride, bool ceil, long lastStart)
    {
        long outputs = room / stride + 1;
        if (ceil && room % stride != 0 && outputs * stride < lastStart) outputs++; // the window would start at outputs * stride - padding
        return (int)outputs;
    }

    private static void Positive(string name, string what, Size2d size)
    {
        if (size.Height <= 0 || size.Width <= 0) throw new ArgumentOutOfRangeException(what, size, $"{name}: expected a positive {what}.");
    }
}
