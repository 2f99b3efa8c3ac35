namespace Mamba.Models.Data.Augmentation;

/// <summary>
/// The operations of Pillow's ImageEnhance, ImageOps and affine transform on 8-bit pictures, equal to the bit. Each returns a new picture.
/// </summary>
internal static class ImageOperations
{
    /// <summary>
    /// Takes pixel (x, y) from (a x + b y + c, d x + e y + f), with pixel centers at halves; black outside. As in Pillow, coordinates are
    /// fixed-point numbers with 16 fractional bits, and a row adds up its steps.
    /// </summary>
    public static Image Affine(Image from, double a, double b, double c, double d, double e, double f)
    {
        Image to = new(from.Width, from.Height, from.Channels);
        byte[] source = from.Pixels, target = to.Pixels;
        int width = from.Width, height = from.Height, channels = from.Channels;
        long rowX = Fixed(c + a * 0.5 + b * 0.5), rowY = Fixed(f + d * 0.5 + e * 0.5);
        long stepX = Fixed(a), stepY = Fixed(d), downX = Fixed(b), downY = Fixed(e);
        for (int y = 0, at = 0; y < height; y++, rowX += downX, rowY += downY)
        {
            long sourceX = rowX, sourceY = rowY;
            for (int x = 0; x < width; x++, at += channels, sourceX += stepX, sourceY += stepY)
            {
                long column = sourceX >> 16, row = sourceY >> 16;
                if ((ulong)column >= (ulong)width || (ulong)row >= (ulong)height) continue;
                int pixel = ((int)row * width + (int)column) * channels;
                target[at] = source[pixel];
                if (channels == 3) (target[at + 1], target[at + 2]) = (source[pixel + 1], source[pixel + 2]);
            }
        }
        return to;

        static long Fixed(double value) => (long)Math.Floor(value * 65536 + 0.5);
    }

    /// <summary>Rotates about the center, counter-clockwise.</summary>
    public static Image Rotate(Image image, double degrees)
    {
        (double sine, double cosine) = Math.SinCos(-degrees * (Math.PI / 180));
        double x = image.Width / 2.0, y = image.Height / 2.0;
        return Affine(image, cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y);
    }

    public static Image Brightness(Image image, float factor) => Map(image, (_, value) => Blend(0, value, factor));

    public static Image Contrast(Image image, float factor)
    {
        ReadOnlySpan<byte> pixels = image.Pixels;
        long sum = 0;
        if (image.Channels == 1)
            foreach (byte value in pixels) sum += value;
        else
            for (int i = 0; i + 2 < pixels.Length; i += 3) sum += Luma(pixels[i], pixels[i + 1], pixels[i + 2]);
        int mean = (int)((double)sum / (image.Width * image.Height) + 0.5);
        return Map(image, (_, value) => Blend(mean, value, factor));
    }

    public static Image Color(Image image, float factor)
    {
        if (image.Channels == 1) return image;
        Image to = new(image.Width, image.Height, 3);
        ReadOnlySpan<byte> pixels = image.Pixels;
        Span<byte> target = to.Pixels.AsSpan(0, pixels.Length);
        for (int i = 0; i + 2 < pixels.Length; i += 3)
        {
            int gray = Luma(pixels[i], pixels[i + 1], pixels[i + 2]);
            for (int c = 0; c < 3; c++) target[i + c] = Blend(gray, pixels[i + c], factor);
        }
        return to;
    }

    /// <summary>Sharpens against a smoothed picture, whose 3 x 3 kernel weights the center by five. The border is copied.</summary>
    public static Image Sharpness(Image image, float factor)
    {
        Image to = new(image.Width, image.Height, image.Channels, [.. image.Pixels]);
        int stride = image.Width * image.Channels, channels = image.Channels;
        int[] columns = new int[stride];
        for (int y = 1; y < image.Height - 1; y++)
        {
            ReadOnlySpan<byte> above = image.Pixels.AsSpan((y - 1) * stride, stride), row = image.Pixels.AsSpan(y * stride, stride);
            ReadOnlySpan<byte> below = image.Pixels.AsSpan((y + 1) * stride, stride);
            Span<byte> target = to.Pixels.AsSpan(y * stride, stride);
            for (int i = 0; i < columns.Length; i++) columns[i] = above[i] + row[i] + below[i];
            for (int i = channels; i < stride - channels; i++)
            {
                int sum = columns[i - channels] + columns[i] + columns[i + channels] + 4 * row[i];
                target[i] = Blend((2 * sum + 13) / 26, row[i], factor);
            }
        }
        return to;
    }

