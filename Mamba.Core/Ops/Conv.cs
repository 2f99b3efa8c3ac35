using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Two-dimensional convolution (cross-correlation, as in PyTorch) with zero padding.</summary>
    /// <param name="x">(B, H, W, Cin).</param>
    /// <param name="weight">(Cout, Cin / groups, Kh, Kw).</param>
    /// <param name="bias">(Cout), or null.</param>
    /// <param name="stride">Step of the window, both ways.</param>
    /// <param name="padding">Zeros on every side.</param>
    /// <param name="dilation">Distance of the taps.</param>
    /// <param name="groups">Groups of channels that do not mix; Cin makes the convolution depthwise.</param>
    /// <param name="relu">Whether what is negative in the result becomes zero.</param>
    /// <returns>(B, (H + 2 padding - dilation (Kh - 1) - 1) / stride + 1, ..., Cout).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or the window does not fit into the padded image.</exception>
    public static Tensor Conv2d(
        Tensor x, Tensor weight, Tensor? bias = null, int stride = 1, int padding = 0, int dilation = 1, int groups = 1, bool relu = false)
    {
        Check.Rank(x, 4, "Conv2d", "(B, H, W, Cin)");
        Check.Rank(weight, 4, "Conv2d", "weight (Cout, Cin / groups, Kh, Kw)");
        return Convolve("Conv2d", x, weight, bias, stride, stride, padding, padding, dilation, dilation, groups, relu);
    }

    /// <summary>One-dimensional convolution (cross-correlation) with zero padding.</summary>
    /// <param name="x">(B, L, Cin).</param>
    /// <param name="weight">(Cout, Cin / groups, K).</param>
    /// <param name="bias">(Cout), or null.</param>
    /// <param name="stride">Step of the window.</param>
    /// <param name="padding">Zeros at both ends.</param>
    /// <param name="dilation">Distance of the taps.</param>
    /// <param name="groups">Groups of channels that do not mix.</param>
    /// <returns>(B, (L + 2 padding - dilation (K - 1) - 1) / stride + 1, Cout).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or the window does not fit into the padded sequence.</exception>
    public static Tensor Conv1d(Tensor x, Tensor weight, Tensor? bias = null, int stride = 1, int padding = 0, int dilation = 1, int groups = 1)
    {
        Check.Rank(x, 3, "Conv1d", "(B, L, Cin)");
        Check.Rank(weight, 3, "Conv1d", "weight (Cout, Cin / groups, K)");
        Tensor image = x.Reshape(x.Shape[0], 1, x.Shape[1], x.Shape[2]);
        Tensor kernel = weight.Reshape(weight.Shape[0], weight.Shape[1], 1, weight.Shape[2]);
        Tensor y = Convolve("Conv1d", image, kernel, bias, 1, stride, 0, padding, 1, dilation, groups);
        return y.Reshape(y.Shape[0], y.Shape[2], y.Shape[3]);
    }

    /// <summary>Two-dimensional transposed convolution: the input gradient of <see cref="Conv2d"/> as an operator of its own.</summary>
    /// <param name="x">(B, H, W, Cin).</param>
    /// <param name="weight">(Cin, Cout, Kh, Kw).</param>
    /// <param name="bias">(Cout), or null.</param>
    /// <param name="stride">Distance of the input's pixels in the output.</param>
    /// <param name="padding">Rows and columns taken away on every side of the output.</param>
    /// <returns>(B, (H - 1) stride - 2 padding + Kh, ..., Cout).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or the output would be empty.</exception>
    public static Tensor ConvTranspose2d(Tensor x, Tensor weight, Tensor? bias = null, int stride = 1, int padding = 0)
    {
        Check.Rank(x, 4, "ConvTranspose2d", "(B, H, W, Cin)");
        Check.Rank(weight, 4, "ConvTranspose2d", "weight (Cin, Cout, Kh, Kw)");
        Shape w = weight.Shape;
        Check.That(w[0] == x.Shape[3] && stride > 0 && padding >= 0, "ConvTranspose2d", $"input {x.Shape}, weight {w}, stride {stride}, padding {padding}; expected (B, H, W, Cin) and (Cin, Cout, Kh, Kw)");
        Check.Extents(bias, "ConvTranspose2d", "bias", w[1]);
        Check.That(
            x.Shape.Product(1, 4) > 0 && weight.Count > 0, "ConvTranspose2d",
            $"input {x.Shape} and weight {w}; expected none to be empty, but for the batch");
        long outHeight = (x.Shape[1] - 1L) * stride - 2L * padding + w[2], outWidth = (x.Shape[2] - 1L) * stride - 2L * padding + w[3];
        Check.That(
            outHeight > 0 && outHeight + 2L * padding <= int.MaxValue && outWidth > 0 && outWidth + 2L * padding <= int.MaxValue,
            "ConvTranspose2d",
            $"input {x.Shape}, weight {w}, stride {stride}, padding {padding} give an output of {outHeight} x {outWidth}");
        int height = (int)outHeight, width = (int)outWidth;

        // Seen from the other side: a convolution whose input is this output.
        ConvShape s = new(x.Shape[0], height, width, w[1], x.Shape[1], x.Shape[2], w[0], w[2], w[3], stride, stride, padding, padding, 1, 1, 1);
        Tensor y = Tensor.Empty(s.Batch, height, width, w[1]);
        if (s.Batch == 0) return Independent(y, x, weight, bias);
        SpreadColumns(s, x.Pointer, weight, bias is null ? null : bias.Pointer, y.Pointer, add: false);
        MultiplyAdds.Add(s.MultiplyAdds);

        if (Tape.Needs(x, weight, bias))
            Tape.Push(y, (x, weight, bias, s), static (context, dy) =>
            {
                (Tensor x, Tensor weight, Tensor? bias, ConvShape s) = context;
                if (x.NeedsGrad)
                {
                    GradSlot dx = x.OpenGrad();
                    Correlate(s, dy.Pointer, weight, flipped: false, dx.Pointer, new Epilogue(add: dx.Accumulate));
                }
                if (weight.NeedsGrad)
                {
                    GradSlot dw = weight.OpenGrad();
                    Conv.WeightGradient(s, dy.Pointer, x.Pointer, dw.Pointer, dw.Accumulate);
                }
                BiasGradient(bias, dy, s.Cin);
            }, x, weight);
        return y;
    }

    private static Tensor Convolve(
        string name, Tensor x, Tensor weight, Tensor? bias, int strideY, int strideX, int paddingY, int paddingX, int dilationY, int dilationX, int groups,
        bool relu = false)
    {
        Shape w = weight.Shape;
        Check.That(
            groups > 0 && strideX > 0 && paddingX >= 0 && dilationX > 0 && x.Shape[3] == (long)w[1] * groups && w[0] % groups == 0
            && x.Shape.Product(1, 4) > 0 && weight.Count > 0, name,
            $"input {x.Shape}, weight {w}, stride {strideX}, padding {paddingX}, dilation {dilationX}, groups {groups}; "
            + $"expected channels last and weight (Cout, Cin / groups, ...), none empty but for the batch");
        Check.Extents(bias, name, "bias", w[0]);
        // The padded image within 31 bits: no place in it, nor a tap of a window inside it, overflows an int.
        long paddedY = x.Shape[1] + 2L * paddingY, paddedX = x.Shape[2] + 2L * paddingX;
        long roomY = paddedY - (dilationY * (w[2] - 1L) + 1), roomX = paddedX - (dilationX * (w[3] - 1L) + 1);
        Check.That(
            roomY >= 0 && paddedY <= int.MaxValue && roomX >= 0 && paddedX <= int.MaxValue, name,
            $"input {x.Shape} with padding {paddingX} and the window of weight {w} with dilation {dilationX}; expected the window to fit");
        int height = (int)(roomY / strideY) + 1, width = (int)(roomX / strideX) + 1;

        ConvShape s = new(
            x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3], height, width, w[0], w[2], w[3], strideY, strideX, paddingY, paddingX, dilationY, dilationX, groups);
        Tensor y = Tensor.Empty(s.Batch, height, width, s.Cout);
        if (s.Batch == 0) return Independent(y, x, weight, bias);
        float* b = bias is null ? null : bias.Pointer;
        bool depthwise = groups == s.Cin && groups > 1;
        if (depthwise) DepthwiseConv.Forward(s, x.Pointer, weight.Pointer, b, y.Pointer);
        else if (PlanarConv.Suits(s)) PlanarConv.Forward(s, x.Pointer, weight.Pointer, b, y.Pointer, add: false);
        else Correlate(s, x.Pointer, weight, flipped: false, y.Pointer, new Epilogue(b, relu: relu), exact: Tape.Needs(x, weight, bias));
        if (relu && (depthwise || PlanarConv.Suits(s))) Launch.Run(new ActivationForward<Relu> { X = y.Pointer, Y = y.Pointer }, y.Count, Launch.ElementGrain);
        MultiplyAdds.Add(s.MultiplyAdds);

        if (Tape.Needs(x, weight, bias))
            Tape.Push(y, (x, weight, bias, y, s, depthwise, relu), static (context, dy) =>
            {
                (Tensor x, Tensor weight, Tensor? bias, Tensor y, ConvShape s, bool depthwise, bool relu) = context;
                if (relu)
                {
                    Tensor through = Tensor.Empty(y.Shape);
                    Launch.Run(new ActivationBackward<Relu> { XOrY = y.Pointer, Dy = dy.Pointer, Dx = through.Pointer }, y.Count, Launch.ElementGrain);
                    dy = through;
                }
                if (x.NeedsGrad)
                {
                    GradSlot dx = x.OpenGrad();
                    if (depthwise) DepthwiseConv.InputGradient(s, dy.Pointer, weight.Pointer, dx.Pointer, dx.Accumulate);
                    else InputGradient(s, dy.Pointer, weight, dx.Pointer, dx.Accumulate);
                }
                if (weight.NeedsGrad)
                {
                    GradSlot dw = weight.OpenGrad();
                    if (depthwise) DepthwiseConv.WeightGradient(s, x.Pointer, dy.Pointer, dw.Pointer, dw.Accumulate);
                    else if (PlanarConv.Suits(s)) PlanarConv.WeightGradient(s, x.Pointer, dy.Pointer, dw.Pointer, dw.Accumulate);
                    else Conv.WeightGradient(s, x.Pointer, dy.Pointer, dw.Pointer, dw.Accumulate);
                }
                BiasGradient(bias, dy, s.Cout);
            }, x, weight, relu ? y : null);
        return y;
    }

    /// <summary>
    /// y = x * weight, by the kernel that suits the shape; flipped, s is the convolution that is the input gradient of one with this weight. Exact
    /// is what a recorded forward pass is: minimal filtering, with five times the rounding, would take more of a ReLU's inputs across its kink, and a
    /// gradient jumps there. What is linear, inference and the gradients themselves, bears it.
    /// </summary>
    private static void Correlate(in ConvShape s, float* x, Tensor weight, bool flipped, float* y, in Epilogue epilogue, bool exact = false)
    {
        ConvPacking packing = new(s, flipped);
        if (!exact && Winograd.Suits(s))
        {
            using PackedWeight points = PackedWeight.Of(weight, new WinogradPacking(packing));
            Winograd.Forward(s, x, points.Pointer, y, epilogue);
            return;
        }
        using PackedWeight packed = PackedWeight.Of(weight, packing);
        Conv.Forward(s, x, packed.Pointer, y, epilogue);
    }

    private static void InputGradient(in ConvShape s, float* dy, Tensor weight, float* dx, bool add)
    {
        if (s.StrideX == 1 && s.StrideY == 1)
        {
            ConvShape gradient = s.InputGradient;
            if (PlanarConv.Suits(gradient))
            {
                using Scratch turned = new((nint)gradient.Cout * gradient.Depth);
                PlanarConv.Flip(gradient, weight.Pointer, turned.Pointer);
                PlanarConv.Forward(gradient, dy, turned.Pointer, null, dx, add);
                return;
            }
            Correlate(gradient, dy, weight, flipped: true, dx, new Epilogue(add: add));
        }
        else if (s.Groups == 1) SpreadColumns(s, dy, weight, null, dx, add);
        else
        {
            // Strided and grouped at once is rare: the plain convolution of the group-free gradient, over weights with zeros between the groups.
            int taps = s.KernelHeight * s.KernelWidth;
            Tensor dense = Tensor.Zeros(s.Cout, s.Cin, taps);
            for (int co = 0; co < s.Cout; co++)
                weight.Span.Slice(co * s.Depth, s.Depth).CopyTo(dense.Span[((co * s.Cin + co / s.CoutGroup * s.CinGroup) * taps)..]);
            SpreadColumns(s with { Groups = 1 }, dy, dense, null, dx, add);
        }
    }

    /// <summary>large = columns to image of (small weight): the small image is the output side of the convolution s.</summary>
    private static void SpreadColumns(in ConvShape s, float* small, Tensor weight, float* bias, float* large, bool add)
    {
        int taps = s.KernelHeight * s.KernelWidth;
        nint columns = (nint)taps * s.Cin, pixels = (nint)s.Batch * s.OutHeight * s.OutWidth;
        VectorWidth width = Isa.For(columns);
        using Scratch rows = new(pixels * columns);
        using PackedWeight packed = PackedWeight.Of(weight, new Col2ImPacking(s.Cout, s.Cin, taps, width));
        Gemm.RunPacked(pixels, columns, s.Cout, new Matrix(small, s.Cout), packed.Pointer, rows.Pointer, columns, default, width);
        Launch.Run(
            new Col2Im { Shape = s, Columns = rows.Pointer, Bias = bias, Image = large, Add = add }, (nint)s.Batch * s.Height,
            Math.Max(1, 4096 / Math.Max(1, (nint)s.Width * s.Cin)));
    }

    private static void BiasGradient(Tensor? bias, Tensor dy, int channels)
    {
        if (Open(bias) is not { } db) return;
        ColumnSums.Run(dy.Pointer, dy.Count / channels, channels, channels, db.Pointer, db.Accumulate);
    }
}
