using System.Numerics;

namespace Mamba.Models.Data;

/// <summary>A decoded picture: 8 or 16 bits per channel, rows from the top, channels interleaved.</summary>
public sealed class Image
{
    private static int s_maxPixels = 1 << 26;
    private readonly byte[]? _pixels;
    private readonly ushort[]? _samples16;

    /// <summary>
    /// The most pixels that a picture file may have. A larger one is refused before anything is allocated. The default is 2^26; a reader
    /// needs about 16 bytes per pixel. The limit holds for the whole process.
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

    /// <summary>Wraps decoded or synthetic samples of 8 bits.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="channels">1 (gray) or 3 (red, green, blue).</param>
    /// <param name="pixels">height x width x channels samples; kept, not copied.</param>
    /// <exception cref="ArgumentException">The number of samples does not fit the size.</exception>
    public Image(int width, int height, int channels, byte[] pixels)
        : this(width, height, channels, pixels.Length) => _pixels = pixels;

    /// <summary>Wraps decoded or synthetic samples of 16 bits.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="channels">1 (gray) or 3 (red, green, blue).</param>
    /// <param name="samples16">height x width x channels samples; kept, not copied.</param>
    /// <exception cref="ArgumentException">The number of samples does not fit the size.</exception>
    public Image(int width, int height, int channels, ushort[] samples16)
        : this(width, height, channels, samples16.Length) => _samples16 = samples16;

    /// <summary>A black picture of 8 bits.</summary>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="channels">1 or 3.</param>
    public Image(int width, int height, int channels)
        : this(width, height, channels, new byte[checked(width * height * channels)])
    {
    }

    private Image(int width, int height, int channels, int samples)
    {
        if (width < 1 || height < 1 || channels is not (1 or 3) || (long)width * height * channels != samples)
            throw new ArgumentException(
                $"Image: {samples} samples for {width} x {height} x {channels}; expected width x height x 1 or 3 of them.");
        (Width, Height, Channels) = (width, height, channels);
    }

    /// <summary>Columns.</summary>
    public int Width { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>1 (gray) or 3 (red, green, blue).</summary>
    public int Channels { get; }

    /// <summary>Whether the samples have 16 bits; then they are in <see cref="Samples16"/>.</summary>
    public bool Is16Bit => _samples16 is not null;

    /// <summary>
    /// The value that a sample of 0 stands for: 0, or -32768 where the file holds signed numbers, such as Hounsfield units.
    /// </summary>
    public int Origin { get; init; }

    /// <summary>Bytes of its samples.</summary>
    public long Bytes => _pixels?.LongLength ?? 2 * _samples16!.LongLength;

    /// <summary>The samples of a picture of 8 bits, (Height, Width, Channels) in row-major order.</summary>
    /// <exception cref="InvalidOperationException">The picture has 16 bits; <see cref="To8Bit"/> reduces them.</exception>
    public byte[] Pixels => _pixels
        ?? throw new InvalidOperationException("Image.Pixels of a picture of 16 bits; expected 8 (use Samples16 or To8Bit).");

    /// <summary>The samples of a picture of 16 bits, (Height, Width, Channels) in row-major order.</summary>
    /// <exception cref="InvalidOperationException">The picture has 8 bits.</exception>
    public ushort[] Samples16 => _samples16
        ?? throw new InvalidOperationException("Image.Samples16 of a picture of 8 bits; expected 16 (use Pixels).");

    /// <summary>
    /// The bits that the samples use: 8 to 16. A scanner of 12 bits writes files of 16 whose samples are below 4096; for those it is 12.
    /// </summary>
    public int UsedBits
    {
        get
        {
            if (_samples16 is null) return 8;
            int all = 0;
            foreach (ushort sample in _samples16) all |= sample;
            return Math.Max(8, 32 - BitOperations.LeadingZeroCount((uint)all));
        }
    }

    /// <summary>
    /// This picture with 8 bits: the highest 8 of its <see cref="UsedBits"/>, so that 12 bits in a file of 16 keep 256 levels. Signed
    /// samples become 0 to 255 from the smallest to the largest. For viewing: two pictures of one set may be reduced by different factors.
    /// </summary>
    /// <returns>The picture itself if it has 8 bits.</returns>
    public Image To8Bit()
    {
        if (!Is16Bit) return this;
        if (Origin == 0) return HighBits(UsedBits);
        (int low, int high) = UsedRange;
        return Spread(low, high);
    }

    /// <summary>The smallest and the largest sample of a picture of 16 bits.</summary>
    internal (int Low, int High) UsedRange
    {
        get
        {
            (ushort low, ushort high) = (ushort.MaxValue, ushort.MinValue);
            foreach (ushort sample in Samples16)
            {
                if (sample < low) low = sample;
                if (sample > high) high = sample;
            }
            return (low, high);
        }
    }

    internal Image HighBits(int usedBits) =>
        new(Width, Height, Channels, Array.ConvertAll(Samples16, sample => (byte)(sample >> usedBits - 8)));

    /// <summary>With 8 bits: one sample becomes 0, a larger one 255, and those between them do in proportion.</summary>
    internal Image Spread(int low, int high)
    {
        int range = Math.Max(1, high - low);
        byte[] pixels = Array.ConvertAll(Samples16, sample => (byte)(((sample - low) * 255 + range / 2) / range));
        return new Image(Width, Height, Channels, pixels);
    }

    /// <summary>Undoes <see cref="Spread"/> but for the levels that are lost.</summary>
    internal Image FromSpread(int low, int high, int origin)
    {
        ushort[] samples = Array.ConvertAll(Pixels, value => (ushort)(low + (value * (high - low) + 127) / 255));
        return new Image(Width, Height, Channels, samples) { Origin = origin };
    }

    /// <summary>Undoes <see cref="HighBits"/> but for the bits that are lost: 255 becomes the largest number of the bits.</summary>
    internal Image FromHighBits(int usedBits, int origin)
    {
        int top = (1 << usedBits) - 1;
        ushort[] samples = Array.ConvertAll(Pixels, value => (ushort)((value * top + 127) / 255));
        return new Image(Width, Height, Channels, samples) { Origin = origin };
    }
}
