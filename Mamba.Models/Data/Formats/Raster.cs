namespace Mamba.Models.Data.Formats;

/// <summary>
/// What a reader found in a file, before it becomes an image or a mask: samples, palette and opacities as they are stored.
/// </summary>
/// <param name="Width">Columns, before the picture is turned.</param>
/// <param name="Height">Rows, before the picture is turned.</param>
/// <param name="Channels">1 (gray or palette indices) or 3.</param>
internal sealed record Raster(int Width, int Height, int Channels)
{
    /// <summary>Samples of 8 bits; few bits are scaled to 0 to 255, palette indices are not. Null for 16 bits.</summary>
    public byte[]? Bytes { get; init; }

    /// <summary>Samples of 16 bits; null for 8.</summary>
    public ushort[]? Words { get; init; }

    /// <summary>The colors 0xRRGGBB of palette indices; null if the samples are no indices.</summary>
    public int[]? Palette { get; init; }

    /// <summary>An opacity per pixel; null without.</summary>
    public byte[]? Alpha { get; init; }

    /// <summary>The largest number that the file's bits can hold, which became 255: 1 for one bit.</summary>
    public int Max { get; init; } = 255;

    /// <summary>The value that a sample of 0 stands for.</summary>
    public int Origin { get; init; }

    /// <summary>How the picture is turned, as EXIF counts it: 1 (not at all) to 8.</summary>
    public int Orientation { get; init; } = 1;

    /// <summary>Whether compression may have changed values.</summary>
    public bool Lossy { get; init; }

    /// <summary>What a user should know: pages or parts that are left out.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The pages or frames of the file, the first of which this is.</summary>
    public int Pages { get; init; } = 1;

    /// <summary>Rows at the end of the picture that are not in the file, and gray here.</summary>
    public int MissingRows { get; init; }

    /// <summary>The picture: palette resolved, opacity left out, turned upright.</summary>
    public Image ToImage()
    {
        (int width, int height) = Turned();
        if (Words is not null) return new Image(width, height, Channels, Turn(Words, Channels)) { Origin = Origin };
        if (Palette is null) return new Image(width, height, Channels, Turn(Bytes!, Channels));
        bool gray = Array.TrueForAll(Palette, color => color >> 16 == (color & 0xFF) && (color >> 8 & 0xFF) == (color & 0xFF));
        byte[] pixels = new byte[Bytes!.Length * (gray ? 1 : 3)];
        for (int i = 0, at = 0; i < Bytes.Length; i++)
        {
            int color = Palette[CheckedIndex(i)];
            if (!gray) (pixels[at++], pixels[at++]) = ((byte)(color >> 16), (byte)(color >> 8));
            pixels[at++] = (byte)color;
        }
        return new Image(width, height, gray ? 1 : 3, Turn(pixels, gray ? 1 : 3));
    }

    /// <summary>The values of a mask, turned upright.</summary>
    /// <exception cref="InvalidDataException">Rows are missing: gray is a value, too.</exception>
    public RawMask ToMask()
    {
        if (MissingRows > 0)
            throw new InvalidDataException(
                $"cut short; about {MissingRows} of {Height} rows are missing; expected a whole mask. Get the whole file.");
        (MaskEncoding encoding, int[] values) = Values();
        (int width, int height) = Turned();
        return new RawMask(width, height, encoding, Turn(values, 1))
        {
            Palette = encoding == MaskEncoding.Palette ? Palette : null,
            Lossy = Lossy,
            Opacity = UniformOpacity(),
            Pages = Pages,
        };
    }

    /// <summary>See <see cref="RawMask.Opacity"/>.</summary>
    private byte? UniformOpacity()
    {
        if (Alpha is null || Alpha.AsSpan().ContainsAnyExcept(Alpha[0]) || !IsConstant()) return null;
        if (Alpha[0] < byte.MaxValue || IsAll(Words is null ? byte.MaxValue : ushort.MaxValue)) return Alpha[0];
        return IsAll(0) ? (byte)0 : null;

        bool IsAll(int value) => Enumerable.Range(0, Channels).All(channel => Sample(channel) == value);
    }

    private (MaskEncoding, int[]) Values()
    {
        int[] values = new int[Width * Height];
        if (Palette is not null)
        {
            for (int i = 0; i < values.Length; i++) values[i] = CheckedIndex(i);
            return (MaskEncoding.Palette, values);
        }
        if (Alpha is not null && Alpha.AsSpan().ContainsAnyExcept(Alpha[0]) && IsConstant())
            return (MaskEncoding.Alpha, Array.ConvertAll(Alpha, a => (int)a));
        bool gray = Channels == 1 || IsGray();
        for (int i = 0; i < values.Length; i++)
            values[i] = gray ? Gray(i * Channels) : Byte(3 * i) << 16 | Byte(3 * i + 1) << 8 | Byte(3 * i + 2);
        return (gray ? MaskEncoding.Gray : MaskEncoding.Color, values);
    }

    private int Gray(int at) => Words is not null ? Words[at] + Origin : (Bytes![at] * Max + 127) / 255;

    private int Byte(int at) => Words is not null ? Words[at] >> 8 : Bytes![at];

    private int Sample(int at) => Words is not null ? Words[at] : Bytes![at];

    private bool IsGray()
    {
        for (int i = 0; i < 3 * Width * Height; i += 3)
            if (Sample(i) != Sample(i + 1) || Sample(i) != Sample(i + 2)) return false;
        return true;
    }

    private bool IsConstant()
    {
        for (int i = Channels; i < Channels * Width * Height; i++)
            if (Sample(i) != Sample(i - Channels)) return false;
        return true;
    }

    private int CheckedIndex(int pixel) => Bytes![pixel] < Palette!.Length ? Bytes[pixel]
        : throw new InvalidDataException(
            $"color {Bytes[pixel]} in column {pixel % Width}, row {pixel / Width}; expected less than {Palette.Length}, as many as the "
                + "palette has.");

    private (int Width, int Height) Turned() => Orientation >= 5 ? (Height, Width) : (Width, Height);

    /// <summary>EXIF's eight orientations: 2 to 4 mirror columns or rows, 5 to 8 swap them as well.</summary>
    private T[] Turn<T>(T[] from, int channels)
    {
        if (Orientation == 1) return from;
        bool swap = Orientation >= 5, mirror = Orientation is 2 or 3 or 7 or 8, upend = Orientation is 3 or 4 or 6 or 7;
        (int width, int height) = Turned();
        T[] to = new T[from.Length];
        for (int y = 0, at = 0; y < height; y++)
            for (int x = 0; x < width; x++)
            {
                (int row, int column) = swap ? (x, y) : (y, x);
                if (upend) row = Height - 1 - row;
                if (mirror) column = Width - 1 - column;
                int source = (row * Width + column) * channels;
                for (int c = 0; c < channels; c++) to[at++] = from[source + c];
            }
        return to;
    }
}
