using Mamba.Models.Data;

namespace Mamba.Models.Inference;

/// <summary>
/// Turns the bytes of frames into pictures that are used again: the region alone, gray or red, green, blue. After the first frames of a
/// size it allocates nothing. Safe to use from several threads.
/// </summary>
internal sealed class FrameReader
{
    private readonly Lock _gate = new();
    private readonly Stack<Image> _spare = [];

    /// <summary>The region of a frame as a picture; give it back by <see cref="Return"/>.</summary>
    /// <param name="frame">The buffer.</param>
    /// <param name="format">What it holds.</param>
    /// <returns>The picture, of 8 bits.</returns>
    /// <exception cref="ArgumentException">The format contradicts itself or the buffer.</exception>
    public Image Read(ReadOnlySpan<byte> frame, FrameFormat format)
    {
        format.ThrowIfUnfit(frame.Length);
        PixelRegion area = format.Area;
        Image image = Rent(area.Width, area.Height, format.Channels);
        if (format.Pixels is PixelFormat.Nv12 or PixelFormat.Yuyv) Convert(frame, format, image.Pixels);
        else Copy(frame, format, image.Pixels);
        return image;
    }

    /// <summary>Takes a picture back for a later frame.</summary>
    /// <param name="image">The picture.</param>
    public void Return(Image image)
    {
        lock (_gate) _spare.Push(image);
    }

    /// <summary>What reading the result of an unfinished frame throws.</summary>
    public static InvalidOperationException Unfinished() =>
        new("The time budget of this frame passed, so it has no result; check Status first.");

    private Image Rent(int width, int height, int channels)
    {
        lock (_gate)
            while (_spare.TryPop(out Image? spare)) // those of an earlier size are left to the garbage collector
                if (spare.Width == width && spare.Height == height && spare.Channels == channels) return spare;
        return new Image(width, height, channels);
    }

    private static void Copy(ReadOnlySpan<byte> frame, FrameFormat format, Span<byte> to)
    {
        PixelRegion area = format.Area;
        int channels = format.Channels, row = area.Width * channels;
        for (int y = 0; y < area.Height; y++)
        {
            ReadOnlySpan<byte> from = frame.Slice((area.Y + y) * format.RowStride + area.X * channels, row);
            Span<byte> line = to.Slice(y * row, row);
            from.CopyTo(line);
            if (format.Pixels != PixelFormat.Bgr24) continue;
            for (int i = 0; i + 2 < line.Length; i += 3) (line[i], line[i + 2]) = (line[i + 2], line[i]);
        }
    }

    private static void Convert(ReadOnlySpan<byte> frame, FrameFormat format, Span<byte> to)
    {
        YuvColors colors = new(format.Matrix, format.FullRange);
        PixelRegion area = format.Area;
        int stride = format.RowStride, row = 3 * area.Width;
        bool planes = format.Pixels == PixelFormat.Nv12;
        for (int y = area.Y; y < area.Y + area.Height; y++)
        {
            ReadOnlySpan<byte> luma = frame[(y * stride)..], chroma = planes ? frame[((format.Height + y / 2) * stride)..] : luma;
            Span<byte> line = to.Slice((y - area.Y) * row, row);
            if (planes) Planar(colors, luma, chroma, area.X, line);
            else Packed(colors, luma, area.X, line);
        }
    }

    /// <summary>A row of NV12, from a column that may be odd: the pair that it belongs to begins one before.</summary>
    private static void Planar(YuvColors colors, ReadOnlySpan<byte> y, ReadOnlySpan<byte> chroma, int x, Span<byte> to)
    {
        Span<byte> pair = stackalloc byte[6];
        for (int end = x + to.Length / 3; x < end;)
        {
            int even = x & ~1;
            if (x == even && x + 1 < end)
            {
                colors.Write(y[x], y[x + 1], chroma[x], chroma[x + 1], to);
                to = to[6..];
                x += 2;
                continue;
            }
            colors.Write(y[x], y[x], chroma[even], chroma[even + 1], pair);
            pair[..3].CopyTo(to);
            to = to[3..];
            x++;
        }
    }

    /// <summary>As <see cref="Planar"/>, of a row of YUYV.</summary>
    private static void Packed(YuvColors colors, ReadOnlySpan<byte> row, int x, Span<byte> to)
    {
        Span<byte> pair = stackalloc byte[6];
        for (int end = x + to.Length / 3; x < end;)
        {
            ReadOnlySpan<byte> from = row.Slice((x & ~1) * 2, 4);
            if (x % 2 == 0 && x + 1 < end)
            {
                colors.Write(from[0], from[2], from[1], from[3], to);
                to = to[6..];
                x += 2;
                continue;
            }
            int y = from[x % 2 * 2];
            colors.Write(y, y, from[1], from[3], pair);
            pair[..3].CopyTo(to);
            to = to[3..];
            x++;
        }
    }
}
