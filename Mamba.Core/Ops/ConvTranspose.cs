using System.Numerics.Tensors;
using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// Two-dimensional transposed convolution (PyTorch's conv_transpose2d): the input gradient of <see cref="Conv2d"/> as a forward
    /// operator.
    /// </summary>
    /// <param name="x">(B, H, W, Cin); B may be 0.</param>
    /// <param name="weight">(Cin, Cout / groups, Kh, Kw).</param>
    /// <param name="bias">(Cout), or null.</param>
    /// <param name="options">Stride, padding, dilation, groups, output padding, activation; <see cref="ConvOptions.Default"/> if
    /// null.</param>
    /// <returns>(B, (H - 1) stride - top - bottom + dilation (Kh - 1) + 1 + output padding, ..., Cout).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or the output would be empty.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A stride, dilation or number of groups is not positive, a padding is negative, or an output padding is not smaller than stride or
    /// dilation.
    /// </exception>
    /// <exception cref="ArgumentException">Padding is 'same'.</exception>
    public static Tensor ConvTranspose2d(Tensor x, Tensor weight, Tensor? bias = null, ConvOptions? options = null)
    {
        Check.Rank(x, 4, "ConvTranspose2d", "(B, H, W, Cin)");
        Check.Rank(weight, 4, "ConvTranspose2d", "weight (Cin, Cout / groups, Kh, Kw)");
        options ??= ConvOptions.Default;
        CheckTransposed("ConvTranspose2d", weight, options);
        Window window = Window.Of("ConvTranspose2d", (weight.Shape[2], weight.Shape[3]), options.Stride, options.Padding, options.Dilation);
        return ConvolveTransposed("ConvTranspose2d", x, weight, bias, window, options.OutputPadding, options);
    }

    /// <summary>One-dimensional transposed convolution (PyTorch's conv_transpose1d).</summary>
    /// <param name="x">(B, L, Cin); B may be 0.</param>
    /// <param name="weight">(Cin, Cout / groups, K).</param>
    /// <param name="bias">(Cout), or null.</param>
    /// <param name="options">Only the column values are used; <see cref="ConvOptions.Default"/> if null.</param>
    /// <returns>(B, (L - 1) stride - left - right + dilation (K - 1) + 1 + output padding, Cout).</returns>
    /// <inheritdoc cref="ConvTranspose2d" path="/exception"/>
    public static Tensor ConvTranspose1d(Tensor x, Tensor weight, Tensor? bias = null, ConvOptions? options = null)
    {
        Check.Rank(x, 3, "ConvTranspose1d", "(B, L, Cin)");
        Check.Rank(weight, 3, "ConvTranspose1d", "weight (Cin, Cout / groups, K)");
        options ??= ConvOptions.Default;
        CheckTransposed("ConvTranspose1d", weight, options);
        Window window = Window.OfSequence("ConvTranspose1d", weight.Shape[2], options.Stride, options.Padding, options.Dilation);
        Size2d outputPadding = (0, options.OutputPadding.Width);
        return Sequence(ConvolveTransposed("ConvTranspose1d", OneRow(x), OneRowKernel(weight), bias, window, outputPadding, options));
    }

    private static Tensor ConvolveTransposed(
        string name, Tensor x, Tensor weight, Tensor? bias, in Window window, Size2d outputPadding, ConvOptions options)
    {
        Shape w = weight.Shape;
        int groups = options.Groups;
        CheckOutputPadding(name, outputPadding, window);
        CheckActivation(name, options.Activation);
        Check.That(
            w[0] == x.Shape[3] && w[0] % groups == 0 && x.Shape[1] > 0 && x.Shape[2] > 0, name,
            $"input {x.Shape}, weight {w}, groups {groups}; expected channels last and weight (Cin, Cout / groups, ...), none empty");
        long channels = (long)w[1] * groups;
        long paddedHeight = (x.Shape[1] - 1L) * window.Stride.Height + window.ReachY + outputPadding.Height;
        long paddedWidth = (x.Shape[2] - 1L) * window.Stride.Width + window.ReachX + outputPadding.Width;
        long height = paddedHeight - window.Padding.Top - window.Padding.Bottom,
            width = paddedWidth - window.Padding.Left - window.Padding.Right;
        Check.That(
            height > 0 && width > 0 && Window.IsImage(paddedHeight, paddedWidth, channels), name,
            $"input {x.Shape}, weight {w}, {window} give {height} x {width} x {channels}; expected a positive size that a tensor can hold");
        Check.Extents(bias, name, "bias", (int)channels);
        Tensor y = Tensor.Empty(Shape.Of(name, x.Shape[0], (int)height, (int)width, (int)channels));

        // The transpose: a convolution from y to x.
        ConvShape s = window.Convolution(y.Shape, x.Shape, groups);
        Check.That(
            Window.IsImage(s.KernelHeight, s.OutWidth, s.Depth), name,
                $"input {x.Shape} and weight {w}; expected fewer products of pixels and taps");
        if (s.Batch > 0) Spread(s, x, weight, bias, y);
        MultiplyAdds.Add(s.MultiplyAdds);

        if (Tape.Needs(x, weight, bias))
            Tape.Record(y, new ConvTransposeStep(x, weight, bias, s), static (step, dy) => step.Values.Backward(dy), x, weight);
        return Apply(options.Activation, y);
    }

    private static void Spread(in ConvShape s, Tensor x, Tensor weight, Tensor? bias, Tensor y)
    {
        if (!s.IsDepthwise)
        {
            SpreadColumns(s, x.Pointer, weight, bias.Pointer, y.Pointer, add: false);
            return;
        }
        DepthwiseConv.InputGradient(s, x.Pointer, weight.Pointer, y.Pointer);
        if (bias is { } b) BroadcastForward<Sum2>.Run(y.Shape, y.Shape, b.Shape, y.Pointer, b.Pointer, y.Pointer);
    }

    /// <summary>A recorded transposed convolution; Shape is that of the convolution whose input is its output.</summary>
    private readonly record struct ConvTransposeStep(Tensor X, Tensor Weight, Tensor? Bias, ConvShape Shape)
    {
        public void Backward(Tensor dy)
        {
            if (Shape.Batch == 0)
            {
                NoGradient(X);
                NoGradient(Weight);
                NoGradient(Bias);
                return;
            }
            if (Open(X) is { } dx)
            {
                if (!Shape.IsDepthwise) Correlate(Shape, dy.Pointer, Weight, flipped: false, dx.Pointer, new Epilogue(add: dx.Accumulate));
                else if (!dx.Accumulate) DepthwiseConv.Forward(Shape, dy.Pointer, Weight.Pointer, null, dx.Pointer);
                else
                {
                    using Scratch gradient = new(X.Count);
                    DepthwiseConv.Forward(Shape, dy.Pointer, Weight.Pointer, null, gradient.Pointer);
                    TensorPrimitives.Add(dx.Span, new ReadOnlySpan<float>(gradient.Pointer, X.Count), dx.Span);
                }
            }
            if (Open(Weight) is { } dw)
            {
                if (Shape.IsDepthwise) DepthwiseConv.WeightGradient(Shape, dy.Pointer, X.Pointer, dw.Target);
                else Conv.WeightGradient(Shape, dy.Pointer, X.Pointer, dw.Target);
            }
            BiasGradient(Bias, dy, Shape.Cin);
        }
    }

    private static void CheckTransposed(string name, Tensor weight, ConvOptions options)
    {
        CheckWeight(name, weight);
        CheckGroups(name, options);
        if (options.Padding.IsSame) throw new ArgumentException($"{name}: padding 'same' is for convolutions that are not transposed.",
            nameof(options));
    }

    private static void CheckOutputPadding(string name, Size2d outputPadding, in Window window)
    {
        if (outputPadding.Height < 0 || outputPadding.Height >= Math.Max(window.Stride.Height, window.Dilation.Height)
            || outputPadding.Width < 0 || outputPadding.Width >= Math.Max(window.Stride.Width, window.Dilation.Width))
            throw new ArgumentOutOfRangeException(nameof(outputPadding), outputPadding, $"{name}: expected less than stride or dilation.");
    }
}
