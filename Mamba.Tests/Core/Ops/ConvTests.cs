using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ConvTests(VectorWidth width)
{
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
    [TestCase(1, 5, 6, 1, 2, 5, 1, 0, 1, 1)]
    [TestCase(1, 2, 2, 2, 1, 3, 1, 5, 1, 1)]
    [TestCase(1, 4, 5, 70, 9, 5, 1, 4, 2, 1)] // dilated runs of channels are summed some at a time
    [TestCase(1, 16, 12, 16, 16, 3, 1, 1, 1, 1)] // minimal filtering: tiles of 4x4
    [TestCase(2, 13, 11, 17, 35, 3, 1, 1, 1, 1)] // tiles that reach beyond the image, channels that fill no vector
    [TestCase(1, 15, 14, 33, 16, 3, 1, 0, 1, 1)]
    [TestCase(13, 4, 3, 16, 130, 3, 1, 2, 1, 1)] // a tile an image, output channels shared among threads
    [TestCase(1, 5, 230, 16, 17, 3, 1, 1, 1, 1)] // more tiles in a row than a block has
    [TestCase(1, 11, 9, 49, 35, 3, 1, 1, 1, 1)] // the weight gradient, too, by minimal filtering: channels that fill no block, tiles beyond the image
    [TestCase(4, 4, 3, 33, 67, 3, 1, 2, 1, 1)]
    public void Conv2d_is_the_sum_over_taps(
        int batch, int height, int wide, int inputs, int outputs, int kernel, int stride, int padding, int dilation, int groups)
    {
        Naive.Convolution s = new(batch, height, wide, inputs, outputs, kernel, kernel, stride, stride, padding, padding, dilation, dilation, groups);
        Tensor x = Numbers.Random(1, batch, height, wide, inputs), bias = Numbers.Random(3, outputs);
        Tensor weight = Numbers.Random(2, outputs, inputs / groups, kernel, kernel);
        OperatorCheck.Run(width, i => Ops.Conv2d(i[0], i[1], i[2], stride, padding, dilation, groups), i => Naive.Conv2d(i[0], i[1], i[2], s), [x, weight, bias]);
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
        Tensor x = Numbers.Random(1, Batch, height, wide, channels), dy = Numbers.Random(2, Batch, height, wide, channels), weight = Numbers.Random(3, channels, channels, 3, 3);
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
            tape.Backward(Ops.Conv2d(images, weight, padding: 1), Ops.Slice(dy, 0, first, count));
            return weight.Grad!.Value.Span.ToArray();
        }
    }

    [Test]
    public void Conv2d_takes_other_than_square_windows()
    {
        Naive.Convolution s = new(2, 6, 7, 3, 5, 2, 4, 1, 1, 1, 1, 1, 1, 1);
        OperatorCheck.Run(
            width, i => Ops.Conv2d(i[0], i[1], padding: 1), i => Naive.Conv2d(i[0], i[1], null, s), [Numbers.Random(1, 2, 6, 7, 3), Numbers.Random(2, 5, 3, 2, 4)]);
    }

    // One for each kernel: direct, pointwise, small images, minimal filtering, depthwise, few outputs.
    [TestCase(1, 9, 14, 3, 35, 3, 1)]
    [TestCase(2, 5, 6, 9, 33, 1, 1)]
    [TestCase(5, 2, 3, 7, 33, 3, 1)]
    [TestCase(1, 14, 15, 16, 18, 3, 1)]
    [TestCase(1, 6, 7, 17, 17, 3, 17)]
    [TestCase(1, 6, 7, 8, 32, 3, 8)]
    [TestCase(1, 8, 9, 3, 2, 3, 1)]
    public void Conv2d_with_relu_is_relu_of_Conv2d(int batch, int height, int wide, int inputs, int outputs, int kernel, int groups)
    {
        using IDisposable _ = Isa.Use(width);
        Tensor[] operands = [Numbers.Random(1, batch, height, wide, inputs), Numbers.Random(2, outputs, inputs / groups, kernel, kernel), Numbers.Random(3, outputs)];
        Assert.That(Run(recorded: true, fused: true), Is.EqualTo(Run(recorded: true, fused: false)));
        Assert.That(Run(recorded: false, fused: true), Is.EqualTo(Run(recorded: false, fused: false)));

        // The output, and where it is recorded the gradients.
        float[][] Run(bool recorded, bool fused)
        {
            foreach (Tensor operand in operands)
            {
                operand.RequiresGrad = recorded;
                operand.ZeroGrad();
            }
            using Tape tape = new();
            Tensor y = Ops.Conv2d(operands[0], operands[1], operands[2], padding: kernel / 2, groups: groups, relu: fused);
            if (!fused) y = Ops.Relu(y);
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
    public void Conv1d_is_the_sum_over_taps(int batch, int length, int inputs, int outputs, int kernel, int stride, int padding, int dilation, int groups)
    {
        Naive.Convolution s = new(batch, 1, length, inputs, outputs, 1, kernel, 1, stride, 0, padding, 1, dilation, groups);
        Tensor x = Numbers.Random(1, batch, length, inputs), weight = Numbers.Random(2, outputs, inputs / groups, kernel), bias = Numbers.Random(3, outputs);
        OperatorCheck.Run(width, i => Ops.Conv1d(i[0], i[1], i[2], stride, padding, dilation, groups), i => Naive.Conv2d(i[0], i[1], i[2], s), [x, weight, bias]);
    }

    // batch, height, width, inputs, outputs, kernel, stride, padding
    [TestCase(1, 1, 1, 1, 1, 1, 1, 0)]
    [TestCase(3, 4, 5, 3, 17, 2, 2, 0)]
    [TestCase(1, 5, 4, 17, 3, 4, 2, 1)]
    [TestCase(1, 3, 4, 33, 1, 3, 1, 1)]
    [TestCase(1, 3, 2, 2, 3, 2, 3, 0)] // gaps between the windows
    [TestCase(1, 40, 41, 1, 2, 2, 2, 0)]
    public void ConvTranspose2d_spreads_every_pixel(int batch, int height, int wide, int inputs, int outputs, int kernel, int stride, int padding)
    {
        Naive.Convolution s = new(
            batch, (height - 1) * stride - 2 * padding + kernel, (wide - 1) * stride - 2 * padding + kernel, outputs, inputs, kernel, kernel, stride, stride,
            padding, padding, 1, 1, 1);
        Tensor x = Numbers.Random(1, batch, height, wide, inputs), weight = Numbers.Random(2, inputs, outputs, kernel, kernel), bias = Numbers.Random(3, outputs);
        OperatorCheck.Run(width, i => Ops.ConvTranspose2d(i[0], i[1], i[2], stride, padding), i => Naive.ConvTranspose2d(i[0], i[1], i[2], s), [x, weight, bias]);
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 5, 5, 4), weight = Tensor.Zeros(6, 4, 3, 3);
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(Tensor.Zeros(5, 5, 4), weight));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, Tensor.Zeros(6, 4, 3)));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, Tensor.Zeros(6, 3, 3, 3)));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, Tensor.Zeros(4)));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, stride: 0));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, padding: -1));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, dilation: 0));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, dilation: 3));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, dilation: int.MaxValue));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, padding: int.MaxValue));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, Tensor.Zeros(5, 2, 3, 3), groups: 2));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(x, weight, groups: 0));
        OperatorCheck.Refuses("Conv2d", () => Ops.Conv2d(Tensor.Zeros(1, 0, 5, 4), weight));
        OperatorCheck.Refuses("Conv1d", () => Ops.Conv1d(Tensor.Zeros(1, 5, 4), Tensor.Zeros(6, 3, 3)));
        OperatorCheck.Refuses("Conv1d", () => Ops.Conv1d(Tensor.Zeros(1, 2, 4), Tensor.Zeros(6, 4, 3)));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, weight));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, Tensor.Zeros(4, 2, 2, 2), stride: 0));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, Tensor.Zeros(4, 2, 2, 2), padding: 9));
    }
}
