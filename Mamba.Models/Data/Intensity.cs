using System.Globalization;

namespace Mamba.Models.Data;

/// <summary>
/// How the values of a picture become the numbers that a model's normalization expects. All channels of a picture, or all pictures of a
/// volume, are mapped alike. Pictures of 8 bits are treated as those of 16: their values are 0 to 255.
/// </summary>
/// <remarks>
/// <list type="bullet">
/// <item>none: value / 255, or / 65535 of 16 bits, where signed values count from -32768;</item>
/// <item>range: (value - smallest) / (largest - smallest) of the picture;</item>
/// <item>percentile:A,B: as range, between the percentiles A and B, clamped to 0 to 1;</item>
/// <item>window:L,H: (value - L) / (H - L), clamped to 0 to 1, in the values of the file: 12 bits have window:0,4095;</item>
/// <item>zscore: (value - mean) / standard deviation of the picture; the normalization is not applied.</item>
/// </list>
/// A picture of one value becomes 0 by range, percentile and zscore.
/// </remarks>
public sealed record Intensity
{
    private const int Bins = 1 << 16;

    private Intensity(IntensityKind kind, double low = 0, double high = 0) => (Kind, Low, High) = (kind, low, high);

    /// <summary>By the bits of a sample; the default.</summary>
    public static Intensity None { get; } = new(IntensityKind.None);

    /// <summary>From the smallest to the largest value of the picture.</summary>
    public static Intensity Range { get; } = new(IntensityKind.Range);

    /// <summary>To mean 0 and standard deviation 1.</summary>
    public static Intensity ZScore { get; } = new(IntensityKind.ZScore);

    /// <summary>Which.</summary>
    public IntensityKind Kind { get; }

    /// <summary>The lower percentile, or the value that becomes 0; 0 for the other kinds.</summary>
    public double Low { get; }

    /// <summary>The upper percentile, or the value that becomes 1; 0 for the other kinds.</summary>
    public double High { get; }

    /// <summary>From one percentile of the picture's values to another.</summary>
    /// <param name="low">From 0, for instance 0.5.</param>
    /// <param name="high">To 100, for instance 99.5.</param>
    /// <returns>The intensity.</returns>
    /// <exception cref="ArgumentException">They are not in order, or outside 0 to 100.</exception>
    public static Intensity Percentile(double low, double high) => low >= 0 && low < high && high <= 100
        ? new Intensity(IntensityKind.Percentile, low, high)
        : throw new ArgumentException(Line($"Intensity: percentiles {low} and {high}; expected 0 <= low < high <= 100."));

    /// <summary>From one value to another, the same for all pictures.</summary>
    /// <param name="low">What becomes 0.</param>
    /// <param name="high">What becomes 1.</param>
    /// <returns>The intensity.</returns>
    /// <exception cref="ArgumentException">They are not finite, or not in order.</exception>
    public static Intensity Window(double low, double high) => double.IsFinite(low) && double.IsFinite(high) && low < high
        ? new Intensity(IntensityKind.Window, low, high)
        : throw new ArgumentException(Line($"Intensity: a window from {low} to {high}; expected finite numbers, the lower first."));

