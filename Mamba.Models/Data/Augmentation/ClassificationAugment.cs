using Mamba.Core;

namespace Mamba.Models.Data.Augmentation;

/// <summary>Augmentation for classification, in this order: crop, flip, RandAugment. The default is crop and flip.</summary>
public sealed record ClassificationAugment : IAugmentation
{
    /// <summary>Black pixels added on each side before a random crop of the picture's own size.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 4096.</exception>
    public int CropPadding
    {
        get;
        init => field = value is >= 0 and <= 4096 ? value
            : throw new ArgumentOutOfRangeException(
                nameof(CropPadding), value, "ClassificationAugment: expected a padding from 0 to 4096 pixels.");
    } = 4;

    /// <summary>Flip left to right with probability one half.</summary>
    public bool Flip { get; init; } = true;

    /// <summary>RandAugment; null for none.</summary>
    public RandAugment? RandAugment { get; init; }

    /// <inheritdoc/>
    public Sample Apply(Sample sample, ulong seed, int epoch, int index)
    {
        RandomStream random = new(seed, $"augment/{epoch}/{index}");
        // All three are sampled always, so that one option does not change the effect of another.
        int down = random.NextInt(2 * CropPadding + 1) - CropPadding, right = random.NextInt(2 * CropPadding + 1) - CropPadding;
        bool mirror = random.NextInt(2) == 1 && Flip;
        Image image = Move(sample.Image, right, down, mirror);
        return new ClassificationSample(RandAugment?.Apply(image, random) ?? image, ((ClassificationSample)sample).Label);
    }

    private static Image Move(Image from, int right, int down, bool mirror)
    {
        if (right == 0 && down == 0 && !mirror) return from;
        (int width, int height, int channels) = (from.Width, from.Height, from.Channels);
        if (!from.Is16Bit) return new Image(width, height, channels, Move(from.Pixels, width, height, channels, right, down, mirror));
        ushort[] moved = Move(from.Samples16, width, height, channels, right, down, mirror);
        return new Image(width, height, channels, moved) { Origin = from.Origin };
    }

    /// <summary>Moves pixel (x + right, y + down) to (x, y), black outside, then mirrors the columns.</summary>
    private static T[] Move<T>(T[] from, int width, int height, int channels, int right, int down, bool mirror)
    {
        T[] to = new T[from.Length];
        int first = Math.Clamp(-right, 0, width), count = width - Math.Min(Math.Abs(right), width);
        if (count == 0) return to;
        for (int y = Math.Max(0, -down); y < Math.Min(height, height - down); y++)
        {
            ReadOnlySpan<T> row = from.AsSpan(((y + down) * width + first + right) * channels, count * channels);
            if (!mirror)
            {
                row.CopyTo(to.AsSpan((y * width + first) * channels));
                continue;
            }
            Span<T> target = to.AsSpan((y * width + width - first - count) * channels, count * channels);
            for (int i = 0; i < row.Length; i++) target[i] = row[row.Length - channels - i + 2 * (i % channels)];
        }
        return to;
    }
}
