using Mamba.Core;
using Mamba.Core.Simd;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

/// <summary>Windows as rows of a matrix and back, and pixels as channels and back.</summary>
[TestFixtureSource(typeof(Isas), nameof(Isas.All))]
internal sealed class UnfoldTests(VectorWidth width)
{
    private static readonly ConvOptions[] s_options =
    [
        new(), new() { Stride = 2, Padding = 1 }, new() { Stride = (2, 1), Padding = new Padding2d(1, 0, 0, 2), Dilation = (1, 2) },
    ];

    [TestCase(1, 4, 5, 1), TestCase(2, 5, 6, 3), TestCase(1, 4, 7, 17)]
    public void Unfold_lists_windows_and_Fold_adds_them_up(int batch, int height, int wide, int channels)
    {
        Size2d kernel = (2, 3);
        foreach (ConvOptions options in s_options)
        {
            (int From, int To)[] map = Map(batch, height, wide, channels, kernel, options, out int rows);
            Tensor x = Numbers.Random(1, batch, height, wide, channels), columns = Numbers.Random(2, batch, rows,
                channels * kernel.Height * kernel.Width);
            OperatorCheck.Run(width, i => Ops.Unfold(i[0], kernel, options), i => Gather(map, i[0], columns.Count), [x]);
            OperatorCheck.Run(
                width, i => Ops.Fold(i[0], (height, wide), kernel, options), i => Gather([.. map.Select(m => (m.To, m.From))], i[0],
                    x.Count), [columns]);
        }
    }

    // batch, height, width, channels, factor
    [TestCase(1, 2, 3, 1, 2)]
    [TestCase(2, 3, 2, 3, 3)]
    [TestCase(1, 2, 2, 17, 2)]
    [TestCase(2, 3, 4, 5, 1)]
    public void PixelShuffle_and_PixelUnshuffle_move_pixels(int batch, int height, int wide, int channels, int factor)
    {
        Tensor x = Numbers.Random(1, batch, height, wide, channels * factor * factor), large = Numbers.Random(2, batch, height * factor,
            wide * factor, channels);
        List<(int From, int To)> map = [];
        for (int e = 0; e < x.Count; e++)
        {
            int inner = e % (channels * factor * factor), pixel = e / (channels * factor * factor);
            int c = inner / factor / factor, dy = inner / factor % factor, dx = inner % factor;
            int u = pixel % wide, v = pixel / wide % height, b = pixel / wide / height;
            map.Add((e, ((b * height * factor + v * factor + dy) * wide * factor + u * factor + dx) * channels + c));
        }
        OperatorCheck.Run(width, i => Ops.PixelShuffle(i[0], factor), i => Gather(map, i[0], large.Count), [x]);
        OperatorCheck.Run(width, i => Ops.PixelUnshuffle(i[0], factor), i => Gather([.. map.Select(m => (m.To, m.From))], i[0], x.Count),
            [large]);
    }

    [Test]
    public void No_images_give_none()
    {
        using IDisposable _ = Isa.Use(width);
        OperatorCheck.IsEmpty(i => Ops.Unfold(i[0], 2), Tensor.Zeros(0, 3, 4, 2));
        OperatorCheck.IsEmpty(i => Ops.Fold(i[0], (3, 4), 2), Tensor.Zeros(0, 6, 8));
        OperatorCheck.IsEmpty(i => Ops.PixelShuffle(i[0], 2), Tensor.Zeros(0, 3, 4, 8));
        OperatorCheck.IsEmpty(i => Ops.PixelUnshuffle(i[0], 2), Tensor.Zeros(2, 0, 4, 8));
    }

