namespace Mamba.Core.Memory;

/// <summary>
/// A frozen weight matrix stored row by row, for products of few rows. They read each row once, in order, in as few bytes as the format
/// takes. Values are code times scale. Rows are contiguous.
/// </summary>
internal sealed unsafe class StoredWeight
{
    // Vectors of codes may be read past the end of the last row.
    private const int BytesBehind = 64;

    private readonly Buffer _codes; // keeps the memory
    private readonly Buffer? _scales;

    /// <summary>Allocates codes, to be written.</summary>
    /// <param name="format">Float16 or Int8.</param>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    public StoredWeight(WeightFormat format, int rows, int columns)
    {
        (Format, Rows, Columns) = (format, rows, columns);
        long bytes = (long)rows * columns * CodeBytes + BytesBehind;
        _codes = new Buffer(Shape.Checked((nint)((bytes + sizeof(float) - 1) / sizeof(float)), "StoredWeight", "a stored weight"));
        _scales = new Buffer(rows);
        Codes = (byte*)_codes.Pointer;
        Scales = _scales.Pointer;
    }

    /// <summary>Wraps existing float32 rows.</summary>
    /// <param name="values">The buffer that holds them.</param>
    /// <param name="offset">Their offset in the buffer.</param>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    public StoredWeight(Buffer values, int offset, int rows, int columns)
    {
        (Format, Rows, Columns) = (WeightFormat.Float32, rows, columns);
        _codes = values;
        Codes = (byte*)(values.Pointer + offset);
    }

    public WeightFormat Format { get; }

    public int Rows { get; }

    public int Columns { get; }

    /// <summary>The first code of the first row.</summary>
    public byte* Codes { get; }

    /// <summary>The scale of each row's codes; null for Float32, whose codes are the values.</summary>
    public float* Scales { get; }

    /// <summary>Bytes per code.</summary>
    public int CodeBytes => Format switch
    {
        WeightFormat.Float32 => sizeof(float),
        WeightFormat.Float16 => sizeof(ushort),
        _ => sizeof(sbyte),
    };
}
