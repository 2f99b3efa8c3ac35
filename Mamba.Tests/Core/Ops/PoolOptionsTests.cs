using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Sliding windows with every option, and the adaptive ones.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class PoolOptionsTests(VectorWidth width)
{
    private static readonly PoolOptions[] s_options =
    [
        new(),
        new() { Stride = 1 },
        new() { Stride = (2, 3), Padding = (1, 0) },
        new() { Stride = 2, Padding = new Padding2d(0, 1, 1, 0) },
        new() { Stride = 2, CeilMode = true },
        new() { Stride = (3, 2), Padding = 1, CeilMode = true }, // a last window that would start in the padding is left out
        new() { Stride = 1, Padding = Padding2d.Same },
    ];

    // height, width, channels, kernel height, kernel width
    [TestCase(7, 9, 1, 3, 2)]
    [TestCase(8, 6, 3, 2, 3)]
    [TestCase(5, 4, 17, 5, 4)]
    [TestCase(4, 5, 33, 2, 2)]
    public void AvgPool2d_is_the_mean_of_windows(int height, int wide, int channels, int kernelHeight, int kernelWidth)
    {
        Tensor[] x = [Numbers.Random(1, 2, height, wide, channels)];
        foreach (PoolOptions options in Options(channels))
            foreach (bool count in new[] { true, false })
            {
                PoolOptions o = options with { CountIncludePad = count };
                OperatorCheck.Run(
                    width, i => Ops.AvgPool2d(i[0], (kernelHeight, kernelWidth), o),
                    i => Pool(i[0], x[0].Shape, (kernelHeight, kernelWidth), o, (values, counted) =>
                        values.Sum() / (count ? counted : values.Count)), x);
            }
    }

    [TestCase(7, 9, 1, 3, 2)]
    [TestCase(8, 7, 3, 2, 3)]
    [TestCase(6, 5, 33, 2, 2)]
    public void MaxPool2d_takes_every_option(int height, int wide, int channels, int kernelHeight, int kernelWidth)
    {
        Tensor[] x = [Numbers.Uniform(1, -2f, -1f, 2, height, wide, channels)];
        foreach (PoolOptions options in Options(channels))
            foreach (Size2d dilation in new Size2d[] { 1, 2, (1, 3) })
            {
                PoolOptions o = options with { Dilation = dilation };
                OperatorCheck.Run(
                    width, i => Ops.MaxPool2d(i[0], (kernelHeight, kernelWidth), o),
                    i => Pool(i[0], x[0].Shape, (kernelHeight, kernelWidth), o, (values, _) => values.Max()), x);
            }
    }

    [Test]
    public void In_ceil_mode_a_window_may_be_larger_than_the_image()
    {
        PoolOptions o = new() { Stride = 2, CeilMode = true };
        Tensor[] x = [Numbers.Random(1, 2, 2, 3, 5)];
        OperatorCheck.Run(
            width, i => Ops.MaxPool2d(i[0], 3, o), i => Pool(i[0], x[0].Shape, (3, 3), o, (values, _) => values.Max()), x);
        OperatorCheck.Run(width, i => Ops.AvgPool2d(i[0], 3, o), i => Pool(i[0], x[0].Shape, (3, 3), o, (values, counted) =>
            values.Sum() / counted), x);
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(Tensor.Zeros(1, 2, 1, 5), 3, o));
        OperatorCheck.Refuses("MaxPool2d", () => Ops.MaxPool2d(x[0], 3, o with { CeilMode = false }));
    }

    [TestCase(13, 3), TestCase(6, 17)]
    public void Pools_of_sequences_read_the_column_parts_of_pairs(int length, int channels)
    {
        PoolOptions pairs = new() { Stride = (9, 2), Padding = new Padding2d(9, 0, 9, 1), CeilMode = true };
        PoolOptions row = pairs with { Stride = (1, 2), Padding = new Padding2d(0, 0, 0, 1) };
        Tensor[] x = [Numbers.Random(1, 2, length, channels)];
        Shape image = new(2, 1, length, channels);
        OperatorCheck.Run(width, i => Ops.MaxPool1d(i[0], 3, pairs), i => Pool(i[0], image, (1, 3), row, (values, _) => values.Max()), x);
        OperatorCheck.Run(width, i => Ops.AvgPool1d(i[0], 3, pairs), i => Pool(i[0], image, (1, 3), row, (values, counted) =>
            values.Sum() / counted), x);
    }

    // batch, height, width, channels, out height, out width
    [TestCase(1, 1, 1, 1, 1, 1)]
    [TestCase(3, 7, 10, 17, 1, 1)]
    [TestCase(1, 7, 10, 33, 3, 6)]
    [TestCase(3, 4, 5, 3, 6, 7)] // more than the image has: windows repeat
    [TestCase(1, 3, 8, 1, 2, 8)]
    public void AdaptiveMaxPool2d_takes_the_largest_of_each_window(int batch, int height, int wide, int channels, int outHeight,
        int outWidth) => OperatorCheck.Run(
        width, i => Ops.AdaptiveMaxPool2d(i[0], (outHeight, outWidth)), i =>
        {
            double[] y = new double[batch * outHeight * outWidth * channels];
            for (int e = 0; e < y.Length; e++)
            {
                int c = e % channels, ox = e / channels % outWidth, oy = e / channels / outWidth % outHeight,
                    b = e / channels / outWidth / outHeight;
                y[e] = double.NegativeInfinity;
                for (int v = oy * height / outHeight; v < ((oy + 1) * height + outHeight - 1) / outHeight; v++)
                    for (int u = ox * wide / outWidth; u < ((ox + 1) * wide + outWidth - 1) / outWidth; u++)
                        y[e] = Math.Max(y[e], i[0][((b * height + v) * wide + u) * channels + c]);
            }
            return y;
        }, [Numbers.Random(1, batch, height, wide, channels)]);

    [Test]
    public void NaN_passes_through_maxima_and_takes_the_gradient()
    {
        using IDisposable _ = Isa.Use(width);
        // Channel 0: no NaN; 1: NaN first; 2: NaN last; 3: two of them; 4: -infinity alone.
        float nan = float.NaN, low = float.NegativeInfinity;
        Tensor x = Tensor.From([1, nan, 1, nan, low, 3, 2, 3, 5, low, 2, 3, 2, nan, low, 1, 1, nan, 2, low], 1, 2, 2, 5);
        foreach (Func<Tensor, Tensor> pool in new Func<Tensor, Tensor>[] { t => Ops.MaxPool2d(t, 2), t => Ops.AdaptiveMaxPool2d(t, 1) })
        {
            x.RequiresGrad = true;
            x.ZeroGrad();
            using Tape tape = new();
            Tensor y = pool(x);
            Assert.That(y.Span.ToArray(), Is.EqualTo(new[] { 3, nan, nan, nan, low }));
            tape.Backward(y, Tensor.Full(1f, y.Shape));
            // As PyTorch: the first of equals, the last NaN.
            Assert.That(x.Grad!.Value.Span.ToArray(), Is.EqualTo(new float[] { 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0,
                0 }));
        }
    }

    [Test]
    public void The_gradient_of_a_padded_window_of_minus_infinity_stays_inside()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Full(float.NegativeInfinity, 1, 2, 2, 1);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.MaxPool2d(x, 3, new() { Stride = 3, Padding = 1 });
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        Assert.That(x.Grad!.Value.Span.ToArray(), Is.EqualTo(new float[] { 1, 0, 0, 0 }));
    }

    [Test]
    public void A_window_without_a_pixel_is_minus_infinity_and_has_no_gradient()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor x = Tensor.Full(2f, 1, 1, 3, 1);
        x.RequiresGrad = true;
        using Tape tape = new();
        Tensor y = Ops.MaxPool2d(x, (1, 2), new() { Stride = 1, Padding = (0, 4), Dilation = (1, 8) }); // taps before and after the image
        Assert.That(y.Span.ToArray(), Is.EqualTo(new[] { float.NegativeInfinity, float.NegativeInfinity, float.NegativeInfinity }));
        tape.Backward(y, Tensor.Full(1f, y.Shape));
        Assert.That(x.Grad!.Value.Span.ToArray(), Is.All.EqualTo(0f));
    }

    [Test]
    public void No_images_give_none()
    {
        using IDisposable _ = Isa.Use(width);
        Tensor images = Tensor.Zeros(0, 4, 4, 2);
        OperatorCheck.IsEmpty(i => Ops.MaxPool2d(i[0], 2), images);
        OperatorCheck.IsEmpty(i => Ops.AvgPool2d(i[0], 2), images);
        OperatorCheck.IsEmpty(i => Ops.AdaptiveAvgPool2d(i[0], (2, 3)), images);
        OperatorCheck.IsEmpty(i => Ops.AdaptiveMaxPool2d(i[0], (2, 3)), images);
        OperatorCheck.IsEmpty(i => Ops.MaxPool1d(i[0], 2), Tensor.Zeros(0, 4, 2));
        OperatorCheck.IsEmpty(i => Ops.AvgPool1d(i[0], 2), Tensor.Zeros(0, 4, 2));
    }

    /// <summary>Every option where there are few channels; two that have most of them where there are many.</summary>
    private static PoolOptions[] Options(int channels) => channels <= 3 ? s_options : [s_options[3], s_options[5]];

    /// <summary>The windows of a pool: the pixels inside, and how many the image with its padding has.</summary>
    private static double[] Pool(double[] x, Shape shape, Size2d kernel, PoolOptions o, Func<List<double>, int, double> reduce)
    {
        int height = shape[1], wide = shape[2], channels = shape[3];
        Size2d stride = o.Stride ?? kernel, d = o.Dilation;
        int reachY = d.Height * (kernel.Height - 1), reachX = d.Width * (kernel.Width - 1);
        Padding2d p = o.Padding.IsSame ? new(reachY / 2, reachX / 2, reachY - reachY / 2, reachX - reachX / 2) : o.Padding;
        int outHeight = Outputs(height, p.Top, p.Bottom, reachY, stride.Height), outWidth = Outputs(wide, p.Left, p.Right, reachX,
            stride.Width);
        double[] y = new double[shape[0] * outHeight * outWidth * channels];
        for (int e = 0; e < y.Length; e++)
        {
            int c = e % channels, ox = e / channels % outWidth, oy = e / channels / outWidth % outHeight,
                b = e / channels / outWidth / outHeight;
            List<double> values = [];
            int counted = 0;
            for (int ky = 0; ky < kernel.Height; ky++)
                for (int kx = 0; kx < kernel.Width; kx++)
                {
                    int v = oy * stride.Height - p.Top + ky * d.Height, u = ox * stride.Width - p.Left + kx * d.Width;
                    if (v < height + p.Bottom && u < wide + p.Right) counted++;
                    if (v >= 0 && v < height && u >= 0 && u < wide) values.Add(x[((b * height + v) * wide + u) * channels + c]);
                }
            y[e] = reduce(values, counted);
        }
        return y;

        int Outputs(int extent, int before, int after, int reach, int step)
        {
            int room = extent + before + after - reach - 1, outputs = room / step + 1;
            return o.CeilMode && room % step != 0 && outputs * step < extent + before ? outputs + 1 : outputs;
        }
    }
}
