namespace Mamba.Models.Data;

/// <summary>
/// Writes text into pictures, for legends and captions: printable ASCII in letters of 5 x 7 pixels. Any other character is a question mark.
/// </summary>
public static class BitmapText
{
    /// <summary>Rows of a line at scale 1, without space between lines.</summary>
    public const int Height = GlyphHeight;

    private const int GlyphWidth = 5, GlyphHeight = 7, Advance = GlyphWidth + 1;
    private const char First = ' ', Last = '~';

    // A letter is 7 rows of 5 bits, the top row in the highest bits and the leftmost pixel in the highest bit of a row.
    private static readonly ulong[] s_letters =
    [
        0x000000000, 0x108421004, 0x294000000, 0x295F57D4A, 0x11F4717C4, 0x632222263, 0x32544564D, 0x108000000,
        0x088842082, 0x208210888, 0x009575480, 0x0084F9080, 0x000003088, 0x0000F8000, 0x00000018C, 0x042222210,
        0x3A33AE62E, 0x11842108E, 0x3A211111F, 0x7C441062E, 0x08CA97C42, 0x7E1E0862E, 0x1910F462E, 0x7C2222108,
        0x3A317462E, 0x3A317844C, 0x018C03180, 0x018C03088, 0x088882082, 0x001F07C00, 0x208208888, 0x3A2111004,
        0x3A37ADE0F, 0x3A31FC631, 0x7A31F463E, 0x3A308422E, 0x72518C65C, 0x7E10F421F, 0x7E10F4210, 0x3A30BC62F,
        0x4631FC631, 0x38842108E, 0x1C4210A4C, 0x4654C5251, 0x42108421F, 0x4775AC631, 0x4639ACE31, 0x3A318C62E,
        0x7A31F4210, 0x3A318D64D, 0x7A31F5251, 0x3E107043E, 0x7C8421084, 0x46318C62E, 0x46318C544, 0x4631AD6AA,
        0x462A22A31, 0x463151084, 0x7C222221F, 0x39084210E, 0x420820821, 0x38421084E, 0x115100000, 0x00000001F,
        0x208200000, 0x000E0BE2F, 0x4216CC63E, 0x000E8422E, 0x042D9C62F, 0x000E8FE0E, 0x1928E2108, 0x01F18BC2E,
        0x4216CC631, 0x100C2108E, 0x080610A4C, 0x4212A6292, 0x30842108E, 0x001AAD631, 0x0016CC631, 0x000E8C62E,
        0x001E8FA10, 0x000D9BC21, 0x0016CC210, 0x000E8383E, 0x211C42126, 0x00118C66D, 0x00118C544, 0x00118D6AA,
        0x001151151, 0x00118BC2E, 0x001F1111F, 0x088441082, 0x108421084, 0x208411088, 0x0008A8800,
    ];

    /// <summary>Columns of a text at scale 1.</summary>
    /// <param name="text">The text, of one line.</param>
    /// <returns>Columns; 0 without text.</returns>
    public static int Width(string text) => text.Length == 0 ? 0 : text.Length * Advance - 1;

    /// <summary>Cuts a text that is too wide; two dots at its end say so.</summary>
    /// <param name="text">The text.</param>
    /// <param name="width">The columns that there are, at scale 1.</param>
    /// <returns>The text itself where it fits.</returns>
    public static string Fit(string text, int width)
    {
        const string Dots = "..";
        if (Width(text) <= width) return text;
        int letters = (width + 1) / Advance - Dots.Length;
        return letters < 1 ? "" : text[..letters] + Dots;
    }

    /// <summary>Writes a line of text; what lies outside the picture is left out.</summary>
    /// <param name="picture">Three channels.</param>
    /// <param name="left">The first column.</param>
    /// <param name="top">The first row.</param>
    /// <param name="text">The text.</param>
    /// <param name="color">The color of its pixels; others stay as they are.</param>
    /// <param name="scale">Pixels of the picture for a pixel of a letter.</param>
    public static void Draw(Image picture, int left, int top, string text, (byte R, byte G, byte B) color, int scale = 1)
    {
        foreach (char character in text)
        {
            ulong letter = s_letters[(character is >= First and <= Last ? character : '?') - First];
            for (int bit = 0; bit < GlyphHeight * GlyphWidth; bit++)
            {
                if ((letter >> (GlyphHeight * GlyphWidth - 1 - bit) & 1) == 0) continue;
                Fill(picture, left + bit % GlyphWidth * scale, top + bit / GlyphWidth * scale, scale, color);
            }
            left += Advance * scale;
        }
    }

    /// <summary>Fills a square; what lies outside the picture is left out.</summary>
    /// <param name="picture">Three channels.</param>
    /// <param name="left">The first column.</param>
    /// <param name="top">The first row.</param>
    /// <param name="side">Rows and columns.</param>
    /// <param name="color">Its color.</param>
    internal static void Fill(Image picture, int left, int top, int side, (byte R, byte G, byte B) color)
    {
        for (int y = Math.Max(top, 0); y < Math.Min(top + side, picture.Height); y++)
            for (int x = Math.Max(left, 0); x < Math.Min(left + side, picture.Width); x++)
            {
                int at = (y * picture.Width + x) * 3;
                (picture.Pixels[at], picture.Pixels[at + 1], picture.Pixels[at + 2]) = color;
            }
    }
}
