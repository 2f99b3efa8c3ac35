using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>
/// Convolutions and products in int8 against sums of 64-bit integers. Every comparison is exact: the sums are, and what follows them is
/// rounded in one order. So all vector widths and thread counts have the same bits.
/// </summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class QuantizedTests(VectorWidth width) : WidthFixture(width)
{
    private const float Scale = 0.0071f;

    // batch, height, width, inputs, outputs, kernel, stride, padding, dilation, groups
    [TestCase(1, 1, 1, 1, 1, 1, 1, 0, 1, 1)]
    [TestCase(0, 3, 4, 2, 3, 3, 1, 1, 1, 1)] // no image
    [TestCase(3, 5, 6, 3, 17, 3, 1, 1, 1, 1)]
    [TestCase(2, 7, 5, 16, 16, 3, 1, 1, 1, 1)]
    [TestCase(1, 6, 5, 33, 1, 3, 1, 0, 1, 1)]
    [TestCase(3, 7, 8, 1, 3, 3, 2, 1, 1, 1)]
    [TestCase(1, 9, 8, 3, 5, 5, 3, 2, 1, 1)]
    [TestCase(1, 8, 12, 3, 17, 4, 4, 0, 1, 1)] // patches
    [TestCase(1, 12, 10, 3, 2, 3, 2, 3, 3, 1)] // dilated: each tap is a run
    [TestCase(1, 9, 11, 7, 3, 3, 1, 2, 2, 1)]
    [TestCase(2, 3, 4, 3, 5, 1, 1, 0, 1, 1)] // pointwise
    [TestCase(1, 10, 13, 31, 70, 1, 1, 0, 1, 1)] // several blocks of rows and panels
    [TestCase(1, 3, 4, 3, 5, 1, 1, 2, 1, 1)]
    [TestCase(1, 2, 2, 2, 3, 3, 1, 5, 1, 1)] // more padding than image
    [TestCase(1, 6, 5, 6, 9, 3, 1, 1, 1, 3)]
    [TestCase(3, 6, 5, 4, 34, 3, 1, 1, 1, 2)]
    [TestCase(1, 7, 9, 4, 4, 3, 2, 2, 2, 2)]
    [TestCase(1, 5, 230, 2, 3, 3, 1, 1, 1, 1)] // several bands an image, the last one lower
    [TestCase(1, 4, 3, 2, 130, 3, 1, 1, 1, 1)] // panels are shared among threads
    public void A_convolution_is_the_exact_sum(
        int batch, int height, int columns, int inputs, int outputs, int kernel, int stride, int padding, int dilation, int groups)
    {
        ConvOptions options = new()
        {
            Stride = stride,
            Padding = padding,
            Dilation = dilation,
            Groups = groups,
            Activation = outputs % 2 == 0 ? Activation.Relu : Activation.None,
        };
        Tensor x = Numbers.Uniform(1, -1.1f, 1.1f, batch, height, columns, inputs); // some are beyond the largest code
        Tensor weight = Numbers.Random(2, outputs, inputs / groups, kernel, kernel);
        Tensor? bias = outputs == 3 ? null : Numbers.Random(3, outputs);
        Quantize(weight);
        Tensor actual = Ops.Conv2d(x, weight, bias, options);
        Assert.That(actual.Span.ToArray(), Is.EqualTo(Naive(x, weight, bias, options, actual.Shape)));
        AssertSameAtFourThreads(actual, () => Ops.Conv2d(x, weight, bias, options));
    }

    [TestCase(0, 3, 4), TestCase(1, 1, 1), TestCase(5, 7, 3), TestCase(49, 16, 33), TestCase(130, 65, 100), TestCase(3, 0, 4)]
    public void A_linear_layer_is_the_exact_sum(int rows, int inputs, int outputs)
    {
        Tensor x = Numbers.Random(4, rows, inputs), weight = Numbers.Random(5, outputs, inputs), bias = Numbers.Random(6, outputs);
        Tensor residual = Numbers.Random(7, rows, outputs);
        Quantize(weight);
        Tensor actual = Ops.Linear(x, weight, bias, residual);
        float[] expected = inputs == 0 || rows == 0 ? [.. Enumerable.Range(0, rows * outputs).Select(i => bias.Span[i % outputs])]
            : Naive(
                x.Reshape(1, rows, 1, inputs), weight.Reshape(outputs, inputs, 1, 1), bias, ConvOptions.Default,
                new Shape(1, rows, 1, outputs));
        for (int i = 0; i < expected.Length; i++) expected[i] += residual.Span[i];
        Assert.That(actual.Span.ToArray(), Is.EqualTo(expected));
        AssertSameAtFourThreads(actual, () => Ops.Linear(x, weight, bias, residual));
    }

    [Test]
    public void A_sequence_is_convolved_as_an_image_of_one_row()
    {
        Tensor x = Numbers.Random(1, 2, 19, 5), weight = Numbers.Random(2, 7, 5, 3);
        Quantize(weight);
        ConvOptions options = new() { Stride = 2, Padding = 1 };
        Tensor actual = Ops.Conv1d(x, weight, null, options);
        Assert.That(actual.Span.ToArray(), Is.EqualTo(Naive(
            x.Reshape(2, 1, 19, 5), weight.Reshape(7, 5, 1, 3), null, options with { Padding = (0, 1) }, new Shape(2, 1, 10, 7))));
    }

    [Test]
    public void The_largest_sums_fit_and_longer_ones_stay_in_float32()
    {
        int longest = Vec.MaxCodeProducts;
        Tensor weight = Tensor.Full(-2f, 1, longest);
        Quantize(weight);
        float y = Ops.Linear(Tensor.Full(127 * Scale, 2, longest), weight).Span[1];
        Assert.That(y, Is.EqualTo((float)(-127L * 127 * longest) * (Scale * (2f / 127f))));

        Tensor x = Numbers.Random(1, 1, longest + 1), beyond = Numbers.Random(2, 1, longest + 1);
        float exact = Ops.Linear(x, beyond).Item();
        Quantize(beyond);
        Assert.That(Ops.Linear(x, beyond).Item(), Is.EqualTo(exact));
    }

    [TestCase(float.NaN), TestCase(float.PositiveInfinity), TestCase(float.NegativeInfinity)]
    public void What_is_not_finite_shows_in_its_own_row_and_image_alone(float value)
    {
        Tensor rows = Numbers.Random(1, 60, 21), weight = Numbers.Random(2, 10, 21);
        Quantize(weight);
        float[] finite = Ops.Linear(rows, weight).Span.ToArray();
        rows.Span[37 * 21 + 4] = value;
        float[] actual = Ops.Linear(rows, weight).Span.ToArray();
        Assert.That(actual[370..380], Is.All.NaN);
        Assert.That(actual[..370].Concat(actual[380..]), Is.EqualTo(finite[..370].Concat(finite[380..])));

        Tensor images = Numbers.Random(3, 2, 5, 6, 3), kernel = Numbers.Random(4, 4, 3, 3, 3);
        Quantize(kernel);
        ConvOptions options = new() { Padding = 1, Activation = Activation.Relu };
        float[] before = Ops.Conv2d(images, kernel, null, options).Span.ToArray();
        images.Span[^1] = value;
        float[] after = Ops.Conv2d(images, kernel, null, options).Span.ToArray();
        Assert.That(after[..^120], Is.EqualTo(before[..^120]));
        Assert.That(after[^1], Is.NaN);
    }

    [Test]
    public void A_weight_that_is_not_finite_shows_in_its_channel()
    {
        Tensor x = Numbers.Random(1, 3, 8), weight = Numbers.Random(2, 4, 8);
        weight.Span[8] = float.NaN;
        Quantize(weight);
        float[] y = Ops.Linear(x, weight).Span.ToArray();
        for (int i = 0; i < y.Length; i++) Assert.That(float.IsNaN(y[i]), Is.EqualTo(i % 4 == 1));
    }

    [Test]
    public void A_recorded_pass_and_a_thawed_weight_are_float32()
    {
        Tensor x = Numbers.Random(1, 5, 12), weight = Numbers.Random(2, 7, 12);
        float[] exact = Ops.Linear(x, weight).Span.ToArray();
        Quantize(weight);
        Assert.That(Ops.Linear(x, weight).Span.ToArray(), Is.Not.EqualTo(exact));
        x.RequiresGrad = true;
        using (Tape tape = new())
            Assert.That(Ops.Linear(x, weight).Span.ToArray(), Is.EqualTo(exact));
        weight.Thaw();
        Assert.That(Ops.Linear(x, weight).Span.ToArray(), Is.EqualTo(exact));
    }

    [Test]
    public void Folding_a_batch_norm_changes_no_code()
    {
        ParameterStore store = new(3);
        ConvBatchNorm layer = new(new Scope(store) / "conv", new Scope(store) / "bn", new ConvConfig(5, 6, Kernel: 3) { Padding = 1 });
        foreach ((string name, Tensor tensor) in store.All)
            if (name.StartsWith("bn.", StringComparison.Ordinal)) Numbers.Uniform(tensor.Count, name.Length, 0.1f, 3f).CopyTo(tensor.Span);
        Tensor weight = layer.Conv.Weight, x = Numbers.Random(8, 2, 7, 6, 5), norm = layer.Norm.Forward(Tensor.Zeros(1, 1, 1, 6));
        // Weights on the grid of their codes, as those that were read from a file of codes.
        for (int c = 0; c < 6; c++)
        {
            Span<float> channel = weight.Span.Slice(c * 45, 45);
            float scale = (c + 1) * 0.01f;
            for (int i = 0; i < 45; i++) channel[i] = scale * (i == 0 ? 127 : MathF.Round(channel[i] * 500));
        }
        float[] sums = Naive(x, weight, layer.Conv.Bias, new ConvOptions { Padding = 1 }, new Shape(2, 7, 6, 6));
        store.QuantizeInputs("conv.weight", Scale);
        store.Freeze();
        float[] actual = layer.Forward(x).Span.ToArray();
        float[] expected = layer.Norm.Forward(Tensor.From(sums, 2, 7, 6, 6)).Span.ToArray();
        Assert.That(actual, Is.EqualTo(expected).Within(1e-5), "one wrong code would show as 1e-3");
    }

    private static void Quantize(Tensor weight) => weight.Freeze(new InputQuantization { Scale = Scale });

    private static void AssertSameAtFourThreads(Tensor expected, Func<Tensor> op)
    {
        using ThreadCount _ = new(4);
        Assert.That(op().Span.SequenceEqual(expected.Span), "at four threads");
    }

    private static float[] Naive(Tensor x, Tensor weight, Tensor? bias, ConvOptions o, Shape y)
    {
        float[] result = new float[y.Count];
        int inputs = weight.Shape[1], outputs = weight.Shape[0], kh = weight.Shape[2], kw = weight.Shape[3];
        int depth = inputs * kh * kw, height = x.Shape[1], columns = x.Shape[2], channels = x.Shape[3];
        for (int i = 0; i < result.Length; i++)
        {
            int co = i % outputs, ox = i / outputs % y[2], oy = i / outputs / y[2] % y[1], image = i / outputs / y[2] / y[1];
            float[] w = weight.Span.Slice(co * depth, depth).ToArray();
            float largest = w.Max(MathF.Abs), inverse = 127f / largest;
            long sum = 0;
            for (int ci = 0; ci < inputs; ci++)
                for (int ky = 0; ky < kh; ky++)
                    for (int kx = 0; kx < kw; kx++)
                    {
                        int iy = oy * o.Stride.Height - o.Padding.Top + ky * o.Dilation.Height;
                        int ix = ox * o.Stride.Width - o.Padding.Left + kx * o.Dilation.Width;
                        if (iy < 0 || iy >= height || ix < 0 || ix >= columns) continue;
                        float value = x.Span[((image * height + iy) * columns + ix) * channels + co / (outputs / o.Groups) * inputs + ci];
                        sum += Code(value, 1f / Scale) * Code(w[(ci * kh + ky) * kw + kx], inverse);
                    }
            float scaled = sum * (Scale * (largest / 127f));
            if (bias is { } b) scaled += b.Span[co];
            result[i] = o.Activation == Activation.Relu ? MathF.Max(0, scaled) : scaled;
        }
        return result;

        static long Code(float value, float inverse) => (long)MathF.Round(Math.Clamp(value * inverse, -127f, 127f));
    }
}
