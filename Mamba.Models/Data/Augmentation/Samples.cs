using System.Numerics;

namespace Mamba.Models.Data.Augmentation;

/// <summary>Applies one operation to pictures of 8 and of 16 bits.</summary>
internal static class Samples
{
    /// <summary>Applies an operation to all channels.</summary>
    public static Image Apply<TOperation>(Image from, TOperation operation) where TOperation : ISampleOperation
    {
        (int width, int height, int channels) = (from.Width, from.Height, from.Channels);
        return from.Is16Bit
            ? new Image(width, height, channels, operation.Apply(from.Samples16, width, height)) { Origin = from.Origin }
            : new Image(width, height, channels, operation.Apply(from.Pixels, width, height)) { Origin = from.Origin };
    }

    /// <summary>Applies a curve to what each sample stands for: of signed samples, the signed number.</summary>
    public static Image Map(Image from, Func<double, double> curve)
    {
        if (!from.Is16Bit)
        {
            byte[] table = Table<byte>(256, from.Origin, curve);
            byte[] pixels = Array.ConvertAll(from.Pixels, sample => table[sample]);
            return new Image(from.Width, from.Height, from.Channels, pixels) { Origin = from.Origin };
        }
        ushort[] wide = Table<ushort>(1 << from.UsedBits, from.Origin, curve);
        ushort[] samples = Array.ConvertAll(from.Samples16, sample => wide[sample]);
        return new Image(from.Width, from.Height, from.Channels, samples) { Origin = from.Origin };
    }

    /// <summary>The smallest and the largest sample.</summary>
    public static (int Low, int High) Range(Image image) => image.Is16Bit ? Range(image.Samples16) : Range(image.Pixels);

    /// <inheritdoc cref="Range(Image)"/>
    public static (int Low, int High) Range<T>(ReadOnlySpan<T> samples) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        T low = T.MaxValue, high = T.MinValue;
        foreach (T sample in samples)
        {
            if (sample < low) low = sample;
            if (sample > high) high = sample;
        }
        return (int.CreateTruncating(low), int.CreateTruncating(high));
    }

    /// <summary>The sum of what the samples stand for.</summary>
    public static long Sum(Image image)
    {
        long sum = 0;
        if (image.Is16Bit) foreach (ushort sample in image.Samples16) sum += sample + image.Origin;
        else foreach (byte sample in image.Pixels) sum += sample + image.Origin;
        return sum;
    }

    /// <summary>
    /// What lies outside of a picture: black. A signed sample of 0 stands for -32768, which no scanner writes: there it is the smallest.
    /// </summary>
    public static int Outside(Image image) => image.Origin == 0 ? 0 : Range(image).Low;

    private static T[] Table<T>(int count, int origin, Func<double, double> curve) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        T[] table = new T[count];
        for (int i = 0; i < count; i++) table[i] = T.CreateSaturating(Math.Round(curve(i + origin)) - origin);
        return table;
    }
}
