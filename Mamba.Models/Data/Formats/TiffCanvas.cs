namespace Mamba.Models.Data.Formats;

/// <summary>The samples of a TIFF, put together from its parts.</summary>
/// <param name="width">Columns.</param>
/// <param name="height">Rows.</param>
/// <param name="channels">1 or 3, opacity aside.</param>
/// <param name="alpha">Whether an opacity follows the channels.</param>
/// <param name="wide">Whether samples have 16 bits.</param>
internal sealed class TiffCanvas(int width, int height, int channels, bool alpha, bool wide)
{
    public int Channels => channels;

    public byte[]? Bytes { get; set; } = wide ? null : new byte[width * height * channels];

    public ushort[]? Words { get; set; } = wide ? new ushort[width * height * channels] : null;

    public byte[]? Alpha { get; } = alpha ? new byte[width * height] : null;

    /// <summary>Puts decoded samples in their place; what reaches beyond the picture falls away.</summary>
    /// <param name="samples">byte[] or ushort[], channels interleaved.</param>
    /// <param name="part">The place.</param>
    /// <param name="plane">The channel that the samples are; null if they are all channels.</param>
    public void Put(Array samples, TiffPart part, int? plane = null)
    {
        if (plane is { } channel)
        {
            if (channel == channels) Copy(
                samples is ushort[] high ? Array.ConvertAll(high, v => (byte)(v >> 8)) : samples, Alpha!, part, 1);
            else if (samples is ushort[] wideSamples) Spread(wideSamples, Words!, part, channel);
            else Spread((byte[])samples, Bytes!, part, channel);
            return;
        }
        Array colors = samples;
        if (Alpha is not null)
        {
            byte[] opacities;
            if (samples is ushort[] words)
            {
                (ushort[] c, ushort[] a) = Opacity.Split(words, channels + 1);
                (colors, opacities) = (c, Array.ConvertAll(a, v => (byte)(v >> 8)));
            }
            else
            {
                (byte[] c, byte[] a) = Opacity.Split((byte[])samples, channels + 1);
                (colors, opacities) = (c, a);
            }
            Copy(opacities, Alpha, part, 1);
        }
        Copy(colors, (Array?)Bytes ?? Words!, part, channels);
    }

    private void Spread<T>(T[] from, T[] to, TiffPart part, int channel)
    {
        for (int y = 0; y < Math.Min(part.Height, height - part.Y); y++)
            for (int x = 0; x < Math.Min(part.Width, width - part.X); x++)
                to[((part.Y + y) * width + part.X + x) * channels + channel] = from[y * part.Width + x];
    }

    private void Copy(Array from, Array to, TiffPart part, int samples)
    {
        int columns = Math.Min(part.Width, width - part.X) * samples;
        for (int y = 0; y < Math.Min(part.Height, height - part.Y); y++)
            Array.Copy(from, y * part.Width * samples, to, ((part.Y + y) * width + part.X) * samples, columns);
    }
}
