using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ResamplingTests
{
    private static float[] Resize(Image image, int height, int width, Resampling resampling, Intensity? intensity = null)
    {
        float[] to = new float[height * width * image.Channels];
        new BatchWriter(new BatchOptions
        {
            Width = width,
            Height = height,
            Channels = image.Channels,
            Resampling = resampling,
            Intensity = intensity ?? Intensity.None,
        }).Image(image, to);
        return to;
    }

    /// <summary>
    /// 6 columns to 3: the triangle reaches 2 columns from the centers 1, 3 and 5, so that four columns weigh 1, 3, 3 and 1 of 8. At the
    /// border, 3, 3 and 1 of 7 remain.
    /// </summary>
    [Test]
    public void A_half_as_wide_picture_is_a_mean_of_all_pixels()
    {
        float[] row = Resize(new Image(6, 1, 1, (byte[])[0, 70, 140, 210, 35, 7]), 1, 3, Resampling.Antialias);
        double[] expected = [(3 * 0 + 3 * 70 + 140) / 7.0, (70 + 3 * 140 + 3 * 210 + 35) / 8.0, (210 + 3 * 35 + 3 * 7) / 7.0];
        for (int i = 0; i < 3; i++) Assert.That(row[i] * 255, Is.EqualTo(expected[i]).Within(1e-3));
    }

    /// <summary>Against a direct sum over all source pixels in double precision.</summary>
    [TestCase(13, 11, 5, 4), TestCase(64, 48, 7, 31), TestCase(5, 4, 13, 11), TestCase(9, 9, 9, 3)]
    public void Each_pixel_is_the_weighted_sum_of_its_surroundings(int height, int width, int toHeight, int toWidth)
    {
        Image image = Pictures.Random(width, height, 3);
        float[] actual = Resize(image, toHeight, toWidth, Resampling.Antialias);
        for (int y = 0; y < toHeight; y++)
            for (int x = 0; x < toWidth; x++)
                for (int c = 0; c < 3; c++)
                {
                    double sum = 0, weights = 0;
                    for (int j = 0; j < height; j++)
                        for (int i = 0; i < width; i++)
                        {
                            double weight = Weight(y, toHeight, j, height) * Weight(x, toWidth, i, width);
                            (sum, weights) = (sum + weight * image.Pixels[(j * width + i) * 3 + c] / 255, weights + weight);
                        }
                    Assert.That(actual[(y * toWidth + x) * 3 + c], Is.EqualTo(sum / weights).Within(1e-6));
                }

        static double Weight(int to, int toSize, int from, int size)
        {
            double step = (double)size / toSize, distance = Math.Abs((to + 0.5) * step - (from + 0.5)) / Math.Max(1, step);
            return Math.Max(0, 1 - distance);
        }
    }

    [Test]
    public void Bilinear_of_16_bits_is_that_of_8()
    {
        Image narrow = Pictures.Random(11, 13, 3), wide = new(11, 13, 3, Array.ConvertAll(narrow.Pixels, v => (ushort)(257 * v)));
        foreach ((int height, int width) in new[] { (13, 11), (5, 4), (26, 30) })
        {
            float[] expected = Resize(narrow, height, width, Resampling.Bilinear);
            Assert.That(Resize(wide, height, width, Resampling.Bilinear), Is.EqualTo(expected).Within(1e-6f));
        }
    }

    [Test]
    public void Sixteen_bits_reach_the_input()
    {
        Image image = new(256, 256, 1, (ushort[])[.. Enumerable.Range(0, 65536).Select(i => (ushort)i)]);
        Assert.That(Resize(image, 256, 256, Resampling.Bilinear).Distinct().Count(), Is.EqualTo(65536));
    }
}
