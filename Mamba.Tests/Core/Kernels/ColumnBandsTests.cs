using Mamba.Core;
using Mamba.Core.Kernels.Convolution;
using Mamba.Tests.Support;

namespace Mamba.Tests.Core;

internal sealed class ColumnBandsTests
{
    // batch, height, width, kernel, stride, padding, dilation; floats and pixels of a band
    [TestCase(1, 1, 1, 1, 1, 0, 1, 1, 1)]
    [TestCase(5, 9, 7, 3, 2, 1, 1, 100, 1)]
    [TestCase(7, 8, 8, 2, 2, 0, 1, 4000, 40)]
    [TestCase(2, 20, 5, 3, 3, 0, 2, 10, 1)]
    [TestCase(3, 17, 6, 5, 1, 2, 1, 900, 1)]
    [TestCase(1, 30, 4, 2, 5, 0, 1, 1, 1)] // rows that no window reaches
    [TestCase(1, 12, 3, 3, 2, 2, 1, 1, 1)]
    public void Bands_cover_each_row_once_with_all_that_reaches_it(
        int batch, int height, int width, int kernel, int stride, int padding, int dilation, int floats, int pixels)
    {
        int Output(int extent) => (extent + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
        ConvShape s = new(
            batch, height, width, 4, Output(height), Output(width), 8, kernel, kernel, stride, stride, padding, padding, dilation,
            dilation, 1);
        ColumnBands bands = new(s, floats, pixels);
        int[] covered = new int[batch * height];
        for (nint i = 0; i < bands.Count; i++)
        {
            ColumnBand band = bands[i];
            Assert.That(band.OutRows == s.OutHeight || band.Images == 1, "bands are rows of one image or whole images");
            for (nint image = band.FirstImage; image < band.FirstImage + band.Images; image++)
                for (nint y = band.FirstRow; y < band.FirstRow + band.Rows; y++)
                {
                    covered[image * height + y]++;
                    for (int ky = 0; ky < kernel; ky++)
                    {
                        nint up = y + padding - ky * dilation;
                        if (up < 0 || up % stride != 0 || up / stride >= s.OutHeight) continue;
                        Assert.That(up / stride, Is.InRange(band.FirstOut, band.FirstOut + band.OutRows - 1));
                    }
                }
        }
        Assert.That(covered, Is.All.EqualTo(1));
    }

    // 4,608 pixels of 4,608 columns are two bands; those of half the channels are one.
    [Test]
    public void Bands_of_rows_change_no_bit()
    {
        Tensor dy = Numbers.Random(1, 1, 72, 64, 3), weight = Numbers.Random(2, 3, 512, 3, 3);
        ConvOptions options = new() { Stride = 2, Padding = 1, OutputPadding = 1 };
        Tensor whole = Ops.ConvTranspose2d(dy, weight, options: options);
        Tensor halves = Ops.Concat(
        [
            Ops.ConvTranspose2d(dy, Ops.Slice(weight, 1, 0, 256), options: options),
            Ops.ConvTranspose2d(dy, Ops.Slice(weight, 1, 256, 256), options: options),
        ]);
        Assert.That(whole.Span.SequenceEqual(halves.Span));
    }

    [Test]
    public void Bands_of_images_change_no_bit()
    {
        Tensor dy = Numbers.Random(1, 9, 32, 33, 5), weight = Numbers.Random(2, 5, 256, 3, 3);
        ConvOptions options = new() { Stride = 2, Padding = 1 };
        Tensor whole = Ops.ConvTranspose2d(dy, weight, options: options);
        int size = whole.Count / 9;
        for (int image = 0; image < 9; image += 3)
            Assert.That(
                whole.Span.Slice(image * size, 3 * size).SequenceEqual(
                    Ops.ConvTranspose2d(Ops.Slice(dy, 0, image, 3), weight, options: options).Span), $"images from {image} on");
    }
}
