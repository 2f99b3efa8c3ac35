using Mamba.Core;

namespace Mamba.Models.Data.Augmentation;

/// <summary>A rectangle that is cut out of a picture; it may reach beyond.</summary>
/// <param name="Left">Its first column, from the picture's first.</param>
/// <param name="Top">Its first row, from the picture's first.</param>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
internal readonly record struct CropWindow(int Left, int Top, int Width, int Height)
{
    /// <summary>A square at random; a smaller picture lies within it at random.</summary>
    /// <param name="side">Its rows and columns.</param>
    /// <param name="width">Columns of the picture.</param>
    /// <param name="height">Rows of the picture.</param>
    /// <param name="random">Where it comes from.</param>
    /// <returns>The window.</returns>
    public static CropWindow Random(int side, int width, int height, RandomStream random)
    {
        int left = Math.Min(0, width - side) + random.NextInt(Math.Abs(width - side) + 1);
        int top = Math.Min(0, height - side) + random.NextInt(Math.Abs(height - side) + 1);
        return new CropWindow(left, top, side, side);
    }

    /// <summary>Cuts it out of a picture and its mask, if there is one.</summary>
    public Sample Apply(Sample sample) => sample is SegmentationSample pair
        ? new SegmentationSample(Apply(pair.Image), Apply(pair.Mask))
        : sample with { Image = Apply(sample.Image) };

    /// <summary>Cuts it out of a picture; outside as <see cref="Samples.Outside"/> says.</summary>
    public Image Apply(Image from)
    {
        if (this == new CropWindow(0, 0, from.Width, from.Height)) return from;
        int outside = Samples.Outside(from);
        (int width, int height, int channels) = (from.Width, from.Height, from.Channels);
        return from.Is16Bit
            ? new Image(Width, Height, channels, Cut(from.Samples16, width, height, (ushort)outside)) { Origin = from.Origin }
            : new Image(Width, Height, channels, Cut(from.Pixels, width, height, (byte)outside)) { Origin = from.Origin };
    }

    private LabelMap Apply(LabelMap from) => this == new CropWindow(0, 0, from.Width, from.Height) ? from
        : new LabelMap(Width, Height, Cut(from.Classes, from.Width, from.Height, (byte)0));

    private T[] Cut<T>(T[] from, int width, int height, T outside) where T : struct
    {
        int channels = from.Length / (width * height);
        T[] to = new T[Width * Height * channels];
        Array.Fill(to, outside);
        int first = Math.Max(0, Left), count = Math.Min(width, Left + Width) - first;
        if (count <= 0) return to;
        for (int y = Math.Max(0, Top); y < Math.Min(height, Top + Height); y++)
            from.AsSpan((y * width + first) * channels, count * channels)
                .CopyTo(to.AsSpan(((y - Top) * Width + first - Left) * channels));
        return to;
    }
}
