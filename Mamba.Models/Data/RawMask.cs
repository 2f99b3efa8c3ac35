namespace Mamba.Models.Data;

/// <summary>What the values of a mask file are.</summary>
public enum MaskEncoding
{
    /// <summary>Gray values: 0 to 255, or to 65535 of a file with 16 bits.</summary>
    Gray,

    /// <summary>Palette indices: 0 to 255.</summary>
    Palette,

    /// <summary>Colors: 0xRRGGBB.</summary>
    Color,

    /// <summary>Opacities, 0 to 255, of a file whose colors are all the same.</summary>
    Alpha,
}

/// <summary>A mask file as it is stored: values that have no meaning yet.</summary>
/// <param name="Width">Columns.</param>
/// <param name="Height">Rows.</param>
/// <param name="Encoding">What the values are.</param>
/// <param name="Values">(Height, Width) values in row-major order.</param>
public sealed record RawMask(int Width, int Height, MaskEncoding Encoding, int[] Values)
{
    /// <summary>The colors of the palette indices, 0xRRGGBB; null without a palette.</summary>
    public int[]? Palette { get; init; }

    /// <summary>Whether compression may have changed values: the file is a JPEG.</summary>
    public bool Lossy { get; init; }

    /// <summary>
    /// What pixels of one color and one opacity are among opacities: their opacity, but 0 if they are opaque and black. Null for other
    /// pixels, and for opaque ones that are neither black nor white.
    /// </summary>
    internal byte? Opacity { get; init; }

    /// <summary>The pages or frames of the file, the first of which this is.</summary>
    internal int Pages { get; init; } = 1;
}