    public static Image Posterize(Image image, int bits) => Map(image, (_, value) => (byte)(value & -1 << 8 - bits));

    public static Image Solarize(Image image, double threshold) => Map(image, (_, value) =>
        value < threshold ? value : (byte)(255 - value));

    public static Image AutoContrast(Image image)
    {
        int[] histogram = Histogram(image);
        int[] low = new int[image.Channels], high = new int[image.Channels];
        for (int c = 0; c < image.Channels; c++)
        {
            ReadOnlySpan<int> counts = histogram.AsSpan(256 * c, 256);
            (low[c], high[c]) = (counts.IndexOfAnyExcept(0), counts.LastIndexOfAnyExcept(0));
        }
        return Map(image, (c, value) =>
        {
            if (high[c] <= low[c]) return value;
            double scale = 255.0 / (high[c] - low[c]), offset = -low[c] * scale;
            return (byte)Math.Clamp((int)(value * scale + offset), 0, 255);
        });
    }

    public static Image Equalize(Image image)
    {
        int[] histogram = Histogram(image);
        int channel = -1, step = 0, sum = 0;
        return Map(image, (c, value) =>
        {
            ReadOnlySpan<int> counts = histogram.AsSpan(256 * c, 256);
            if (c != channel)
            {
                step = (image.Width * image.Height - counts[counts.LastIndexOfAnyExcept(0)]) / 255;
                (channel, sum) = (c, step / 2);
            }
            if (step == 0) return value;
            int level = Math.Min(sum / step, 255);
            sum += counts[value];
            return (byte)level;
        });
    }

    /// <summary>
    /// Maps each value by a function of channel and value. The function is called once for each pair, in ascending order.
    /// </summary>
    private static Image Map(Image image, Func<int, byte, byte> function)
    {
        int channels = image.Channels;
        byte[] table = new byte[256 * channels], pixels = image.Pixels, target = new byte[pixels.Length];
        for (int i = 0; i < table.Length; i++) table[i] = function(i >> 8, (byte)i);
        if (channels == 1)
            for (int i = 0; i < pixels.Length; i++) target[i] = table[pixels[i]];
        else
            for (int i = 0; i + 2 < pixels.Length; i += 3)
                (target[i], target[i + 1], target[i + 2]) = (table[pixels[i]], table[256 + pixels[i + 1]], table[512 + pixels[i + 2]]);
        return new Image(image.Width, image.Height, channels, target);
    }

    /// <summary>The histogram of each channel: 256 counts.</summary>
    private static int[] Histogram(Image image)
    {
        int[] counts = new int[256 * image.Channels];
        byte[] pixels = image.Pixels;
        if (image.Channels == 1)
            foreach (byte value in pixels) counts[value]++;
        else
            for (int i = 0; i + 2 < pixels.Length; i += 3)
            {
                counts[pixels[i]]++;
                counts[256 + pixels[i + 1]]++;
                counts[512 + pixels[i + 2]]++;
            }
        return counts;
    }

    /// <summary>ITU-R 601-2, in 16-bit fixed point.</summary>
    private static int Luma(int red, int green, int blue) => red * 19595 + green * 38470 + blue * 7471 + 0x8000 >> 16;

    /// <summary>Interpolates from the degenerate value to the original and beyond, in single precision, and clamps.</summary>
    private static byte Blend(int degenerate, int value, float factor)
    {
        float blended = degenerate + factor * (value - degenerate);
        return blended <= 0 ? (byte)0 : blended >= 255 ? (byte)255 : (byte)blended;
    }
}
