using Mamba.Models.Data;

namespace Mamba.Models.Inference;

/// <summary>How a camera's buffer holds its pixels.</summary>
public enum PixelFormat
{
    /// <summary>One byte per pixel: its brightness.</summary>
    Gray8,

    /// <summary>Three bytes per pixel: red, green, blue.</summary>
    Rgb24,

    /// <summary>Three bytes per pixel: blue, green, red.</summary>
    Bgr24,

    /// <summary>
    /// A plane of Y, one byte per pixel, then a plane of Cb and Cr, one pair per 2 x 2 pixels. Both planes have the same stride.
    /// </summary>
    Nv12,

    /// <summary>Two pixels in four bytes: Y, Cb, Y, Cr (also named YUY2).</summary>
    Yuyv,
}

/// <summary>Which weights of red, green and blue make Y.</summary>
public enum YuvMatrix
{
    /// <summary>ITU-R BT.601, of standard definition: 0.299, 0.587, 0.114.</summary>
    Bt601,

    /// <summary>ITU-R BT.709, of high definition: 0.2126, 0.7152, 0.0722.</summary>
    Bt709,
}

/// <summary>A rectangle of pixels.</summary>
/// <param name="X">Its first column.</param>
/// <param name="Y">Its first row.</param>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
public readonly record struct PixelRegion(int X, int Y, int Width, int Height);

/// <summary>What the bytes of a frame mean. Make one for a stream of frames, not one per frame.</summary>
/// <param name="Width">Columns; even for <see cref="PixelFormat.Nv12"/> and <see cref="PixelFormat.Yuyv"/>.</param>
/// <param name="Height">Rows; even for <see cref="PixelFormat.Nv12"/>.</param>
/// <param name="Pixels">How pixels are held.</param>
/// <example><code>
/// FrameFormat camera = new(1280, 720, PixelFormat.Nv12) { Stride = 1344, Region = new PixelRegion(320, 40, 640, 640) };
/// </code></example>
public sealed record FrameFormat(int Width, int Height, PixelFormat Pixels)
{
    /// <summary>Bytes from one row to the next; null where rows follow each other without a gap.</summary>
    public int? Stride { get; init; }

    /// <summary>The part of the frame that counts: results have its size. Null for the whole frame.</summary>
    public PixelRegion? Region { get; init; }

    /// <summary>The matrix of <see cref="PixelFormat.Nv12"/> and <see cref="PixelFormat.Yuyv"/>.</summary>
    public YuvMatrix Matrix { get; init; }

    /// <summary>
    /// Whether Y, Cb and Cr use all values from 0 to 255, as in JPEG. Otherwise black is 16, white 235, and Cb and Cr go from 16 to 240.
    /// </summary>
    public bool FullRange { get; init; }

    /// <summary>The least bytes that a buffer of one frame has: its last row may end without a gap.</summary>
    /// <exception cref="ArgumentException">The sizes contradict each other.</exception>
    public long Bytes
    {
        get
        {
            ThrowIfUnfit();
            return ((Pixels == PixelFormat.Nv12 ? Height + Height / 2 : Height) - 1L) * RowStride + RowBytes;
        }
    }

    /// <summary>The region, or the whole frame.</summary>
    internal PixelRegion Area => Region ?? new PixelRegion(0, 0, Width, Height);

    /// <summary>Bytes from one row to the next.</summary>
    internal int RowStride => Stride ?? RowBytes;

    /// <summary>Channels of the picture that the frame becomes.</summary>
    internal int Channels => Pixels == PixelFormat.Gray8 ? 1 : 3;

    private int RowBytes => Width * (Pixels switch { PixelFormat.Gray8 or PixelFormat.Nv12 => 1, PixelFormat.Yuyv => 2, _ => 3 });

    /// <summary>Refuses a buffer that ends before its last pixel, and sizes that contradict each other.</summary>
    /// <param name="bytes">Bytes of the buffer.</param>
    /// <exception cref="ArgumentException">The message names the value and what was expected.</exception>
    internal void ThrowIfUnfit(int bytes)
    {
        if (bytes < Bytes)
            throw new ArgumentException(
                $"FrameFormat: a frame of {bytes} bytes; expected {Bytes} for {Width} x {Height} {Pixels} with rows of {RowStride}.");
    }

    private void ThrowIfUnfit()
    {
        if (!Enum.IsDefined(Pixels) || !Enum.IsDefined(Matrix))
            throw new ArgumentException($"FrameFormat: pixels {Pixels}, matrix {Matrix}; expected ones that are listed.");
        if (Width < 1 || Height < 1 || (long)Width * Height > Image.MaxPixels)
            throw new ArgumentException(
                $"FrameFormat: {Width} x {Height}; expected positive sides and at most {Image.MaxPixels} pixels (Image.MaxPixels).");
        bool pairsAcross = Pixels is PixelFormat.Nv12 or PixelFormat.Yuyv, pairsDown = Pixels == PixelFormat.Nv12;
        if ((pairsAcross && Width % 2 != 0) || (pairsDown && Height % 2 != 0))
            throw new ArgumentException(
                $"FrameFormat: {Pixels} of {Width} x {Height}; expected an even width{(pairsDown ? " and height" : "")}.");
        if (Stride is { } stride && stride < RowBytes)
            throw new ArgumentException($"FrameFormat: a stride of {stride} bytes; expected at least {RowBytes} for {Width} pixels.");
        if (Region is { } r
            && (r.X < 0 || r.Y < 0 || r.Width < 1 || r.Height < 1 || r.X > Width - r.Width || r.Y > Height - r.Height))
            throw new ArgumentException(
                $"FrameFormat: region {r.Width} x {r.Height} at ({r.X}, {r.Y}); expected a part of {Width} x {Height}.");
    }
}
