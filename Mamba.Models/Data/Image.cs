namespace Mamba.Models.Data;

/// <summary>A decoded picture: 8 bits per channel, rows from the top, channels interleaved.</summary>
public sealed class Image
{
    private static int s_maxPixels = 1 << 26;

    /// <summary>
    /// The most pixels that a picture file may have. A larger one is refused before anything is allocated. The default is 2^26; a reader
    /// needs about 12 bytes per pixel. The limit holds for the whole process.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 1 to 2^28.</exception>
    public static int MaxPixels
    {
        get => s_maxPixels;
        set
        {
            ArgumentOutOfRangeException.ThrowIfNegativeOrZero(value);
            ArgumentOutOfRangeException.ThrowIfGreaterThan(value, 1 << 28);
            s_maxPixels = value;
        }
    }

    /// <summary>Wraps decoded or synthetic samples.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="channels">1 (gray) or 3 (red, green, blue).</param>
    /// <param name="pixels">height x width x channels samples; kept, not copied.</param>
    /// <exception cref="ArgumentException">The number of samples does not fit the size.</exception>
    public Image(int width, int height, int channels, byte[] pixels)
    {
        if (width < 1 || height < 1 || channels is not (1 or 3) || (long)width * height * channels != pixels.Length)
            throw new ArgumentException(
                $"Image: {pixels.Length} samples for {width} x {height} x {channels}; expected width x height x 1 or 3 of them.");
        (Width, Height, Channels, Pixels) = (width, height, channels, pixels);
    }

    /// <summary>A black picture.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="channels">1 or 3.</param>
    public Image(int width, int height, int channels)
        : this(width, height, channels, new byte[checked(width * height * channels)])
    {
    }

    /// <summary>Columns.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>1 (gray) or 3 (red, green, blue).</summary>
    public int Channels { get; }

    /// <summary>The samples, (Height, Width, Channels) in row-major order.</summary>
    public byte[] Pixels { get; }

    /// <summary>This picture as black and white: 255 where the mean of a pixel's channels is at least 128, else 0.</summary>
    /// <returns>A picture with one channel.</returns>
    public Image ToMask()
    {
        byte[] mask = new byte[Width * Height];
        for (int i = 0; i < mask.Length; i++)
        {
            int value = Channels == 1 ? Pixels[i] : (Pixels[3 * i] + Pixels[3 * i + 1] + Pixels[3 * i + 2]) / 3;
            mask[i] = value >= 128 ? (byte)255 : (byte)0;
        }
        return new Image(Width, Height, 1, mask);
    }
}
