using Mamba.Core.Kernels;
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
    /// <returns>(B, (H + 2 padding - dilation (Kh - 1) - 1) / stride + 1, ..., Cout).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or the window does not fit into the padded image.</exception>
    public static Tensor Conv2d(Tensor x, Tensor weight, Tensor? bias = null, int stride = 1, int padding = 0, int dilation = 1, int groups = 1)
    {
        Check.Rank(x, 4, "Conv2d", "(B, H, W, Cin)");
        Check.Rank(weight, 4, "Conv2d", "weight (Cout, Cin / groups, Kh, Kw)");
        return Convolve("Conv2d", x, weight, bias, stride, stride, padding, padding, dilation, dilation, groups);
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
        Check.That(x.Count > 0 && weight.Count > 0, "ConvTranspose2d", $"input {x.Shape} and weight {w}; expected none to be empty");
        long outHeight = (x.Shape[1] - 1L) * stride - 2L * padding + w[2], outWidth = (x.Shape[2] - 1L) * stride - 2L * padding + w[3];
        Check.That(
            outHeight is > 0 and <= int.MaxValue && outWidth is > 0 and <= int.MaxValue, "ConvTranspose2d",
            $"input {x.Shape}, weight {w}, stride {stride}, padding {padding} give an output of {outHeight} x {outWidth}");
        int height = (int)outHeight, width = (int)outWidth;

        // Seen from the other side: a convolution whose input is this output.
        ConvShape s = new(x.Shape[0], height, width, w[1], x.Shape[1], x.Shape[2], w[0], w[2], w[3], stride, stride, padding, padding, 1, 1, 1);
        Tensor y = Tensor.Empty(s.Batch, height, width, w[1]);
        SpreadColumns(s, x.Pointer, weight.Pointer, bias is null ? null : bias.Pointer, y.Pointer, add: false);
        MultiplyAdds.Add(s.MultiplyAdds);

        if (Tape.Needs(x, weight, bias))
            Tape.Push(y, dy =>
            {
                if (x.NeedsGrad)
                {
                    GradSlot dx = x.OpenGrad();
                    using PackedConv packed = new(s, weight.Pointer, flipped: false);
                    Conv.Forward(s, dy.Pointer, packed.Pointer, null, dx.Pointer, dx.Accumulate, packed.Width);
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
        string name, Tensor x, Tensor weight, Tensor? bias, int strideY, int strideX, int paddingY, int paddingX, int dilationY, int dilationX, int groups)
    {
        Shape w = weight.Shape;
        Check.That(
            groups > 0 && strideX > 0 && paddingX >= 0 && dilationX > 0 && x.Shape[3] == (long)w[1] * groups && w[0] % groups == 0 && x.Count > 0 && weight.Count > 0, name,
            $"input {x.Shape}, weight {w}, stride {strideX}, padding {paddingX}, dilation {dilationX}, groups {groups}; expected channels last and weight (Cout, Cin / groups, ...), none empty");
        Check.Extents(bias, name, "bias", w[0]);
        long roomY = x.Shape[1] + 2L * paddingY - (dilationY * (w[2] - 1L) + 1), roomX = x.Shape[2] + 2L * paddingX - (dilationX * (w[3] - 1L) + 1);
        Check.That(
            roomY is >= 0 and < int.MaxValue && roomX is >= 0 and < int.MaxValue, name,
            $"input {x.Shape} with padding {paddingX} and the window of weight {w} with dilation {dilationX}; expected the window to fit");
        int height = (int)(roomY / strideY) + 1, width = (int)(roomX / strideX) + 1;

        ConvShape s = new(
            x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3], height, width, w[0], w[2], w[3], strideY, strideX, paddingY, paddingX, dilationY, dilationX, groups);
        Tensor y = Tensor.Empty(s.Batch, height, width, s.Cout);
        float* b = bias is null ? null : bias.Pointer;
        bool depthwise = groups == s.Cin && groups > 1;
        if (depthwise) DepthwiseConv.Forward(s, x.Pointer, weight.Pointer, b, y.Pointer);
        else if (PlanarConv.Suits(s)) PlanarConv.Forward(s, x.Pointer, weight.Pointer, b, y.Pointer, add: false);
        else
        {
            using PackedConv packed = new(s, weight.Pointer, flipped: false);
            Conv.Forward(s, x.Pointer, packed.Pointer, b, y.Pointer, add: false, packed.Width);
        }
        MultiplyAdds.Add(s.MultiplyAdds);

        if (Tape.Needs(x, weight, bias))
            Tape.Push(y, dy =>
            {
                if (x.NeedsGrad)
                {
                    GradSlot dx = x.OpenGrad();
                    if (depthwise) DepthwiseConv.InputGradient(s, dy.Pointer, weight.Pointer, dx.Pointer, dx.Accumulate);
                    else InputGradient(s, dy.Pointer, weight.Pointer, dx.Pointer, dx.Accumulate);
                }
                if (weight.NeedsGrad)
                {
                    GradSlot dw = weight.OpenGrad();
                    if (depthwise) DepthwiseConv.WeightGradient(s, x.Pointer, dy.Pointer, dw.Pointer, dw.Accumulate);
                    else if (PlanarConv.Suits(s)) PlanarConv.WeightGradient(s, x.Pointer, dy.Pointer, dw.Pointer, dw.Accumulate);
                    else Conv.WeightGradient(s, x.Pointer, dy.Pointer, dw.Pointer, dw.Accumulate);
                }
                BiasGradient(bias, dy, s.Cout);
            }, x, weight);
        return y;
    }

    private static void InputGradient(in ConvShape s, float* dy, float* weight, float* dx, bool add)
    {
        if (s.StrideX == 1 && s.StrideY == 1)
        {
            ConvShape gradient = s.InputGradient;
            if (PlanarConv.Suits(gradient))
            {
                using Scratch turned = new((nint)gradient.Cout * gradient.Depth);
                PlanarConv.Flip(gradient, weight, turned.Pointer);
                PlanarConv.Forward(gradient, dy, turned.Pointer, null, dx, add);
                return;
            }
            using PackedConv packed = new(gradient, weight, flipped: true);
            Conv.Forward(gradient, dy, packed.Pointer, null, dx, add, packed.Width);
        }
        else if (s.Groups == 1) SpreadColumns(s, dy, weight, null, dx, add);
        else
        {
            // Strided and grouped at once is rare: the plain convolution of the group-free gradient, over weights with zeros between the groups.
            using Scratch dense = new((nint)s.Cout * s.Cin * s.KernelHeight * s.KernelWidth);
            int taps = s.KernelHeight * s.KernelWidth;
            new Span<float>(dense.Pointer, s.Cout * s.Cin * taps).Clear();
            for (int co = 0; co < s.Cout; co++)
                new ReadOnlySpan<float>(weight + co * s.Depth, s.Depth).CopyTo(
                    new Span<float>(dense.Pointer + (co * s.Cin + co / s.CoutGroup * s.CinGroup) * taps, s.Depth));
            SpreadColumns(s with { Groups = 1 }, dy, dense.Pointer, null, dx, add);
        }
    }

    /// <summary>large = columns to image of (small weight): the small image is the output side of the convolution s.</summary>
    private static void SpreadColumns(in ConvShape s, float* small, float* weight, float* bias, float* large, bool add)
    {
        nint taps = s.KernelHeight * s.KernelWidth, columns = taps * s.Cin, pixels = (nint)s.Batch * s.OutHeight * s.OutWidth;
        // (Cout, Cin, taps) to (Cout, taps, Cin), so that the channels of a tap are adjacent in a column row.
        using Scratch reordered = new(s.Cout * columns), rows = new(pixels * columns);
        for (nint co = 0; co < s.Cout; co++)
            for (nint ci = 0; ci < s.Cin; ci++)
                for (nint tap = 0; tap < taps; tap++)
                    reordered.Pointer[co * columns + tap * s.Cin + ci] = weight[(co * s.Cin + ci) * taps + tap];
        Gemm.Run(pixels, columns, s.Cout, new Matrix(small, s.Cout), new Matrix(reordered.Pointer, columns), rows.Pointer, columns);
        Launch.Run(
            new ColumnsToImage { Shape = s, Columns = rows.Pointer, Bias = bias, Image = large, Add = add }, (nint)s.Batch * s.Height,
            Math.Max(1, 4096 / Math.Max(1, s.Width * s.Cin)));
    }

    private static void BiasGradient(Tensor? bias, Tensor dy, int channels)
    {
        if (bias is not { NeedsGrad: true }) return;
        GradSlot db = bias.OpenGrad();
        ColumnSums.Run(dy.Pointer, dy.Count / channels, channels, channels, db.Pointer, db.Accumulate);
    }

    /// <summary>The packed weights of one call.</summary>
    private readonly ref struct PackedConv
    {
        private readonly Scratch _scratch;

        public PackedConv(in ConvShape s, float* weight, bool flipped)
        {
            Width = Conv.WidthFor(s);
            _scratch = new Scratch(s.Groups * PackPanels.Size(s.Depth, s.CoutGroup, Width));
            if (flipped) Conv.PackFlippedWeights(s, weight, _scratch.Pointer, Width);
            else Conv.PackWeights(s, weight, _scratch.Pointer, Width);
        }

        public VectorWidth Width { get; }

        public float* Pointer => _scratch.Pointer;

        public void Dispose() => _scratch.Dispose();
    }
}
