using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class ResizeTests(VectorWidth width)
{
    // batch, height, width, channels, out height, out width
    [TestCase(1, 1, 1, 1, 3, 2)]
    [TestCase(3, 5, 7, 17, 10, 14)]
    [TestCase(1, 8, 6, 33, 3, 5)]
    [TestCase(3, 2, 9, 3, 7, 1)]
    [TestCase(1, 4, 4, 1, 4, 4)]
    [TestCase(1, 16, 20, 3, 5, 70)]
    [TestCase(1, 3, 4, 4, 6, 8)] // pixels of one vector
    [TestCase(2, 3, 4, 8, 6, 7)]
    [TestCase(1, 4, 3, 16, 3, 6)]
    public void ResizeBilinear_interpolates(int batch, int height, int wide, int channels, int outHeight, int outWidth)
    {
        foreach (bool align in new[] { false, true })
            OperatorCheck.Run(width, i => Ops.ResizeBilinear(i[0], (outHeight, outWidth), align), i =>
            {
                double[] y = new double[batch * outHeight * outWidth * channels];
                for (int e = 0; e < y.Length; e++)
                {
                    int c = e % channels, ox = e / channels % outWidth, oy = e / channels / outWidth % outHeight,
                        b = e / channels / outWidth / outHeight;
                    double sy = Source(oy, height, outHeight, align), sx = Source(ox, wide, outWidth, align);
                    for (int y0 = 0; y0 < height; y0++)
                        for (int x0 = 0; x0 < wide; x0++)
                            y[e] += Math.Max(0, 1 - Math.Abs(sy - y0)) * Math.Max(0,
                                1 - Math.Abs(sx - x0)) * i[0][((b * height + y0) * wide + x0) * channels + c];
                }
                return y;
            }, [Numbers.Random(1, batch, height, wide, channels)]);

        static double Source(int o, int input, int output, bool align) => align
            ? output > 1 ? o * (double)(input - 1) / (output - 1) : 0
            : Math.Clamp((o + 0.5) * input / output - 0.5, 0, input - 1);
    }

    [TestCase(1, 1, 1, 1, 3, 2)]
    [TestCase(3, 5, 7, 17, 10, 14)]
    [TestCase(1, 8, 6, 33, 3, 5)]
    [TestCase(3, 2, 9, 3, 7, 1)]
    [TestCase(1, 16, 20, 1, 5, 70)]
    public void ResizeNearest_repeats_or_leaves_out(int batch, int height, int wide, int channels, int outHeight, int outWidth) =>
        OperatorCheck.Run(
        width, i => Ops.ResizeNearest(i[0], (outHeight, outWidth)), i =>
        {
            double[] y = new double[batch * outHeight * outWidth * channels];
            for (int e = 0; e < y.Length; e++)
            {
                int c = e % channels, ox = e / channels % outWidth, oy = e / channels / outWidth % outHeight,
                    b = e / channels / outWidth / outHeight;
                y[e] = i[0][((b * height + oy * height / outHeight) * wide + ox * wide / outWidth) * channels + c];
            }
            return y;
        }, [Numbers.Random(1, batch, height, wide, channels)]);

    [TestCase(1, 1, 1, 1, 3, 2)]
    [TestCase(3, 5, 7, 17, 10, 14)]
    [TestCase(1, 8, 6, 33, 3, 5)]
    [TestCase(2, 2, 9, 3, 7, 1)]
    [TestCase(1, 16, 20, 1, 5, 70)]
    public void ResizeBicubic_convolves_with_Keys_kernel(int batch, int height, int wide, int channels, int outHeight, int outWidth)
    {
        foreach (bool align in new[] { false, true })
            OperatorCheck.Run(width, i => Ops.ResizeBicubic(i[0], (outHeight, outWidth), align), i =>
            {
                double[] y = new double[batch * outHeight * outWidth * channels];
                for (int e = 0; e < y.Length; e++)
                {
                    int c = e % channels, ox = e / channels % outWidth, oy = e / channels / outWidth % outHeight,
                        b = e / channels / outWidth / outHeight;
                    double sy = Source(oy, height, outHeight, align), sx = Source(ox, wide, outWidth, align);
                    // Beyond the edges the edge pixels go on.
                    for (int v = -3; v < height + 3; v++)
                        for (int u = -3; u < wide + 3; u++)
                            y[e] += Kernel(sy - v) * Kernel(sx - u) * i[0][((b * height + Math.Clamp(v, 0,
                                height - 1)) * wide + Math.Clamp(u, 0, wide - 1)) * channels + c];
                }
                return y;
            }, [Numbers.Random(1, batch, height, wide, channels)]);

        static double Source(int o, int input, int output, bool align) =>
            !align ? (o + 0.5) * input / output - 0.5 : output > 1 ? o * (double)(input - 1) / (output - 1) : 0;

        static double Kernel(double t)
        {
            const double A = -0.75;
            t = Math.Abs(t);
            return t < 1 ? (A + 2) * t * t * t - (A + 3) * t * t + 1 : t < 2 ? A * (t * t * t - 5 * t * t + 8 * t - 4) : 0;
        }
    }

    [Test]
    public void No_images_give_none()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor images = Tensor.Zeros(0, 4, 4, 2);
        OperatorCheck.IsEmpty(i => Ops.ResizeNearest(i[0], 3), images);
        OperatorCheck.IsEmpty(i => Ops.ResizeBilinear(i[0], 3, alignCorners: true), images);
        OperatorCheck.IsEmpty(i => Ops.ResizeBicubic(i[0], 3, alignCorners: false), images);
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        Tensor x = Tensor.Zeros(1, 4, 4, 2);
        foreach ((string name, Func<Tensor, Size2d, Tensor> resize) in new (string, Func<Tensor, Size2d, Tensor>)[]
        {
            ("ResizeNearest", Ops.ResizeNearest), ("ResizeBilinear", (t, s) => Ops.ResizeBilinear(t, s, true)), ("ResizeBicubic", (t,
                s) => Ops.ResizeBicubic(t, s, true)),
        })
        {
            OperatorCheck.RefusesArgument(name, () => resize(x, (4, 0)));
            OperatorCheck.RefusesArgument(name, () => resize(x, -1));
            OperatorCheck.Refuses(name, () => resize(Tensor.Zeros(4, 2), 4));
            OperatorCheck.Refuses(name, () => resize(Tensor.Zeros(1, 0, 4, 2), 4));
            Assert.That(() => resize(x, int.MaxValue), Throws.TypeOf<ShapeException>());
        }
    }
}