    [Test]
    public void Bad_arguments_are_refused()
    {
        const int Huge = int.MaxValue;
        Tensor x = Tensor.Zeros(1, 4, 4, 4), columns = Tensor.Zeros(1, 9, 16);
        OperatorCheck.Refuses("Unfold", () => Ops.Unfold(Tensor.Zeros(4, 4, 4), 2));
        OperatorCheck.Refuses("Unfold", () => Ops.Unfold(x, 5));
        OperatorCheck.Refuses("Unfold", () => Ops.Unfold(x, Huge));
        OperatorCheck.Refuses("Unfold", () => Ops.Unfold(x, 2, new() { Dilation = Huge }));
        OperatorCheck.Refuses("Unfold", () => Ops.Unfold(x, 4000, new() { Padding = 4000 }));
        OperatorCheck.Refuses("Unfold", () => Ops.Unfold(Tensor.Zeros(1, 4, 4, 0), 2));
        OperatorCheck.Refuses("Fold", () => Ops.Fold(x, 4, 2));
        OperatorCheck.Refuses("Fold", () => Ops.Fold(columns, 4, 3));
        OperatorCheck.Refuses("Fold", () => Ops.Fold(columns, 5, 2));
        OperatorCheck.Refuses("Fold", () => Ops.Fold(columns, Huge, 2));
        OperatorCheck.Refuses("Fold", () => Ops.Fold(columns, 4, Huge));
        OperatorCheck.RefusesArgument("Unfold", () => Ops.Unfold(x, 0));
        OperatorCheck.RefusesArgument("Unfold", () => Ops.Unfold(x, 2, new() { Groups = 2 }));
        OperatorCheck.RefusesArgument("Unfold", () => Ops.Unfold(x, 2, new() { Activation = Activation.Relu }));
        OperatorCheck.RefusesArgument("Fold", () => Ops.Fold(columns, (4, 0), 2));
        OperatorCheck.RefusesArgument("Fold", () => Ops.Fold(columns, 4, (2, -2)));
        OperatorCheck.Refuses("PixelShuffle", () => Ops.PixelShuffle(x, 3));
        OperatorCheck.Refuses("PixelShuffle", () => Ops.PixelShuffle(x, Huge));
        OperatorCheck.Refuses("PixelUnshuffle", () => Ops.PixelUnshuffle(x, 3));
        OperatorCheck.Refuses("PixelUnshuffle", () => Ops.PixelUnshuffle(Tensor.Zeros(1, 0, 0, 4), Huge));
        OperatorCheck.RefusesArgument("PixelShuffle", () => Ops.PixelShuffle(x, 0));
        OperatorCheck.RefusesArgument("PixelUnshuffle", () => Ops.PixelUnshuffle(x, -2));
    }

    /// <summary>Which element of the image goes to which of the windows.</summary>
    private static (int From, int To)[] Map(int batch, int height, int wide, int channels, Size2d kernel, ConvOptions o, out int windows)
    {
        Padding2d p = o.Padding;
        int outHeight = (height + p.Top + p.Bottom - o.Dilation.Height * (kernel.Height - 1) - 1) / o.Stride.Height + 1;
        int outWidth = (wide + p.Left + p.Right - o.Dilation.Width * (kernel.Width - 1) - 1) / o.Stride.Width + 1;
        windows = outHeight * outWidth;
        List<(int, int)> map = [];
        for (int to = 0; to < batch * windows * channels * kernel.Height * kernel.Width; to++)
        {
            int kx = to % kernel.Width, ky = to / kernel.Width % kernel.Height, c = to / kernel.Width / kernel.Height % channels;
            int window = to / kernel.Width / kernel.Height / channels, b = window / windows;
            int y = window % windows / outWidth * o.Stride.Height - p.Top + ky * o.Dilation.Height;
            int x = window % windows % outWidth * o.Stride.Width - p.Left + kx * o.Dilation.Width;
            if (y >= 0 && y < height && x >= 0 && x < wide) map.Add((((b * height + y) * wide + x) * channels + c, to));
        }
        return [.. map];
    }

    private static double[] Gather(IEnumerable<(int From, int To)> map, double[] x, int count)
    {
        double[] y = new double[count];
        foreach ((int from, int to) in map) y[to] += x[from];
        return y;
    }
}
