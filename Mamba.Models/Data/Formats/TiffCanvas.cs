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

    /// <summary>Puts decoded samples, byte[] or ushort[], in their place; what reaches beyond the picture falls away.</summary>
    public void Put(Array samples, TiffPart part)
    {
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

    private void Copy(Array from, Array to, TiffPart part, int samples)
    {
        int columns = Math.Min(part.Width, width - part.X) * samples;
        for (int y = 0; y < Math.Min(part.Height, height - part.Y); y++)
            Array.Copy(from, y * part.Width * samples, to, ((part.Y + y) * width + part.X) * samples, columns);
    }
}
