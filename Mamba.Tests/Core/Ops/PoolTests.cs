using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Pooling and resizing.</summary>
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
        OperatorCheck.Run(width, i => Ops.MaxPool2d(i[0], kernel, stride, padding), i => Windows(
            i[0], batch, height, wide, channels, outHeight, outWidth, o => (o * stride - padding, o * stride - padding + kernel),
            o => (o * stride - padding, o * stride - padding + kernel), values => values.Max()), [Numbers.Uniform(1, -2f, -1f, batch, height, wide, channels)]);
    }

    [Test]
    public void The_gradient_of_equals_goes_to_the_first()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Full(1f, 1, 2, 2, 3), row = Tensor.Full(1f, 5);
        x.RequiresGrad = row.RequiresGrad = true;
        using Tape tape = new();
        tape.Backward([Ops.MaxPool2d(x, 2, 2), Ops.Max(row, [-1], keepDim: true)], [Tensor.Full(1f, 1, 1, 1, 3), Tensor.Full(1f, 1)]);
        Assert.That(x.Grad!.Value.Span.ToArray(), Is.EqualTo(new float[] { 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0 }));
        Assert.That(row.Grad!.Value.Span.ToArray(), Is.EqualTo(new float[] { 1, 0, 0, 0, 0 }));
    }

    // batch, height, width, channels, out height, out width
    [TestCase(1, 1, 1, 1, 1, 1)]
    [TestCase(3, 7, 10, 17, 1, 1)]
    [TestCase(1, 7, 10, 33, 3, 6)]
    [TestCase(3, 4, 5, 3, 6, 7)]
    [TestCase(1, 3, 8, 1, 2, 8)]
    public void AdaptiveAvgPool2d_averages_windows(int batch, int height, int wide, int channels, int outHeight, int outWidth) => OperatorCheck.Run(
        width, i => Ops.AdaptiveAvgPool2d(i[0], outHeight, outWidth), i => Windows(
            i[0], batch, height, wide, channels, outHeight, outWidth, o => (o * height / outHeight, ((o + 1) * height + outHeight - 1) / outHeight),
            o => (o * wide / outWidth, ((o + 1) * wide + outWidth - 1) / outWidth), values => values.Average()), [Numbers.Random(1, batch, height, wide, channels)]);

    // batch, height, width, channels, out height, out width
    [TestCase(1, 1, 1, 1, 3, 2)]
    [TestCase(3, 5, 7, 17, 10, 14)]
    [TestCase(1, 8, 6, 33, 3, 5)]
    [TestCase(3, 2, 9, 3, 7, 1)]
    [TestCase(1, 4, 4, 1, 4, 4)]
    [TestCase(1, 16, 20, 3, 5, 70)]
    public void ResizeBilinear_interpolates(int batch, int height, int wide, int channels, int outHeight, int outWidth)
    {
        foreach (bool align in new[] { false, true })
            OperatorCheck.Run(width, i => Ops.ResizeBilinear(i[0], outHeight, outWidth, align), i =>
            {
                double[] y = new double[batch * outHeight * outWidth * channels];
                for (int e = 0; e < y.Length; e++)
                {
                    int c = e % channels, ox = e / channels % outWidth, oy = e / channels / outWidth % outHeight, b = e / channels / outWidth / outHeight;
                    double sy = Source(oy, height, outHeight, align), sx = Source(ox, wide, outWidth, align);
                    for (int y0 = 0; y0 < height; y0++)
                        for (int x0 = 0; x0 < wide; x0++)
                            y[e] += Math.Max(0, 1 - Math.Abs(sy - y0)) * Math.Max(0, 1 - Math.Abs(sx - x0)) * i[0][((b * height + y0) * wide + x0) * channels + c];
                }
                return y;
            }, [Numbers.Random(1, batch, height, wide, channels)]);

        static double Source(int o, int input, int output, bool align) => align
            ? output > 1 ? o * (double)(input - 1) / (output - 1) : 0
            : Math.Clamp((o + 0.5) * input / output - 0.5, 0, input - 1);
    }

    [Test]
    public void Bad_shapes_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 4, 4, 2);
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(Tensor.Zeros(4, 4, 2), 2, 2));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, 5, 1));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, 2, 0));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, 2, 1, 2));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x, 2, 1, int.MaxValue));
        OperatorCheck.Refuses("AdaptiveAvgPool2d", () => Ops.AdaptiveAvgPool2d(x, -1, 1));
        OperatorCheck.Refuses("AdaptiveAvgPool2d", () => Ops.AdaptiveAvgPool2d(Tensor.Zeros(1, 0, 4, 2), 1, 1));
        OperatorCheck.Refuses("ResizeBilinear", () => Ops.ResizeBilinear(x, 4, 0, false));
        OperatorCheck.Refuses("ResizeBilinear", () => Ops.ResizeBilinear(Tensor.Zeros(4, 2), 4, 4, false));
    }

    private static double[] Windows(
        double[] x, int batch, int height, int wide, int channels, int outHeight, int outWidth, Func<int, (int From, int To)> rows,
        Func<int, (int From, int To)> columns, Func<List<double>, double> reduce)
    {
        double[] result = new double[batch * outHeight * outWidth * channels];
        for (int e = 0; e < result.Length; e++)
        {
            int c = e % channels, ox = e / channels % outWidth, oy = e / channels / outWidth % outHeight, b = e / channels / outWidth / outHeight;
            List<double> values = [];
            for (int y = Math.Max(0, rows(oy).From); y < Math.Min(height, rows(oy).To); y++)
                for (int i = Math.Max(0, columns(ox).From); i < Math.Min(wide, columns(ox).To); i++) values.Add(x[((b * height + y) * wide + i) * channels + c]);
            result[e] = reduce(values);
        }
        return result;
    }
}
