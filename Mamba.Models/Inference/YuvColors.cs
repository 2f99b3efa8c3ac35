using System.Runtime.CompilerServices;

namespace Mamba.Models.Inference;

/// <summary>
/// From Y, Cb, Cr to red, green, blue, by ITU-R BT.601 (section 2.5) or BT.709 (section 3). With Kr and Kb the weights of red and blue in
/// Y: R = Y + 2 (1 - Kr) Cr, B = Y + 2 (1 - Kb) Cb, and G is what Y leaves. Fixed point with 20 bits of fraction: at most 0.001 off.
/// </summary>
internal readonly struct YuvColors
{
    private const int FractionBits = 20;
    private const int Half = 1 << (FractionBits - 1);

    private readonly int _offset, _y, _crRed, _cbGreen, _crGreen, _cbBlue;

    /// <summary>Computes the factors.</summary>
    /// <param name="matrix">The weights of the colors in Y.</param>
    /// <param name="fullRange">Whether all 256 values are used.</param>
    public YuvColors(YuvMatrix matrix, bool fullRange)
    {
        (double kr, double kb) = matrix == YuvMatrix.Bt601 ? (0.299, 0.114) : (0.2126, 0.0722);
        double kg = 1 - kr - kb, chroma = fullRange ? 1 : 255.0 / 224;
        _offset = fullRange ? 0 : 16;
        _y = Fixed(fullRange ? 1 : 255.0 / 219);
        _crRed = Fixed(2 * (1 - kr) * chroma);
        _cbBlue = Fixed(2 * (1 - kb) * chroma);
        _cbGreen = Fixed(-2 * (1 - kb) * kb / kg * chroma);
        _crGreen = Fixed(-2 * (1 - kr) * kr / kg * chroma);
    }

    /// <summary>Writes the colors of two pixels that share a pair of Cb and Cr.</summary>
    /// <param name="y0">Y of the first pixel.</param>
    /// <param name="y1">Y of the second pixel.</param>
    /// <param name="cb">Cb of both.</param>
    /// <param name="cr">Cr of both.</param>
    /// <param name="to">Six bytes.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Write(int y0, int y1, int cb, int cr, Span<byte> to)
    {
        cb -= 128;
        cr -= 128;
        int red = _crRed * cr + Half, green = _cbGreen * cb + _crGreen * cr + Half, blue = _cbBlue * cb + Half;
        y0 = (y0 - _offset) * _y;
        y1 = (y1 - _offset) * _y;
        _ = to[5];
        to[0] = Clamp(y0 + red);
        to[1] = Clamp(y0 + green);
        to[2] = Clamp(y0 + blue);
        to[3] = Clamp(y1 + red);
        to[4] = Clamp(y1 + green);
        to[5] = Clamp(y1 + blue);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte Clamp(int value)
    {
        // Without branches: which side of the range a noisy pixel is on cannot be predicted.
        value >>= FractionBits;
        value &= ~(value >> 31); // 0 where it is negative
        value |= (byte.MaxValue - value) >> 31; // all bits where it is too large
        return (byte)value;
    }

    private static int Fixed(double factor) => (int)Math.Round(factor * (1 << FractionBits));
}
