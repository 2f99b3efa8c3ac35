namespace Mamba.Models.Data;

/// <summary>The values of a volume that become 0 and 1.</summary>
/// <param name="Low">What becomes 0; values below it, and NaN, do so, too.</param>
/// <param name="High">What becomes 1, and all above it.</param>
internal readonly record struct VolumeRange(double Low, double High)
{
    /// <summary>A z-score is kept from minus this to this, as 0 to 1; <see cref="ZScores"/> undoes it.</summary>
    private const float MostDeviations = 8;

    private const int Half = 1 << 16; // of the bits of a float

    /// <summary>The normalization that makes z-scores of the numbers from 0 to 1 of <see cref="IntensityKind.ZScore"/>.</summary>
    public static Normalization ZScores(int channels) =>
        new([.. Enumerable.Repeat(0.5f, channels)], [.. Enumerable.Repeat(1 / (2 * MostDeviations), channels)]);

    /// <summary>A z-score as a number from 0 to 1.</summary>
    public static float OfZScore(float z) => Math.Clamp(z / (2 * MostDeviations) + 0.5f, 0, 1);

    /// <summary>The range of a volume.</summary>
    /// <param name="intensity">How it is found; all slices are mapped alike.</param>
    /// <param name="values">The values of all voxels.</param>
    /// <exception cref="InvalidDataException">No value is finite, or the range is that of 8 bits and a value is outside.</exception>
    public static VolumeRange Of(Intensity intensity, ReadOnlySpan<float> values)
    {
        if (intensity.Kind == IntensityKind.Window) return new VolumeRange(intensity.Low, intensity.High);
        long count = 0;
        float low = float.MaxValue, high = float.MinValue;
        double sum = 0;
        foreach (float value in values)
        {
            if (!float.IsFinite(value)) continue;
            (low, high) = (Math.Min(low, value), Math.Max(high, value));
            sum += value;
            count++;
        }
        if (count == 0) throw new InvalidDataException($"none of {values.Length} voxels is a finite number.");
        return intensity.Kind switch
        {
            IntensityKind.Range => new VolumeRange(low, high),
            IntensityKind.Percentile =>
                new VolumeRange(Quantile(values, count, intensity.Low / 100), Quantile(values, count, intensity.High / 100)),
            IntensityKind.ZScore => Deviations(values, count, sum / count),
            _ => low >= 0 && high <= 255 ? new VolumeRange(0, 255) : throw new InvalidDataException(
                FormattableString.Invariant($"values from {low} to {high}, and intensity none is for 0 to 255; expected another, ")
                    + "as --intensity percentile:0.5,99.5 of training, or weights that were trained with one."),
        };
    }

    /// <summary>A value as 16 bits.</summary>
    public ushort Apply(float value) => !(value > Low) ? (ushort)0 // NaN is not
        : value >= High ? ushort.MaxValue
        : (ushort)Math.Round((value - Low) / (High - Low) * ushort.MaxValue);

    private static VolumeRange Deviations(ReadOnlySpan<float> values, long count, double mean)
    {
        double squares = 0;
        foreach (float value in values)
            if (float.IsFinite(value)) squares += (value - mean) * (value - mean);
        double reach = MostDeviations * Math.Max(Math.Sqrt(squares / count), 1e-9);
        return new VolumeRange(mean - reach, mean + reach);
    }

    /// <summary>As NumPy's percentile: linear between the two nearest of the sorted values.</summary>
    private static double Quantile(ReadOnlySpan<float> values, long count, double share)
    {
        double place = share * (count - 1);
        long below = (long)Math.Floor(place);
        double low = Ranked(values, below), high = below + 1 < count && place > below ? Ranked(values, below + 1) : low;
        return low + (place - below) * (high - low);
    }

    /// <summary>The value of a rank among the finite ones: by the upper half of their bits, then by the lower; nothing is sorted.</summary>
    private static float Ranked(ReadOnlySpan<float> values, long rank)
    {
        long[] counts = new long[Half];
        foreach (float value in values)
            if (float.IsFinite(value)) counts[Ordered(value) / Half]++;
        uint upper = Find(counts, ref rank);
        Array.Clear(counts);
        foreach (float value in values)
            if (float.IsFinite(value) && Ordered(value) / Half == upper) counts[Ordered(value) % Half]++;
        uint bits = upper * Half + Find(counts, ref rank);
        return BitConverter.UInt32BitsToSingle(bits >> 31 != 0 ? bits ^ 1u << 31 : ~bits);
    }

    private static uint Find(long[] counts, ref long rank)
    {
        uint at = 0;
        for (; rank >= counts[at]; at++) rank -= counts[at];
        return at;
    }

    /// <summary>The bits of a value, changed so that they are in the order of the values.</summary>
    private static uint Ordered(float value) =>
        BitConverter.SingleToUInt32Bits(value) is var bits && bits >> 31 != 0 ? ~bits : bits | 1u << 31;
}
