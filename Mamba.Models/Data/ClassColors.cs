namespace Mamba.Models.Data;

/// <summary>
/// A color for each class, the same in every picture and every run. The first eight are those of Okabe and Ito, which people with any kind
/// of color blindness tell apart; black is the background. From the ninth on, hues follow each other by the golden ratio, in turn light,
/// dark and in between, so that neighbors in the list differ.
/// </summary>
public static class ClassColors
{
    private const double GoldenRatio = 0.618033988749895, Saturation = 0.75;

    private static readonly (byte, byte, byte)[] s_okabeIto =
    [
        (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167),
    ];

    private static readonly double[] s_lightness = [0.75, 0.35, 0.55];

    /// <summary>A pixel that the prediction found: bluish green.</summary>
    public static (byte R, byte G, byte B) Found => (0, 158, 115);

    /// <summary>A pixel that the prediction missed: sky blue.</summary>
    public static (byte R, byte G, byte B) Missed => (86, 180, 233);

    /// <summary>A pixel that was predicted and is not so: vermilion.</summary>
    public static (byte R, byte G, byte B) Wrong => (213, 94, 0);

    /// <summary>The color of a class.</summary>
    /// <param name="class">Its index, from 0 (background) to 254.</param>
    /// <returns>Red, green, blue.</returns>
    /// <exception cref="ArgumentOutOfRangeException">It is no class.</exception>
    public static (byte R, byte G, byte B) Of(int @class)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(@class);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(@class, LabelMap.MaxClasses);
        if (@class < s_okabeIto.Length) return s_okabeIto[@class];
        int k = @class - s_okabeIto.Length;
        double hue = k * GoldenRatio % 1, light = s_lightness[k % s_lightness.Length];
        return (Channel(hue, light, 0), Channel(hue, light, 8), Channel(hue, light, 4));
    }

    /// <summary>A channel of a color of hue, saturation and lightness (HSL).</summary>
    private static byte Channel(double hue, double light, int offset)
    {
        double k = (offset + hue * 12) % 12, range = Saturation * Math.Min(light, 1 - light);
        return (byte)Math.Round(255 * (light - range * Math.Max(-1, Math.Min(Math.Min(k - 3, 9 - k), 1))));
    }
}
