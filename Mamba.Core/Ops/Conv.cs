using Mamba.Core.Kernels;
using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Kernels.Quantized;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Two-dimensional convolution (cross-correlation, as PyTorch's conv2d) with zero padding.</summary>
    /// <param name="x">(B, H, W, Cin); B may be 0.</param>
    /// <param name="weight">(Cout, Cin / groups, Kh, Kw).</param>
    /// <param name="bias">(Cout), or null.</param>
    /// <param name="options">Stride, padding, dilation, groups, activation; <see cref="ConvOptions.Default"/> if null.</param>
    /// <returns>(B, (H + top + bottom - dilation (Kh - 1) - 1) / stride + 1, ..., Cout).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or the window does not fit into the padded image.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A stride, dilation or number of groups is not positive, or a padding is
    /// negative.</exception>
    /// <exception cref="ArgumentException">Padding is 'same' with a stride, or an output padding is given.</exception>
    public static Tensor Conv2d(Tensor x, Tensor weight, Tensor? bias = null, ConvOptions? options = null)
    {
        Check.Rank(x, 4, "Conv2d", "(B, H, W, Cin)");
        Check.Rank(weight, 4, "Conv2d", "weight (Cout, Cin / groups, Kh, Kw)");
        options ??= ConvOptions.Default;
        CheckWeight("Conv2d", weight);
        Window window = Window.Of("Conv2d", (weight.Shape[2], weight.Shape[3]), options.Stride, options.Padding, options.Dilation);
        return Convolve("Conv2d", x, weight, bias, window, options);
    }

    /// <summary>One-dimensional convolution (cross-correlation, as PyTorch's conv1d) with zero padding.</summary>
    /// <param name="x">(B, L, Cin); B may be 0.</param>
    /// <param name="weight">(Cout, Cin / groups, K).</param>
    /// <param name="bias">(Cout), or null.</param>
    /// <param name="options">Only the column values are used; <see cref="ConvOptions.Default"/> if null.</param>
    /// <returns>(B, (L + left + right - dilation (K - 1) - 1) / stride + 1, Cout).</returns>
    /// <inheritdoc cref="Conv2d" path="/exception"/>
    public static Tensor Conv1d(Tensor x, Tensor weight, Tensor? bias = null, ConvOptions? options = null)
    {
        Check.Rank(x, 3, "Conv1d", "(B, L, Cin)");
        Check.Rank(weight, 3, "Conv1d", "weight (Cout, Cin / groups, K)");
        options ??= ConvOptions.Default;
        CheckWeight("Conv1d", weight);
        Window window = Window.OfSequence("Conv1d", weight.Shape[2], options.Stride, options.Padding, options.Dilation);
        return Sequence(Convolve("Conv1d", OneRow(x), OneRowKernel(weight), bias, window, options));
    }

    private static Tensor Convolve(string name, Tensor x, Tensor weight, Tensor? bias, in Window window, ConvOptions options)
    {
        int groups = CheckGroups(name, options);
        CheckActivation(name, options.Activation);
        if (options.OutputPadding != 0)
            throw new ArgumentException($"{name}: output padding {options.OutputPadding} is for transposed convolutions.", nameof(options));
        Shape w = weight.Shape;
        Check.That(
            x.Shape[3] == (long)w[1] * groups && w[0] % groups == 0 && x.Shape[1] > 0 && x.Shape[2] > 0 && x.Shape[3] > 0, name,
            $"input {x.Shape}, weight {w}, groups {groups}; expected channels last and weight (Cout, Cin / groups, ...), none empty");
        Check.Extents(bias, name, "bias", w[0]);
        Size2d outputs = window.Outputs(name, x.Shape);
        Tensor y = Tensor.Empty(Shape.Of(name, x.Shape[0], outputs.Height, outputs.Width, w[0]));
        ConvShape s = window.Convolution(x.Shape, y.Shape, groups);

        bool depthwise = s.IsDepthwise, planar = PlanarConv.Suits(s), narrow = !planar && NarrowConv.Suits(s);
        bool relu = options.Activation == Activation.Relu;
        float* b = bias.Pointer;
        if (s.Batch == 0) { } // nothing to compute
        else if (Quantized(s, x, weight, bias, y, new Epilogue(b, relu: relu))) planar = narrow = false; // ReLU is done
        else if (depthwise) DepthwiseConv.Forward(s, x.Pointer, weight.Pointer, b, y.Pointer);
        else if (planar) PlanarConv.Forward(s, x.Pointer, weight.Pointer, b, y.Pointer);
        else if (narrow) NarrowConv.Forward(s, x.Pointer, weight.Pointer, b, y.Pointer);
        else if (Tape.Needs(x, weight, bias)) CorrelateExactly(s, x.Pointer, weight, y.Pointer, new Epilogue(b, relu: relu), options);
        else Correlate(s, x.Pointer, weight, flipped: false, y.Pointer, new Epilogue(b, relu: relu));
        if (relu && (depthwise || planar || narrow)) Launch.Run(new ActivationForward<Relu> { X = y.Pointer, Y = y.Pointer }, y.Count,
            Launch.ElementGrain);
        MultiplyAdds.Add(s.MultiplyAdds);

        if (Tape.Needs(x, weight, bias))
            Tape.Record(y, new ConvStep(x, weight, bias, relu ? y : null, s), static (step, dy) => step.Values.Backward(dy), x, weight,
                relu ? y : null);
        return relu ? y : Finish(options.Activation, y, recorded: Tape.Needs(x, weight, bias));
    }

    /// <summary>
    /// Applies the activation to a result. Where nothing is recorded, no one else reads the result, so ReLU6 and SiLU run in place.
    /// </summary>
    private static Tensor Finish(Activation activation, Tensor y, bool recorded) => activation switch
    {
        Activation.Relu6 when !recorded => Overwrite<Relu6>(y),
        Activation.Silu when !recorded => Overwrite<Silu>(y),
        _ => Apply(activation, y),
    };

    private static Tensor Overwrite<TActivation>(Tensor y) where TActivation : unmanaged, IActivation
    {
        Launch.Run(new MapForward<Plain<TActivation>> { X = y.Pointer, Y = y.Pointer }, y.Count, Launch.ElementGrain);
        if (TActivation.TakesExponential) MultiplyAdds.Add(0, y.Count);
        return y;
    }

    /// <summary>
    /// Convolves in int8 where the weight is frozen and its inputs have a scale. A linear layer is a convolution of one pixel per row.
    /// </summary>
    /// <returns>False if the float32 kernels must run.</returns>
    private static bool Quantized(in ConvShape s, Tensor x, Tensor weight, Tensor? bias, Tensor y, in Epilogue epilogue)
    {
        if (weight.Forms?.Inputs is not { } inputs || !QuantizedConv.Suits(s) || Tape.Needs(x, weight, bias)) return false;
        inputs.Observer?.Invoke(x.Span);
        if (inputs.Scale is not { } scale) return false;
        QuantizedPacking packing = new(s, scale);
        using PackedWeight packed = PackedWeight.Of(weight, packing);
        QuantizedConv.Forward(s, x.Pointer, packing, packed.Pointer, y.Pointer, epilogue);
        return true;
    }

    /// <summary>A recorded convolution; Result is set where ReLU is fused.</summary>
    private readonly record struct ConvStep(Tensor X, Tensor Weight, Tensor? Bias, Tensor? Result, ConvShape Shape)
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
            if (Result is { } y)
            {
                Tensor through = Tensor.Empty(y.Shape);
                Launch.Run(new ActivationBackward<Relu> { XOrY = y.Pointer, Dy = dy.Pointer, Dx = through.Pointer }, y.Count,
                    Launch.ElementGrain);
                dy = through;
            }
            if (Open(X) is { } dx)
            {
                if (Shape.IsDepthwise) DepthwiseConv.InputGradient(Shape, dy.Pointer, Weight.Pointer, dx.Target);
                else InputGradient(Shape, dy.Pointer, Weight, dx.Target);
            }
            if (Open(Weight) is { } dw)
            {
                if (Shape.IsDepthwise) DepthwiseConv.WeightGradient(Shape, X.Pointer, dy.Pointer, dw.Target);
                else if (PlanarConv.Suits(Shape)) PlanarConv.WeightGradient(Shape, X.Pointer, dy.Pointer, dw.Target);
                else Conv.WeightGradient(Shape, X.Pointer, dy.Pointer, dw.Target);
            }
            BiasGradient(Bias, dy, Shape.Cout);
        }
    }

    /// <summary>
    /// The forward pass while recording, without Winograd. Winograd has five times the rounding error, which flips the sign of more ReLU
    /// inputs; the gradient jumps there. Inference and the gradients themselves may use Winograd.
    /// </summary>
    private static void CorrelateExactly(
        in ConvShape s, float* x, Tensor weight, float* y, in Epilogue epilogue, ConvOptions options)
    {
        using PackedWeight packed = PackedWeight.Of(weight, new ConvPacking(s, flipped: false));
        if (options.ShortSums) Conv.ForwardInBands(s, x, packed.Pointer, y, epilogue, Conv.WidthFor(s));
        else Conv.Forward(s, x, packed.Pointer, y, epilogue);
    }

    /// <summary>
    /// y = x * weight, by the kernel that suits the shape. If flipped, s is the convolution that computes the input gradient of one with
    /// this weight.
    /// </summary>
    private static void Correlate(in ConvShape s, float* x, Tensor weight, bool flipped, float* y, in Epilogue epilogue)
    {
        ConvPacking packing = new(s, flipped);
        if (Winograd.Suits(s))
        {
            using PackedWeight points = PackedWeight.Of(weight, new WinogradPacking(packing));
            Winograd.Forward(s, x, points.Pointer, y, epilogue);
            return;
        }
        using PackedWeight packed = PackedWeight.Of(weight, packing);
        Conv.Forward(s, x, packed.Pointer, y, epilogue);
    }

    private static void InputGradient(in ConvShape s, float* dy, Tensor weight, GradientTarget dx)
    {
        if (s.StrideX != 1 || s.StrideY != 1)
        {
            SpreadColumns(s, dy, weight, null, dx.Pointer, dx.Accumulate);
            return;
        }
        ConvShape gradient = s.InputGradient;
        if (PlanarConv.Suits(gradient))
        {
            using Scratch turned = new((nint)gradient.Cout * gradient.Depth);
            PlanarConv.Flip(gradient, weight.Pointer, turned.Pointer);
            PlanarConv.Forward(gradient, dy, turned.Pointer, null, dx);
            return;
        }
        Correlate(gradient, dy, weight, flipped: true, dx.Pointer, new Epilogue(add: dx.Accumulate));
    }

    /// <summary>
    /// large = col2im of (small weight), where small is the output side of the convolution s. It runs group by group and band by band, so
    /// that scratch does not grow with the batch or the image.
    /// </summary>
    private static void SpreadColumns(in ConvShape s, float* small, Tensor weight, float* bias, float* large, bool add)
    {
        nint columns = s.Depth;
        VectorWidth width = Isa.For(columns);
        Col2ImPacking packing = new(s.CoutGroup, s.CinGroup, s.KernelHeight * s.KernelWidth, s.Groups, width);
        using PackedWeight packed = PackedWeight.Of(weight, packing);
        ColumnBands bands = new(s);
        for (nint i = 0; i < bands.Count; i++)
        {
            ColumnBand band = bands[i];
            nint pixels = band.Images * band.OutRows * s.OutWidth;
            float* first = small + (band.FirstImage * s.OutHeight + band.FirstOut) * s.OutWidth * s.Cout;
            using Scratch rows = new(pixels * columns);
            for (int group = 0; group < s.Groups; group++)
            {
                Matrix outputs = new(first + group * s.CoutGroup, s.Cout);
                Gemm.RunPacked(pixels, columns, s.CoutGroup, outputs, packed.Pointer + group * packing.GroupSize, rows.Pointer, columns,
                    default, width);
                Launch.Run(
                    new Col2Im { Shape = s, Band = band, Group = group, Columns = rows.Pointer, Bias = bias, Image = large, Add = add },
                    band.Images * band.Rows, Math.Max(1, 4096 / Math.Max(1, s.Width * (nint)s.CinGroup)));
            }
        }
    }

    private static void BiasGradient(Tensor? bias, Tensor dy, int channels)
    {
        if (Open(bias) is not { } db) return;
        ColumnSums.Run(dy.Pointer, dy.Count / channels, channels, channels, db.Target);
    }

    /// <summary>A zero gradient, for a tensor that the result does not depend on, such as a weight of an empty batch.</summary>
    private static void NoGradient(Tensor? x)
    {
        if (Open(x) is { Accumulate: false } dx) dx.Span.Clear();
    }

    private static int CheckGroups(string name, ConvOptions options) => options.Groups > 0
        ? options.Groups
        : throw new ArgumentOutOfRangeException(nameof(options), options.Groups, $"{name}: expected a positive number of groups.");

    private static void CheckWeight(string name, Tensor weight) => Check.That(weight.Count > 0, name,
        $"weight {weight.Shape}; expected none to be empty");

    /// <summary>(B, L, C) as an image of one row, (B, 1, L, C).</summary>
    private static Tensor OneRow(Tensor x) => x.Reshape(x.Shape[0], 1, x.Shape[1], x.Shape[2]);

    /// <summary>(Cout, Cin / groups, K) as a kernel of one row.</summary>
    private static Tensor OneRowKernel(Tensor weight) => weight.Reshape(weight.Shape[0], weight.Shape[1], 1, weight.Shape[2]);

    /// <summary>An image of one row, (B, 1, L, C), as a sequence (B, L, C).</summary>
    private static Tensor Sequence(Tensor y) => y.Reshape(y.Shape[0], y.Shape[2], y.Shape[3]);
}
