namespace Mamba.Models.Data.Formats;

/// <summary>A component of a JPEG frame: its sampling, and its coefficients in blocks of 8 x 8, as many as whole MCUs need.</summary>
internal sealed class JpegComponent(int id, int horizontal, int vertical, int table)
{
    public int Id => id;

    /// <summary>Blocks of an MCU in a row and in a column.</summary>
    public int Horizontal => horizontal;

    public int Vertical => vertical;

    /// <summary>Which quantization table it uses.</summary>
    public int Table => table;

    /// <summary>Blocks per row that hold samples of the picture; a scan of this component alone visits these.</summary>
    public int Columns { get; set; }

    public int Rows { get; set; }

    /// <summary>Blocks in a row, padded to whole MCUs.</summary>
    public int Stride { get; set; }

    /// <summary>64 to a block, row by row inside it.</summary>
    public short[] Coefficients { get; set; } = [];

    /// <summary>Whether a scan has set its DC coefficients.</summary>
    public bool Seen { get; set; }

    public int PreviousDc { get; set; }

    public Span<short> Block(int column, int row) => Coefficients.AsSpan((row * Stride + column) * 64, 64);
}
