using Mamba.Models.Explanation;

namespace Mamba.Tests.Models;

internal sealed class HeatMapTests
{
    [Test]
    public void The_lightness_of_a_color_grows_evenly_with_the_value()
    {
        double[] lightness = [.. Enumerable.Range(0, 101).Select(i => Lightness(HeatMap.Color(i / 100.0)))];
        for (int i = 1; i < lightness.Length; i++) Assert.That(lightness[i] - lightness[i - 1], Is.InRange(0.5, 1.7), $"{i} %");
        Assert.That(lightness[0], Is.LessThan(5));
        Assert.That(lightness[^1], Is.GreaterThan(95));
    }

    [TestCase(-1, 0), TestCase(2, 1), TestCase(double.NaN, 0), TestCase(double.PositiveInfinity, 1)]
    public void Values_outside_have_the_color_of_the_nearest(double value, double inside) =>
        Assert.That(HeatMap.Color(value), Is.EqualTo(HeatMap.Color(inside)));

    /// <summary>CIE L* of an sRGB color.</summary>
    private static double Lightness((byte R, byte G, byte B) color)
    {
        double y = 0.2126 * Linear(color.R) + 0.7152 * Linear(color.G) + 0.0722 * Linear(color.B);
        return y > 0.008856 ? 116 * Math.Cbrt(y) - 16 : 903.3 * y;

        static double Linear(byte value)
        {
            double v = value / 255.0;
            return v <= 0.04045 ? v / 12.92 : Math.Pow((v + 0.055) / 1.055, 2.4);
        }
    }
}
