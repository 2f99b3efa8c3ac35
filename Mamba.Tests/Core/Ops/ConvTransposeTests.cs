using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ConvTransposeTests(VectorWidth width)
{
    // batch, height, width, inputs, outputs, kernel, stride, padding
    [TestCase(1, 1, 1, 1, 1, 1, 1, 0)]
    [TestCase(3, 4, 5, 3, 17, 2, 2, 0)]
    [TestCase(1, 5, 4, 17, 3, 4, 2, 1)]
    [TestCase(1, 3, 4, 33, 1, 3, 1, 1)]
    [TestCase(1, 3, 2, 2, 3, 2, 3, 0)] // gaps between the windows
    [TestCase(1, 40, 41, 1, 2, 2, 2, 0)]
    [TestCase(1, 14, 15, 16, 18, 3, 1, 1)] // its input gradient by minimal filtering
    public void ConvTranspose2d_spreads_every_pixel(int batch, int height, int wide, int inputs, int outputs, int kernel, int stride,
        int padding)
    {
        Naive.Convolution s = new(
            batch, (height - 1) * stride - 2 * padding + kernel, (wide - 1) * stride - 2 * padding + kernel, outputs, inputs, kernel,
                kernel, stride, stride,
            padding, padding, 1, 1, 1);
        ConvOptions options = new() { Stride = stride, Padding = padding };
        Tensor x = Numbers.Random(1, batch, height, wide, inputs), weight = Numbers.Random(2, inputs, outputs, kernel, kernel),
            bias = Numbers.Random(3, outputs);
        OperatorCheck.Run(width, i => Ops.ConvTranspose2d(i[0], i[1], i[2], options), i => Naive.ConvTranspose2d(i[0], i[1], i[2], s),
            [x, weight, bias]);
    }

    // inputs, outputs, groups: none, some, one a channel of the result, and of both
    [TestCase(3, 5, 1)]
    [TestCase(6, 4, 2)]
    [TestCase(33, 66, 3)]
    [TestCase(10, 5, 5)]
    [TestCase(17, 17, 17)]
    [TestCase(4, 8, 4)]
    public void ConvTranspose2d_takes_pairs_groups_and_output_padding(int inputs, int outputs, int groups)
    {
        Tensor[] operands = [Numbers.Random(1, 2, 4, 5, inputs), Numbers.Random(2, inputs, outputs / groups, 2, 3), Numbers.Random(3,
            outputs)];
        foreach (ConvOptions options in new ConvOptions[]
        {
            new() { Stride = (3, 2), Groups = groups },
            new() { Stride = (1, 2), Padding = new Padding2d(1, 0, 0, 2), Dilation = (2, 1), OutputPadding = (1, 1), Groups = groups },
            new() { Stride = (2, 1), Padding = (0, 1), Dilation = (3, 2), OutputPadding = (2, 1), Groups = groups }, // more than the stride
        })
        {
            Naive.Convolution s = Of(options, 2, 4, 5, inputs, outputs, 2, 3);
            OperatorCheck.Run(width, i => Ops.ConvTranspose2d(i[0], i[1], i[2], options), i => Naive.ConvTranspose2d(i[0], i[1], i[2],
                s), operands);
        }
    }

    // Depthwise with the window of three, with padding that is the same on all sides and not.
    [TestCase(0, 0)]
    [TestCase(1, 1)]
    [TestCase(2, 1)]
    public void ConvTranspose2d_with_a_channel_a_group(int before, int after)
    {
        ConvOptions options = new() { Padding = new Padding2d(before, before, after, after), Groups = 9 };
        Tensor[] operands = [Numbers.Random(1, 2, 4, 5, 9), Numbers.Random(2, 9, 1, 3, 3), Numbers.Random(3, 9)];
        Naive.Convolution s = Of(options, 2, 4, 5, 9, 9, 3, 3);
        OperatorCheck.Run(width, i => Ops.ConvTranspose2d(i[0], i[1], i[2], options), i => Naive.ConvTranspose2d(i[0], i[1], i[2], s),
            operands);
    }

    [TestCase(3, 5, 1), TestCase(6, 4, 2), TestCase(4, 4, 4)]
    public void ConvTranspose1d_reads_the_column_parts_of_pairs(int inputs, int outputs, int groups)
    {
        ConvOptions options = new()
        {
            Stride = (9, 3),
            Padding = new Padding2d(9, 1, 9, 2),
            Dilation = (9, 2),
            OutputPadding = (0, 2),
            Groups = groups
        };
        ConvOptions row = new()
        {
            Stride = (1, 3),
            Padding = new Padding2d(0, 1, 0, 2),
            Dilation = (1, 2),
            OutputPadding = (0, 2),
            Groups = groups
        };
        Naive.Convolution s = Of(row, 2, 1, 6, inputs, outputs, 1, 4);
        OperatorCheck.Run(
            width, i => Ops.ConvTranspose1d(i[0], i[1], i[2], options), i => Naive.ConvTranspose2d(i[0], i[1], i[2], s),
            [Numbers.Random(1, 2, 6, inputs), Numbers.Random(2, inputs, outputs / groups, 4), Numbers.Random(3, outputs)]);
    }

    [Test]
    public void An_activation_follows()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Numbers.Random(1, 2, 4, 5, 3), weight = Numbers.Random(2, 3, 7, 2, 2);
        ConvOptions options = new() { Stride = 2 };
        Tensor fused = Ops.ConvTranspose2d(x, weight, options: options with { Activation = Activation.Silu });
        Assert.That(fused.Span.ToArray(), Is.EqualTo(Ops.Silu(Ops.ConvTranspose2d(x, weight, options: options)).Span.ToArray()));
    }

    [TestCase(1), TestCase(3)]
    public void One_tensor_may_be_image_and_weight(int groups)
    {
        Tensor both = Numbers.Random(1, 3, 3, 3, 3);
        ConvOptions options = new() { Stride = 2, Groups = groups };
        Naive.Convolution s = Of(options, 3, 3, 3, 3, 3 * groups, 3, 3);
        OperatorCheck.Run(width, i => Ops.ConvTranspose2d(i[0], i[0], options: options), i => Naive.ConvTranspose2d(i[0], i[0], null, s),
            [both]);
    }

    [Test]
    public void No_images_give_none()
    {
        using IDisposable _ = Isa.Use(width);
        OperatorCheck.IsEmpty(i => Ops.ConvTranspose2d(i[0], i[1], i[2]), Tensor.Zeros(0, 5, 6, 4), Numbers.Random(1, 4, 6, 3, 3),
            Numbers.Random(2, 6));
        OperatorCheck.IsEmpty(i => Ops.ConvTranspose1d(i[0], i[1], options: new() { Groups = 4 }), Tensor.Zeros(0, 5, 4),
            Numbers.Random(1, 4, 1, 3));
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 5, 5, 4), weight = Tensor.Zeros(4, 2, 2, 2);
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, Tensor.Zeros(6, 4, 3, 3)));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, Tensor.Zeros(4, 0, 3, 3)));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, weight, Tensor.Zeros(4)));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, weight, options: new() { Padding = 9 }));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, weight, options: new() { Groups = 3 }));
        OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(Tensor.Zeros(1, 5, 0, 4), weight));
        OperatorCheck.Refuses("ConvTranspose1d", () => Ops.ConvTranspose1d(x, weight));
        OperatorCheck.Refuses("ConvTranspose1d", () => Ops.ConvTranspose1d(Tensor.Zeros(1, 5, 4), Tensor.Zeros(3, 2, 2)));
    }

    [Test]
    public void Sizes_that_do_not_fit_into_32_bits_are_refused()
    {
        const int Huge = int.MaxValue;
        Tensor x = Tensor.Zeros(1, 5, 5, 4), weight = Tensor.Zeros(4, 2, 2, 2);
        foreach (ConvOptions options in new ConvOptions[]
        {
            new() { Stride = Huge }, new() { Dilation = Huge }, new() { Stride = 1 << 29, Padding = 1 << 30 }, new() { Stride = Huge,
                OutputPadding = Huge - 1 },
            new() { Padding = Huge }, new() { Groups = Huge },
        })
            OperatorCheck.Refuses("ConvTranspose2d", () => Ops.ConvTranspose2d(x, weight, options: options));
    }

    [Test]
    public void Bad_options_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 5, 5, 4), weight = Tensor.Zeros(4, 2, 2, 2);
        foreach (ConvOptions options in new ConvOptions[]
        {
            new() { Stride = 0 }, new() { Padding = -1 }, new() { Dilation = 0 }, new() { Groups = 0 }, new() { Padding = Padding2d.Same },
            new() { OutputPadding = 1 }, new() { Stride = (2, 3), OutputPadding = 2 }, new() { Stride = 2, OutputPadding = (-1, 0) },
        })
            OperatorCheck.RefusesArgument("ConvTranspose2d", () => Ops.ConvTranspose2d(x, weight, options: options));
    }

    /// <summary>The convolution whose transpose it is.</summary>
    private static Naive.Convolution Of(ConvOptions o, int batch, int height, int wide, int inputs, int outputs, int kernelHeight,
        int kernelWidth)
    {
        Padding2d p = o.Padding;
        int large = (height - 1) * o.Stride.Height + o.Dilation.Height * (kernelHeight - 1) + 1 + o.OutputPadding.Height - p.Top - p.Bottom;
        int largeWidth = (wide - 1) * o.Stride.Width + o.Dilation.Width * (kernelWidth - 1) + 1 + o.OutputPadding.Width - p.Left - p.Right;
        return new(
            batch, large, largeWidth, outputs, inputs, kernelHeight, kernelWidth, o.Stride.Height, o.Stride.Width, p.Top, p.Left,
                o.Dilation.Height,
            o.Dilation.Width, o.Groups)
        {
            // Windows that would start in the output padding have no pixel.
            Extra = (p.Bottom - p.Top - o.OutputPadding.Height, p.Right - p.Left - o.OutputPadding.Width),
        };
    }
}
