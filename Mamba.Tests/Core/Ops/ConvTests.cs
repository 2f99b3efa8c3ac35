using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ConvTests(VectorWidth width)
{
    private static readonly ConvOptions s_padded = new() { Padding = 1 };

    // batch, height, width, inputs, outputs, kernel, stride, padding, dilation, groups
    [TestCase(1, 1, 1, 1, 1, 1, 1, 0, 1, 1)]
    [TestCase(3, 5, 6, 3, 17, 3, 1, 1, 1, 1)]
    [TestCase(1, 2, 14, 17, 33, 3, 1, 1, 1, 1)]
    [TestCase(1, 6, 5, 33, 1, 3, 1, 0, 1, 1)]
    [TestCase(3, 7, 8, 1, 3, 3, 2, 1, 1, 1)]
    [TestCase(1, 9, 8, 3, 5, 5, 3, 2, 1, 1)]
    [TestCase(1, 8, 12, 3, 17, 4, 4, 0, 1, 1)]
    [TestCase(1, 9, 11, 2, 3, 3, 1, 2, 2, 1)]
    [TestCase(1, 12, 10, 3, 2, 3, 2, 3, 3, 1)]
    [TestCase(1, 3, 4, 3, 5, 1, 1, 0, 1, 1)]
    [TestCase(1, 3, 4, 3, 5, 1, 1, 2, 1, 1)] // more padding than the window is wide: the input gradient has a negative one
    [TestCase(1, 2, 2, 2, 3, 3, 1, 5, 1, 1)] // more padding than image
    [TestCase(1, 6, 5, 6, 9, 3, 1, 1, 1, 3)]
    [TestCase(3, 6, 5, 4, 34, 3, 1, 1, 1, 2)]
    [TestCase(1, 7, 6, 4, 6, 3, 2, 1, 1, 2)]
    [TestCase(1, 7, 9, 4, 4, 3, 2, 2, 2, 2)]
    [TestCase(3, 5, 4, 17, 17, 3, 1, 1, 1, 17)]
    [TestCase(1, 9, 8, 33, 33, 3, 2, 1, 1, 33)]
    [TestCase(1, 9, 8, 3, 3, 3, 1, 2, 2, 3)]
    [TestCase(1, 5, 6, 3, 12, 3, 1, 1, 1, 3)]
    [TestCase(3, 6, 7, 5, 10, 5, 2, 2, 1, 5)]
    [TestCase(2, 5, 6, 20, 20, 3, 1, 1, 1, 20)] // depthwise with a window: every padding, images narrower and lower than it
    [TestCase(1, 3, 3, 5, 5, 3, 1, 0, 1, 5)]
    [TestCase(2, 4, 5, 33, 33, 3, 1, 0, 1, 33)]
    [TestCase(1, 1, 1, 17, 17, 3, 1, 1, 1, 17)]
    [TestCase(2, 1, 2, 9, 9, 3, 1, 1, 1, 9)]
    [TestCase(2, 2, 1, 16, 16, 3, 1, 2, 1, 16)]
    [TestCase(1, 3, 4, 7, 7, 3, 1, 2, 1, 7)]
    [TestCase(1, 2, 3, 6, 6, 3, 1, 3, 1, 6)] // more padding than the window
    [TestCase(3, 4, 3, 8, 32, 3, 1, 1, 1, 8)] // four output channels an input channel, at each width that divides them
    [TestCase(1, 5, 4, 6, 24, 3, 1, 0, 1, 6)]
    [TestCase(2, 1, 1, 4, 16, 3, 1, 1, 1, 4)]
    [TestCase(1, 2, 3, 7, 28, 3, 1, 2, 1, 7)]
    [TestCase(1, 4, 5, 4, 16, 3, 2, 1, 1, 4)]
    [TestCase(1, 4, 5, 3, 9, 3, 1, 1, 1, 3)]
    [TestCase(1, 3, 4, 130, 130, 3, 1, 1, 1, 130)] // more channels than a block of the weight gradient
    [TestCase(2, 9, 2, 36, 144, 3, 1, 1, 1, 36)] // and parts of several rows, the last one with fewer
    [TestCase(1, 5, 230, 2, 3, 3, 1, 1, 1, 1)] // several bands an image, the last one lower
    [TestCase(3, 3, 500, 1, 2, 3, 2, 1, 1, 1)]
    [TestCase(5, 2, 3, 17, 33, 3, 1, 1, 1, 1)] // images smaller than a tile: the batch is one matrix
    [TestCase(4, 1, 1, 9, 130, 3, 1, 1, 1, 1)]
    [TestCase(3, 4, 5, 7, 18, 3, 2, 1, 1, 1)]
    [TestCase(2, 3, 3, 5, 6, 3, 1, 2, 2, 1)]
    [TestCase(1, 3, 3, 2, 130, 3, 1, 1, 1, 1)] // many output channels: panels are shared among threads
    [TestCase(2, 9, 37, 2, 1, 7, 1, 9, 3, 1)] // one or two output channels: pixels are the lanes
    [TestCase(1, 40, 41, 3, 2, 3, 1, 1, 1, 1)]
    [TestCase(2, 5, 67, 3, 8, 3, 1, 1, 1, 1)] // few output channels, wide rows: pixels are the lanes, the last step is not full
    [TestCase(1, 3, 64, 2, 4, 3, 1, 2, 2, 1)]
    [TestCase(1, 5, 131, 5, 4, 4, 1, 0, 1, 1)]
    [TestCase(1, 4, 66, 8, 8, 3, 1, 3, 1, 1)]
    [TestCase(1, 9, 70, 6, 2, 3, 1, 1, 1, 1)] // planes of channels that are no multiple of a block
    [TestCase(1, 5, 6, 1, 2, 5, 1, 0, 1, 1)]
    [TestCase(1, 2, 2, 2, 1, 3, 1, 5, 1, 1)]
    [TestCase(1, 4, 5, 70, 9, 5, 1, 4, 2, 1)] // dilated runs of channels are summed some at a time
    [TestCase(1, 16, 12, 16, 16, 3, 1, 1, 1, 1)] // minimal filtering: tiles of 4x4
    [TestCase(2, 13, 11, 17, 35, 3, 1, 1, 1, 1)] // tiles that reach beyond the image, channels that fill no vector
    [TestCase(1, 15, 14, 33, 16, 3, 1, 0, 1, 1)]
    [TestCase(13, 4, 3, 16, 130, 3, 1, 2, 1, 1)] // a tile an image, output channels shared among threads
    [TestCase(1, 5, 230, 16, 17, 3, 1, 1, 1, 1)] // more tiles in a row than a block has
    // the weight gradient, too, by minimal filtering: channels that fill no block, tiles beyond the image
    [TestCase(1, 11, 9, 49, 35, 3, 1, 1, 1, 1)]
    [TestCase(4, 4, 3, 33, 67, 3, 1, 2, 1, 1)]
    public void Conv2d_is_the_sum_over_taps(
        int batch, int height, int wide, int inputs, int outputs, int kernel, int stride, int padding, int dilation, int groups)
    {
        Naive.Convolution s = new(
            batch, height, wide, inputs, outputs, kernel, kernel, stride, stride, padding, padding, dilation, dilation, groups);
        Tensor x = Numbers.Random(1, batch, height, wide, inputs), bias = Numbers.Random(3, outputs);
        Tensor weight = Numbers.Random(2, outputs, inputs / groups, kernel, kernel);
        ConvOptions options = new() { Stride = stride, Padding = padding, Dilation = dilation, Groups = groups };
        OperatorCheck.Run(width, i => Ops.Conv2d(i[0], i[1], i[2], options), i => Naive.Conv2d(i[0], i[1], i[2], s), [x, weight, bias]);
    }

    // Direct, a batch as one matrix, minimal filtering in one part and in several.
    [TestCase(40, 16, 8)]
    [TestCase(3, 2, 24)]
    [TestCase(8, 12, 40)]
    [TestCase(64, 60, 40)]
    public void A_weight_gradient_is_the_sum_over_images(int height, int wide, int channels)
    {
        using IDisposable _ = Isa.Use(width);
        const int Batch = 3;
        Tensor x = Numbers.Random(1, Batch, height, wide, channels),
            dy = Numbers.Random(2, Batch, height, wide, channels),
            weight = Numbers.Random(3, channels, channels, 3, 3);
        weight.RequiresGrad = true;
        float[] whole = Gradient(0, Batch), sum = new float[whole.Length];
        for (int image = 0; image < Batch; image++)
            foreach ((int i, float part) in Gradient(image, 1).Index()) sum[i] += part;
        float largest = whole.Max(MathF.Abs);
        Assert.That(whole, Is.EqualTo(sum).Within(1e-5f * largest));

        float[] Gradient(int first, int count)
        {
            weight.ZeroGrad();
            using Tape tape = new();
            Tensor images = Ops.Slice(x, 0, first, count);
            tape.Backward(Ops.Conv2d(images, weight, options: s_padded), Ops.Slice(dy, 0, first, count));
            return weight.Grad!.Value.Span.ToArray();
        }
    }

    [Test]
    public void Conv2d_takes_other_than_square_windows()
    {
        Naive.Convolution s = new(2, 6, 7, 3, 5, 2, 4, 1, 1, 1, 1, 1, 1, 1);
        OperatorCheck.Run(
            width, i => Ops.Conv2d(i[0], i[1], options: s_padded), i => Naive.Conv2d(i[0], i[1], null, s), [Numbers.Random(1, 2, 6, 7,
                3), Numbers.Random(2, 5, 3, 2, 4)]);
    }

    // One for each kernel: direct, pointwise, small images, minimal filtering, depthwise, few outputs.
    [TestCase(1, 9, 14, 3, 35, 3, 1)]
    [TestCase(2, 5, 6, 9, 33, 1, 1)]
    [TestCase(5, 2, 3, 7, 33, 3, 1)]
    [TestCase(1, 14, 15, 16, 18, 3, 1)]
    [TestCase(1, 6, 7, 17, 17, 3, 17)]
    [TestCase(1, 6, 7, 8, 32, 3, 8)]
    [TestCase(1, 8, 9, 3, 2, 3, 1)]
    public void Conv2d_with_an_activation_is_the_activation_of_Conv2d(int batch, int height, int wide, int inputs, int outputs,
        int kernel, int groups)
    {
        using IDisposable _ = Isa.Use(width);
        ConvOptions options = new() { Padding = kernel / 2, Groups = groups };
        Tensor[] operands =
        [
            Numbers.Random(1, batch, height, wide, inputs), Numbers.Random(2, outputs, inputs / groups, kernel, kernel),
            Numbers.Random(3, outputs),
        ];
        foreach (Activation activation in new[] { Activation.Relu, Activation.LeakyRelu })
        {
            Assert.That(Run(recorded: true, fused: true, activation), Is.EqualTo(Run(recorded: true, fused: false, activation)));
            Assert.That(Run(recorded: false, fused: true, activation), Is.EqualTo(Run(recorded: false, fused: false, activation)));
        }

        // The output, and where it is recorded the gradients.
        float[][] Run(bool recorded, bool fused, Activation activation)
        {
            foreach (Tensor operand in operands)
            {
                operand.RequiresGrad = recorded;
                operand.ZeroGrad();
            }
            using Tape tape = new();
            Tensor y = Ops.Conv2d(operands[0], operands[1], operands[2], fused ? options with { Activation = activation } : options);
            if (!fused) y = activation == Activation.Relu ? Ops.Relu(y) : Ops.LeakyRelu(y);
            if (!recorded) return [y.Span.ToArray()];
            tape.Backward(y, Numbers.Random(4, y.Shape.ToArray()));
            return [y.Span.ToArray(), .. operands.Select(o => o.Grad!.Value.Span.ToArray())];
        }
    }

    // batch, length, inputs, outputs, kernel, stride, padding, dilation, groups
    [TestCase(3, 13, 3, 17, 3, 1, 1, 1, 1)]
    [TestCase(1, 13, 1, 1, 3, 1, 1, 1, 1)]
    [TestCase(1, 20, 4, 6, 5, 2, 3, 2, 2)]
    [TestCase(1, 11, 17, 17, 4, 1, 3, 1, 17)]
    [TestCase(3, 12, 3, 3, 4, 3, 0, 2, 3)]
    public void Conv1d_is_the_sum_over_taps(
        int batch, int length, int inputs, int outputs, int kernel, int stride, int padding, int dilation, int groups)
    {
        Naive.Convolution s = new(batch, 1, length, inputs, outputs, 1, kernel, 1, stride, 0, padding, 1, dilation, groups);
        Tensor x = Numbers.Random(1, batch, length, inputs),
            weight = Numbers.Random(2, outputs, inputs / groups, kernel),
            bias = Numbers.Random(3, outputs);
        ConvOptions options = new() { Stride = stride, Padding = padding, Dilation = dilation, Groups = groups };
        OperatorCheck.Run(width, i => Ops.Conv1d(i[0], i[1], i[2], options), i => Naive.Conv2d(i[0], i[1], i[2], s), [x, weight, bias]);
    }

    // One for each kernel that a shape can choose: direct, small images, minimal filtering, few outputs (and few inputs), depthwise with
    // its window, groups.
    [TestCase(1, 9, 14, 3, 35, 3, 1)]
    [TestCase(5, 2, 3, 7, 33, 3, 1)]
    [TestCase(1, 14, 15, 16, 18, 3, 1)]
    [TestCase(1, 8, 9, 3, 2, 3, 1)]
    [TestCase(1, 8, 9, 2, 20, 3, 1)]
    [TestCase(1, 6, 7, 17, 17, 3, 17)]
    [TestCase(1, 6, 7, 8, 32, 3, 8)]
    [TestCase(1, 6, 7, 6, 9, 3, 3)]
    public void Conv2d_takes_another_padding_on_each_side(int batch, int height, int wide, int inputs, int outputs, int kernel, int groups)
    {
        Tensor x = Numbers.Random(1, batch, height, wide, inputs), bias = Numbers.Random(3, outputs);
        Tensor weight = Numbers.Random(2, outputs, inputs / groups, kernel, kernel);
        Padding2d[] paddings = [new(1, 0, 0, 2), new(0, 2, 3, 0), new(0, 1, 1, 6)];
        foreach (Padding2d padding in inputs < 16 || groups > 1 ? paddings : paddings[..1])
        {
            Naive.Convolution s = new(batch, height, wide, inputs, outputs, kernel, kernel, 1, 1, padding.Top, padding.Left, 1, 1, groups)
            {
                Extra = (padding.Bottom - padding.Top, padding.Right - padding.Left),
            };
            ConvOptions options = new() { Padding = padding, Groups = groups };
            OperatorCheck.Run(width, i => Ops.Conv2d(i[0], i[1], i[2], options), i => Naive.Conv2d(i[0], i[1], i[2], s), [x, weight, bias]);
        }
    }

    // inputs, outputs, groups
    [TestCase(3, 5, 1)]
    [TestCase(1, 2, 1)]
    [TestCase(6, 4, 2)]
    [TestCase(5, 10, 5)]
    public void Conv2d_takes_pairs(int inputs, int outputs, int groups)
    {
        Naive.Convolution s = new(2, 9, 12, inputs, outputs, 2, 3, 2, 1, 1, 2, 3, 2, groups) { Extra = (1, -2) };
        ConvOptions options = new() { Stride = (2, 1), Padding = new Padding2d(1, 2, 2, 0), Dilation = (3, 2), Groups = groups };
        Tensor[] operands = [Numbers.Random(1, 2, 9, 12, inputs), Numbers.Random(2, outputs, inputs / groups, 2, 3), Numbers.Random(3,
            outputs)];
        OperatorCheck.Run(width, i => Ops.Conv2d(i[0], i[1], i[2], options), i => Naive.Conv2d(i[0], i[1], i[2], s), operands);
    }

    [TestCase(3, 5, 1)]
    [TestCase(4, 3, 2)]
    public void Same_padding_keeps_the_size(int kernelHeight, int kernelWidth, int dilation)
    {
        int rows = dilation * (kernelHeight - 1), columns = dilation * (kernelWidth - 1);
        Naive.Convolution s = new(1, 7, 9, 3, 5, kernelHeight, kernelWidth, 1, 1, rows / 2, columns / 2, dilation, dilation,
            1)
        { Extra = (rows % 2, columns % 2) };
        ConvOptions options = new() { Padding = Padding2d.Same, Dilation = dilation };
        Assert.That((s.OutHeight, s.OutWidth), Is.EqualTo((7, 9)));
        OperatorCheck.Run(
            width, i => Ops.Conv2d(i[0], i[1], options: options), i => Naive.Conv2d(i[0], i[1], null, s),
            [Numbers.Random(1, 1, 7, 9, 3), Numbers.Random(2, 5, 3, kernelHeight, kernelWidth)]);
    }

    [TestCase(3, 2)] // an even kernel: one more zero after than before
    [TestCase(4, 1)]
    public void Conv1d_reads_the_column_parts_of_pairs(int kernel, int dilation)
    {
        int reach = dilation * (kernel - 1);
        Naive.Convolution s = new(2, 1, 11, 3, 5, 1, kernel, 1, 1, 0, reach / 2, 1, dilation, 1) { Extra = (0, reach % 2) };
        ConvOptions options = new() { Padding = Padding2d.Same, Dilation = (77, dilation) };
        OperatorCheck.Run(
            width, i => Ops.Conv1d(i[0], i[1], options: options), i => Naive.Conv2d(i[0], i[1], null, s),
            [Numbers.Random(1, 2, 11, 3), Numbers.Random(2, 5, 3, kernel)]);
        Naive.Convolution uneven = s with { StrideX = 2, PaddingX = 1, Extra = (0, 2) };
        ConvOptions pairs = new() { Stride = (9, 2), Padding = new Padding2d(9, 1, 9, 3), Dilation = (9, dilation) };
        OperatorCheck.Run(
            width, i => Ops.Conv1d(i[0], i[1], options: pairs), i => Naive.Conv2d(i[0], i[1], null, uneven),
            [Numbers.Random(1, 2, 11, 3), Numbers.Random(2, 5, 3, kernel)]);
    }

    [Test]
    public void One_tensor_may_be_image_and_weight()
    {
        // (3, 3, 3, 3) is both; the naive version gets it once.
        Naive.Convolution s = new(3, 3, 3, 3, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1);
        Tensor both = Numbers.Random(1, 3, 3, 3, 3);
        OperatorCheck.Run(width, i => Ops.Conv2d(i[0], i[0], options: s_padded), i => Naive.Conv2d(i[0], i[0], null, s), [both]);
    }

    [Test]
    public void No_images_give_none()
    {
        using IDisposable _ = Isa.Use(width);
        ConvOptions relu = s_padded with { Activation = Activation.Relu };
        OperatorCheck.IsEmpty(i => Ops.Conv2d(i[0], i[1], i[2], relu), Tensor.Zeros(0, 5, 6, 4), Numbers.Random(1, 6, 4, 3, 3),
            Numbers.Random(2, 6));
        OperatorCheck.IsEmpty(i => Ops.Conv2d(i[0], i[1], options: relu with { Groups = 4 }), Tensor.Zeros(0, 5, 6, 4), Numbers.Random(1,
            4, 1, 3, 3));
        OperatorCheck.IsEmpty(i => Ops.Conv2d(i[0], i[1], options: relu), Tensor.Zeros(0, 5, 6, 4), Numbers.Random(1, 2, 4, 3, 3));
        OperatorCheck.IsEmpty(i => Ops.Conv1d(i[0], i[1]), Tensor.Zeros(0, 5, 4), Numbers.Random(1, 6, 4, 3));
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 5, 5, 4), weight = Tensor.Zeros(6, 4, 3, 3);
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(Tensor.Zeros(5, 5, 4), weight));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, Tensor.Zeros(6, 4, 3)));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, Tensor.Zeros(6, 3, 3, 3)));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, Tensor.Zeros(6, 4, 0, 3)));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, Tensor.Zeros(4)));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, Tensor.Zeros(5, 2, 3, 3), options: new() { Groups = 2 }));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(Tensor.Zeros(1, 0, 5, 4), weight, options: s_padded));
        OperatorCheck.Refuses("Conv1d", () => Ops.Conv1d(Tensor.Zeros(1, 5, 4), Tensor.Zeros(6, 3, 3)));
        OperatorCheck.Refuses("Conv1d", () => Ops.Conv1d(Tensor.Zeros(1, 2, 4), Tensor.Zeros(6, 4, 3)));
    }

    [Test]
    public void Sizes_that_do_not_fit_into_32_bits_are_refused()
    {
        const int Huge = int.MaxValue;
        Tensor x = Tensor.Zeros(1, 5, 5, 4), weight = Tensor.Zeros(6, 4, 3, 3);
        foreach (ConvOptions options in new ConvOptions[]
        {
            new() { Dilation = 3 }, new() { Dilation = Huge }, new() { Dilation = Huge, Padding = Huge }, new() { Padding = Huge },
            new() { Padding = new Padding2d(0, 0, 0, Huge), Stride = Huge }, new() { Padding = 1 << 29, Stride = 1 << 29 },
            new() { Dilation = 1 << 29, Padding = 1 << 29 }, new() { Dilation = Huge, Padding = Padding2d.Same }, new() { Groups = Huge },
        })
            OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, options: options));
        Tensor y = Ops.Conv2d(x, weight, options: new() { Stride = Huge }); // one window, and no more
        Assert.That(y.Shape, Is.EqualTo(new Shape(1, 1, 1, 6)));
    }

    [Test]
    public void Bad_options_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 5, 5, 4), weight = Tensor.Zeros(6, 4, 3, 3);
        foreach (ConvOptions options in new ConvOptions[]
        {
            new() { Stride = 0 }, new() { Stride = (1, -1) }, new() { Padding = -1 }, new() { Padding = new Padding2d(0, 0, -1, 0) },
                new() { Dilation = (0, 1) },
            new() { Groups = 0 }, new() { Groups = -4 }, new() { OutputPadding = (0, 1) }, new() { Padding = Padding2d.Same, Stride = 2 },
            new() { Activation = (Activation)99 },
        })
            Assert.That(() => Ops.Conv2d(x, weight, options: options), Throws.InstanceOf<ArgumentException>());
        OperatorCheck.RefusesArgument("Conv1d", () => Ops.Conv1d(Tensor.Zeros(1, 5, 4), Tensor.Zeros(6, 4, 3),
            options: new() { Stride = (1, 0) }));
    }
}
