using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Pooling.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class PoolTests(VectorWidth width)
{
    // batch, height, width, channels, kernel, stride, padding
    [TestCase(1, 1, 1, 1, 1, 1, 0)]
    [TestCase(3, 8, 7, 17, 2, 2, 0)]
    [TestCase(1, 7, 9, 33, 3, 2, 1)]
    [TestCase(3, 5, 6, 3, 3, 1, 1)]
    [TestCase(1, 9, 8, 1, 2, 3, 1)]
    [TestCase(1, 60, 50, 5, 5, 2, 2)]
    public void MaxPool2d_takes_the_largest(int batch, int height, int wide, int channels, int kernel, int stride, int padding)
    {
        int outHeight = (height + 2 * padding - kernel) / stride + 1, outWidth = (wide + 2 * padding - kernel) / stride + 1;
        PoolOptions options = new() { Stride = stride, Padding = padding };
        OperatorCheck.Run(width, i => Ops.MaxPool2d(i[0], kernel, options), i => Windows(
            i[0], batch, height, wide, channels, outHeight, outWidth, o => (o * stride - padding, o * stride - padding + kernel),
            o => (o * stride - padding, o * stride - padding + kernel), values => values.Max()),
            [Numbers.Uniform(1, -2f, -1f, batch, height, wide, channels)]);
    }

    // Inference has loops of its own for windows of 2 x 2.
    [Test]
    public void The_maximum_is_the_same_with_and_without_a_gradient([Values(1, 4, 8, 17, 32)] int channels, [Values(6, 7)] int wide)
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Numbers.Random(1, 2, 5, wide, channels);
        for (int i = 0; i < x.Count; i += 7) x.Span[i] = i % 3 == 0 ? float.NaN : i % 2 == 0 ? 0f : -0f;
        float[] inference = Ops.MaxPool2d(x, 2).Span.ToArray();
        x.RequiresGrad = true;
        using Tape tape = new();
        Assert.That(Bits(inference), Is.EqualTo(Bits(Ops.MaxPool2d(x, 2).Span.ToArray())));

        static int[] Bits(float[] values) => Array.ConvertAll(values, BitConverter.SingleToInt32Bits);
    }

    [Test]
    public void The_gradient_of_equals_goes_to_the_first()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Full(1f, 1, 2, 2, 3), row = Tensor.Full(1f, 5);
        x.RequiresGrad = row.RequiresGrad = true;
        using Tape tape = new();
        tape.Backward([Ops.MaxPool2d(x, 2), Ops.Max(row, [-1], keepDim: true)], [Tensor.Full(1f, 1, 1, 1, 3), Tensor.Full(1f, 1)]);
        Assert.That(x.Grad!.Value.Span.ToArray(), Is.EqualTo(new float[] { 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 }));
        Assert.That(row.Grad!.Value.Span.ToArray(), Is.EqualTo(new float[] { 1, 0, 0, 0, 0 }));
    }

    // batch, height, width, channels, out height, out width
    [TestCase(1, 1, 1, 1, 1, 1)]
    [TestCase(3, 7, 10, 17, 1, 1)]
    [TestCase(1, 7, 10, 33, 3, 6)]
    [TestCase(3, 4, 5, 3, 6, 7)]
    [TestCase(1, 3, 8, 1, 2, 8)]
    public void AdaptiveAvgPool2d_averages_windows(int batch, int height, int wide, int channels, int outHeight, int outWidth) =>
        OperatorCheck.Run(
            width, i => Ops.AdaptiveAvgPool2d(i[0], (outHeight, outWidth)), i => Windows(
                i[0], batch, height, wide, channels, outHeight, outWidth,
                o => (o * height / outHeight, ((o + 1) * height + outHeight - 1) / outHeight),
                o => (o * wide / outWidth, ((o + 1) * wide + outWidth - 1) / outWidth), values => values.Average()),
            [Numbers.Random(1, batch, height, wide, channels)]);

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 4, 4, 2);
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(Tensor.Zeros(4, 4, 2), 2));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, 5, new() { Stride = 1 }));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(Tensor.Zeros(1, 4, 0, 2), 1));
        OperatorCheck.Refuses("MaxPool1d", () => Ops.MaxPool1d(x, 2));
        OperatorCheck.Refuses("AvgPool1d", () => Ops.AvgPool1d(Tensor.Zeros(1, 4, 2), 5));
        OperatorCheck.Refuses("AvgPool2d", () => Ops.AvgPool2d(Tensor.Zeros(1, 4, 4, 0), 2));
        OperatorCheck.Refuses("AdaptiveAvgPool2d", () => Ops.AdaptiveAvgPool2d(Tensor.Zeros(1, 0, 4, 2), 1));
        OperatorCheck.Refuses("AdaptiveMaxPool2d", () => Ops.AdaptiveMaxPool2d(Tensor.Zeros(1, 4, 4), 1));
    }

    [Test]
    public void Sizes_that_do_not_fit_into_32_bits_are_refused()
    {
        const int Huge = int.MaxValue;
        Tensor x = Tensor.Zeros(1, 4, 4, 2);
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, Huge));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, 2, new() { Dilation = Huge }));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, 2, new() { Dilation = Huge, Padding = Huge / 2 }));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, Huge, new() { Padding = Huge / 2 }));
        OperatorCheck.Refuses("AvgPool2d", () => Ops.AvgPool2d(x, (1, Huge), new() { Padding = (0, Huge / 2) }));
        Assert.That(Ops.MaxPool2d(x, 2, new() { Stride = Huge, CeilMode = true }).Shape, Is.EqualTo(new Shape(1, 1, 1, 2)));
        Assert.That(Ops.AvgPool2d(x, 2, new() { Stride = Huge, CeilMode = true }).Shape, Is.EqualTo(new Shape(1, 1, 1, 2)));
    }

    [Test]
    public void Bad_options_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 4, 4, 2);
        foreach (PoolOptions options in new PoolOptions[]
        {
            new() { Stride = 0 }, new() { Padding = 2 }, new() { Padding = int.MaxValue }, new() { Padding = -1 },
                new() { Padding = new Padding2d(0, 0, 2, 0) },
            new() { Dilation = 0 }, new() { Padding = Padding2d.Same },
        })
        {
            Assert.That(() => Ops.MaxPool2d(x, 2, options), Throws.InstanceOf<ArgumentException>());
            Assert.That(() => Ops.AvgPool2d(x, 2, options), Throws.InstanceOf<ArgumentException>());
        }
        OperatorCheck.RefusesArgument("MaxPool2d", () => Ops.MaxPool2d(x, (2, 0)));
        OperatorCheck.RefusesArgument("AvgPool2d", () => Ops.AvgPool2d(x, 2, new() { Dilation = 2 }));
        OperatorCheck.RefusesArgument("AdaptiveAvgPool2d", () => Ops.AdaptiveAvgPool2d(x, (0, 1)));
        OperatorCheck.RefusesArgument("AdaptiveMaxPool2d", () => Ops.AdaptiveMaxPool2d(x, (1, -1)));
    }

    private static double[] Windows(
        double[] x, int batch, int height, int wide, int channels, int outHeight, int outWidth, Func<int, (int From, int To)> rows,
        Func<int, (int From, int To)> columns, Func<List<double>, double> reduce)
    {
        double[] result = new double[batch * outHeight * outWidth * channels];
        for (int e = 0; e < result.Length; e++)
        {
            int c = e % channels, ox = e / channels % outWidth,
                oy = e / channels / outWidth % outHeight,
                b = e / channels / outWidth / outHeight;
            List<double> values = [];
            for (int y = Math.Max(0, rows(oy).From); y < Math.Min(height, rows(oy).To); y++)
                for (int i = Math.Max(0, columns(ox).From); i < Math.Min(wide, columns(ox).To); i++)
                    values.Add(x[((b * height + y) * wide + i) * channels + c]);
            result[e] = reduce(values);
        }
        return result;
    }
}
