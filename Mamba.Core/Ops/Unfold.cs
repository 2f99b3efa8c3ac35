using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>The windows of an image as the rows of a matrix (PyTorch's unfold, im2col), with zero padding.</summary>
    /// <param name="x">(B, H, W, C); B may be 0.</param>
    /// <param name="kernel">The window.</param>
    /// <param name="options">Stride, padding, dilation; <see cref="ConvOptions.Default"/> if null.</param>
    /// <returns>(B, windows, C Kh Kw): windows row by row, a window's elements in PyTorch's order (channel, row, column).</returns>
    /// <exception cref="ShapeException">The window does not fit into the padded image, or an image is empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A kernel, stride or dilation is not positive, or a padding is negative.</exception>
    /// <exception cref="ArgumentException">An option that this operator does not have is given, or padding is 'same' with a
    /// stride.</exception>
    public static Tensor Unfold(Tensor x, Size2d kernel, ConvOptions? options = null)
    {
        Check.Rank(x, 4, "Unfold", "(B, H, W, C)");
        Window window = WindowOf("Unfold", kernel, options);
        Check.That(x.Shape[1] > 0 && x.Shape[2] > 0 && x.Shape[3] > 0, "Unfold", $"{x.Shape}; expected images that are not empty");
        ConvShape s = Windows("Unfold", x.Shape, window);
        int taps = kernel.Height * kernel.Width, windows = s.OutHeight * s.OutWidth;
        Tensor columns = Tensor.Empty(Shape.Of("Unfold", s.Batch, windows, taps, s.Cin)); // (B, windows, Kh Kw, C)
        RunUnfold(s, x.Pointer, columns.Pointer);
        if (Tape.Needs(x))
            Tape.Record(columns, (x, s), static (context, dy) =>
            {
                (Tensor x, ConvShape s) = context.Values;
                GradSlot dx = x.OpenGrad();
                RunFold(s, dy.Pointer, dx.Pointer, dx.Accumulate);
            });
        return Permute(columns, 0, 1, 3, 2).Reshape(s.Batch, windows, s.Depth);
    }

    /// <summary>Sums overlapping windows into an image (PyTorch's fold, col2im): the transpose of <see cref="Unfold"/>.</summary>
    /// <param name="x">(B, windows, C Kh Kw), in the order of <see cref="Unfold"/>; B may be 0.</param>
    /// <param name="size">Rows and columns of the image.</param>
    /// <param name="kernel">The window.</param>
    /// <param name="options">Stride, padding, dilation; <see cref="ConvOptions.Default"/> if null.</param>
    /// <returns>(B, height, width, C).</returns>
    /// <exception cref="ShapeException">The number or the size of the windows does not fit the image.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A size, kernel, stride or dilation is not positive, or a padding is
    /// negative.</exception>
    /// <exception cref="ArgumentException">An option that this operator does not have is given, or padding is 'same' with a
    /// stride.</exception>
    public static Tensor Fold(Tensor x, Size2d size, Size2d kernel, ConvOptions? options = null)
    {
        Check.Rank(x, 3, "Fold", "(B, windows, C Kh Kw)");
        if (size.Height <= 0 || size.Width <= 0) throw new ArgumentOutOfRangeException(nameof(size), size,
            "Fold: expected a positive size.");
        Window window = WindowOf("Fold", kernel, options);
        long taps = (long)kernel.Height * kernel.Width;
        Check.That(x.Shape[2] > 0 && x.Shape[2] % taps == 0, "Fold",
            $"{x.Shape} with kernel {kernel}; expected rows of whole windows, C Kh Kw");
        int channels = (int)(x.Shape[2] / taps);
        Check.That(Window.IsImage(size.Height, size.Width, channels), "Fold",
            $"{x.Shape} to {size}; expected an image that a tensor can hold");
        ConvShape s = Windows("Fold", Shape.Of("Fold", x.Shape[0], size.Height, size.Width, channels), window);
        Check.That(x.Shape[1] == s.OutHeight * (long)s.OutWidth, "Fold",
            $"{x.Shape}; expected {s.OutHeight} x {s.OutWidth} windows of {size}");
        Tensor columns = Permute(x.Reshape(s.Batch, x.Shape[1], channels, (int)taps), 0, 1, 3, 2); // (B, windows, Kh Kw, C)
        Tensor y = Tensor.Empty(s.Batch, size.Height, size.Width, channels);
        RunFold(s, columns.Pointer, y.Pointer, add: false);
        if (Tape.Needs(columns))
            Tape.Record(y, (columns, s), static (context, dy) =>
            {
                (Tensor columns, ConvShape s) = context.Values;
                GradSlot dx = columns.OpenGrad(); // the first and only contribution to the columns' gradient
                RunUnfold(s, dy.Pointer, dx.Pointer);
            });
        return y;
    }

    private static Window WindowOf(string name, Size2d kernel, ConvOptions? options)
    {
        options ??= ConvOptions.Default;
        if (options.Groups != 1 || options.OutputPadding != 0 || options.Activation != Activation.None)
            throw new ArgumentException($"{name}: expected stride, padding and dilation alone.", nameof(options));
        return Window.Of(name, kernel, options.Stride, options.Padding, options.Dilation);
    }

    /// <summary>The windows of images as a convolution; throws if they have more elements than a tensor can hold.</summary>
    private static ConvShape Windows(string name, Shape image, in Window window)
    {
        Size2d outputs = window.Outputs(name, image);
        long windows = (long)outputs.Height * outputs.Width, elements = (long)window.Kernel.Height * window.Kernel.Width;
        Check.That(
            windows <= int.MaxValue && elements <= int.MaxValue / image[3] && Window.IsImage(windows, elements,
                (long)image[3] * Math.Max(1, image[0])), name,
            $"{image} has {windows} windows of {elements} pixels; expected fewer");
        return window.Convolution(image, Shape.Of(name, image[0], outputs.Height, outputs.Width, 1), groups: 1);
    }

    private static void RunUnfold(in ConvShape s, float* x, float* columns) => Launch.Run(
        new Im2ColKernel { Shape = s, X = x, Columns = columns }, (nint)s.Batch * s.OutHeight * s.OutWidth, Math.Max(1,
            Launch.ElementGrain / s.Depth));

    private static void RunFold(in ConvShape s, float* columns, float* x, bool add) => Launch.Run(
        new Col2Im { Shape = s, Band = ColumnBand.Whole(s), Columns = columns, Image = x, Add = add }, (nint)s.Batch * s.Height,
        PoolGrain(s.Width, s.Cin));
}
