using Mamba.Core;

namespace Mamba.Models.Data.Augmentation;

/// <summary>Augmentation of a picture together with its mask; none by default.</summary>
public sealed record SegmentationAugment : IAugmentation
{
    /// <summary>Flip left to right and top to bottom, each with probability one half.</summary>
    public bool Flips { get; init; }

    /// <summary>Rotate by 0, 90, 180 or 270 degrees; a picture that is not square, by 0 or 180.</summary>
    public bool QuarterTurns { get; init; }

    /// <summary>Multiply the brightness by a factor from 1 - this to 1 + this.</summary>
    public float Brightness { get; init; }

    /// <summary>Multiply the distance to the picture's mean by a factor from 1 - this to 1 + this.</summary>
    public float Contrast { get; init; }

    /// <inheritdoc/>
    public Sample Apply(Sample sample, ulong seed, int epoch, int index)
    {
        LabelMap mask = ((SegmentationSample)sample).Mask;
        RandomStream random = new(seed, $"augment/{epoch}/{index}");
        // All four are sampled always, so that one option does not change the effect of another.
        ulong bits = random.NextBits();
        double brightness = random.NextDouble(1 - Brightness, 1 + Brightness);
        double contrast = random.NextDouble(1 - Contrast, 1 + Contrast);

        Image image = sample.Image;
        int turns = QuarterTurns ? (int)(bits & 3) : 0;
        if (image.Width != image.Height) turns &= 2;
        bool transpose = (turns & 1) != 0;
        bool mirror = (turns is 1 or 2) ^ (Flips && (bits & 4) != 0), upend = (turns is 2 or 3) ^ (Flips && (bits & 8) != 0);
        return new SegmentationSample(
            Recolor(Move(image, transpose, mirror, upend), brightness, contrast), Move(mask, transpose, mirror, upend));
    }

    private static Image Move(Image from, bool transpose, bool mirror, bool upend)
    {
        (int width, int height, int channels) = (from.Width, from.Height, from.Channels);
        if (!transpose && !mirror && !upend) return from;
        if (!from.Is16Bit) return new Image(width, height, channels, Move(from.Pixels, width, height, channels, transpose, mirror, upend));
        ushort[] moved = Move(from.Samples16, width, height, channels, transpose, mirror, upend);
        return new Image(width, height, channels, moved) { Origin = from.Origin };
    }

    private static LabelMap Move(LabelMap from, bool transpose, bool mirror, bool upend) => !transpose && !mirror && !upend ? from
        : new LabelMap(from.Width, from.Height, Move(from.Classes, from.Width, from.Height, 1, transpose, mirror, upend));

    /// <summary>Any of the eight symmetries of a square: transpose, then mirror columns, then rows.</summary>
    private static T[] Move<T>(T[] from, int width, int height, int channels, bool transpose, bool mirror, bool upend)
    {
        T[] to = new T[from.Length];
        for (int y = 0, at = 0; y < height; y++)
        {
            for (int x = 0; x < width; x++)
            {
                int row = upend ? height - 1 - y : y, column = mirror ? width - 1 - x : x;
                if (transpose) (row, column) = (column, row);
                int source = (row * width + column) * channels;
                for (int c = 0; c < channels; c++) to[at++] = from[source + c];
            }
        }
        return to;
    }

    /// <summary>Brightness multiplies what a sample stands for: of signed samples, the signed number.</summary>
    private static Image Recolor(Image from, double brightness, double contrast)
    {
        if (brightness == 1 && contrast == 1) return from;
        if (from.Is16Bit)
        {
            ushort[] wide = Table16(from, brightness, contrast);
            ushort[] samples = Array.ConvertAll(from.Samples16, sample => wide[sample]);
            return new Image(from.Width, from.Height, from.Channels, samples) { Origin = from.Origin };
        }
        long sum = 0;
        foreach (byte sample in from.Pixels) sum += sample;
        double mean = brightness * sum / from.Pixels.Length;
        byte[] table = new byte[256];
        for (int i = 0; i < 256; i++) table[i] = (byte)Math.Clamp(Math.Round(mean + contrast * (brightness * i - mean)), 0, 255);
        return new Image(from.Width, from.Height, from.Channels, Array.ConvertAll(from.Pixels, sample => table[sample]));
    }

    private static ushort[] Table16(Image from, double brightness, double contrast)
    {
        long sum = 0;
        foreach (ushort sample in from.Samples16) sum += sample + from.Origin;
        double mean = brightness * sum / from.Samples16.Length;
        ushort[] table = new ushort[1 << from.UsedBits];
        for (int i = 0; i < table.Length; i++)
        {
            double value = mean + contrast * (brightness * (i + from.Origin) - mean);
            table[i] = (ushort)Math.Clamp(Math.Round(value) - from.Origin, 0, ushort.MaxValue);
        }
        return table;
    }
}
