namespace Mamba.Cli.Reports.Study;

/// <summary>A column of a table in the report.</summary>
/// <param name="title">What stands above it.</param>
/// <param name="number">Whether its cells are numbers.</param>
/// <param name="keys">The names of its fields in a CSV file: one, or more where a cell holds more, such as an interval.</param>
internal sealed class TableColumn(string title, bool number, params string[] keys)
{
    public string Title => title;

    public bool Number => number;

    public IReadOnlyList<string> Keys => keys;
}

/// <summary>A cell: a text for people, a number to sort by, and fields for programs.</summary>
internal sealed class TableCell
{
    private TableCell(string text, double order, params string[] fields) => (Text, Order, Fields) = (text, order, fields);

    public string Text { get; }

    /// <summary>What rows are sorted by; NaN for the text, or for nothing.</summary>
    public double Order { get; }

    public IReadOnlyList<string> Fields { get; }

    public static TableCell Of(string text) => new(text, double.NaN, text);

    /// <summary>A long word, such as a digest, of which the beginning is shown.</summary>
    public static TableCell Beginning(string word) => new(Units.Cut(word, 17), double.NaN, word);

    /// <summary>A number as a text says it.</summary>
    public static TableCell Of(double value, string text) => new(text, value, Units.Plain(value));

    /// <summary>A mean, with the deviation where there are several values.</summary>
    public static TableCell Mean(double mean, double deviation, Func<double, string> format) => new(
        double.IsFinite(deviation) ? $"{format(mean)} ± {format(deviation)}" : format(mean), mean, Units.Plain(mean),
        Units.Plain(deviation));

    /// <summary>An interval; a dash where there is none.</summary>
    public static TableCell Interval(double low, double high, Func<double, string> format) => double.IsNaN(low)
        ? new(Units.None, double.NaN, "", "")
        : new($"[{format(low)}, {format(high)}]", low, Units.Plain(low), Units.Plain(high));
}

/// <summary>A table of the report, which is written as HTML, Markdown, CSV and LaTeX.</summary>
/// <param name="name">The name of its files, and its id on the page.</param>
/// <param name="caption">What it shows.</param>
/// <param name="columns">Its columns; the first names the row.</param>
internal sealed class ReportTable(string name, string caption, params TableColumn[] columns)
{
    private readonly List<TableCell[]> _rows = [];

    public string Name => name;

    public string Caption => caption;

    public IReadOnlyList<TableColumn> Columns => columns;

    public IReadOnlyList<TableCell[]> Rows => _rows;

    public void Add(params TableCell[] cells)
    {
        if (cells.Length != columns.Length)
            throw new ArgumentException($"{name}: a row of {cells.Length} cells; expected {columns.Length}");
        _rows.Add(cells);
    }
}