    /// <summary>The window of the fewest bits that hold a value: 4095 and all below it give 0 to 4095, if they are above 2047.</summary>
    /// <param name="maxValue">The largest value of all pictures, 0 to 65535.</param>
    /// <returns>Window(0, 2^bits - 1) with 8 to 16 bits.</returns>
    public static Intensity ForBits(int maxValue)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(maxValue);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(maxValue, ushort.MaxValue);
        int bits = 8;
        while (maxValue >> bits != 0) bits++;
        return Window(0, (1 << bits) - 1);
    }

    /// <summary>Reads what <see cref="ToString"/> writes: none, range, percentile:0.5,99.5, window:0,4095 or zscore.</summary>
    /// <param name="text">The text.</param>
    /// <returns>The intensity.</returns>
    /// <exception cref="ArgumentException">It is something else; the message says what was expected.</exception>
    public static Intensity Parse(string text)
    {
        string[] parts = text.Split(':', 2), numbers = parts.Length == 2 ? parts[1].Split(',') : [];
        double low = 0, high = 0;
        bool pair = numbers.Length == 2
            && double.TryParse(numbers[0], NumberStyles.Float, CultureInfo.InvariantCulture, out low)
            && double.TryParse(numbers[1], NumberStyles.Float, CultureInfo.InvariantCulture, out high);
        return (parts[0], parts.Length, pair) switch
        {
            ("none", 1, _) => None,
            ("range", 1, _) => Range,
            ("zscore", 1, _) => ZScore,
            ("percentile", 2, true) => Percentile(low, high),
            ("window", 2, true) => Window(low, high),
            _ => throw new ArgumentException(
                $"intensity '{text}'; expected none, range, percentile:A,B (such as percentile:0.5,99.5), window:L,H (such as "
                    + "window:0,4095) or zscore."),
        };
    }

    /// <summary>What it does to a picture.</summary>
    /// <param name="image">The picture.</param>
    /// <returns>The map of its samples.</returns>
    public IntensityMap Of(Image image) => Of([image]);

    /// <summary>What it does to a volume: all slices are mapped alike.</summary>
    /// <param name="slices">At least one, all of 8 or all of 16 bits, and of one origin.</param>
    /// <returns>The map of their samples.</returns>
    /// <exception cref="ArgumentException">There is none, or they differ.</exception>
    public IntensityMap Of(IReadOnlyList<Image> slices)
    {
        if (slices.Count == 0) throw new ArgumentException("Intensity of no picture; expected at least one.");
        (bool wide, int origin) = (slices[0].Is16Bit, slices[0].Origin);
        for (int i = 1; i < slices.Count; i++)
            if (slices[i].Is16Bit != wide || slices[i].Origin != origin)
                throw new ArgumentException(
                    $"Intensity of slices that differ in bits or origin; expected those of the first in slice {i} as well.");
        if (Kind == IntensityKind.None) return Between(0, wide ? 65535 : 255);
        if (Kind == IntensityKind.Window) return Between(Low - origin, High - origin);
        long[] histogram = Histogram(slices);
        return Kind switch
        {
            IntensityKind.Range => Between(Array.FindIndex(histogram, n => n > 0), Array.FindLastIndex(histogram, n => n > 0)),
            IntensityKind.Percentile => Between(Quantile(histogram, Low / 100), Quantile(histogram, High / 100)),
            _ => Standard(histogram),
        };
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    /// <returns>For instance "window:0,4095".</returns>
    public override string ToString() => Kind switch
    {
        IntensityKind.Percentile => Line($"percentile:{Low},{High}"),
        IntensityKind.Window => Line($"window:{Low},{High}"),
        IntensityKind.Range => "range",
        IntensityKind.ZScore => "zscore",
        _ => "none",
    };

    private static string Line(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static IntensityMap Between(double low, double high) => high > low
        ? new IntensityMap((float)(1 / (high - low)), (float)(-low / (high - low)), Clamp: true)
        : new IntensityMap(0, 0, Clamp: true);

    private static long[] Histogram(IReadOnlyList<Image> slices)
    {
        long[] counts = new long[slices[0].Is16Bit ? Bins : 256];
        foreach (Image slice in slices)
        {
            if (slice.Is16Bit) foreach (ushort sample in slice.Samples16) counts[sample]++;
            else foreach (byte sample in slice.Pixels) counts[sample]++;
        }
        return counts;
    }

    /// <summary>As NumPy's percentile: linear between the two nearest of the sorted samples.</summary>
    private static double Quantile(long[] histogram, double share)
    {
        double place = share * (histogram.Sum() - 1);
        long low = (long)Math.Floor(place), passed = 0;
        int lower = -1;
        for (int value = 0; value < histogram.Length; value++)
        {
            passed += histogram[value];
            if (lower < 0 && passed > low) lower = value;
            if (lower >= 0 && passed > low + 1) return lower + (place - low) * (value - lower);
        }
        return lower;
    }

    private static IntensityMap Standard(long[] histogram)
    {
        double count = histogram.Sum(), mean = 0, variance = 0;
        for (int value = 0; value < histogram.Length; value++) mean += histogram[value] / count * value;
        for (int value = 0; value < histogram.Length; value++) variance += histogram[value] / count * ((value - mean) * (value - mean));
        double deviation = Math.Sqrt(variance);
        return deviation > 1e-9 ? new IntensityMap((float)(1 / deviation), (float)(-mean / deviation), Clamp: false)
            : new IntensityMap(0, 0, Clamp: false);
    }
}
