using Spectre.Console;

namespace Mamba.Cli.Reports;

/// <summary>A column of a table.</summary>
/// <param name="Title">Its title.</param>
/// <param name="Width">Its least width, for rows that are written one by one.</param>
internal sealed record Column(string Title, int Width = 0)
{
    /// <summary>Whether its cells are numbers, which stand at its right edge.</summary>
    public bool Number { get; init; }
}

/// <summary>
/// Tables for people: aligned columns, two spaces apart, without lines. On a terminal a long cell is folded. In a file or a pipe each row
/// is one line of plain text of any length.
/// </summary>
internal static class TableReport
{
    private const int Gap = 2;

    /// <summary>Writes a whole table.</summary>
    public static void Write(Terminal terminal, Column[] columns, IEnumerable<string[]> rows)
    {
        string[][] cells = [.. rows];
        if (terminal.Results.Profile.Capabilities.Interactive) terminal.Results.Write(Build(columns, cells, header: true));
        else terminal.Out.Write(Plain(columns, cells, header: true) + Environment.NewLine);
    }

    /// <summary>The titles as a line, for a table whose rows come one by one.</summary>
    public static string Header(Column[] columns) => Plain(columns, [], header: true);

    /// <summary>A row as a line. A cell that is wider than its column moves those after it, and is never cut.</summary>
    public static string Row(Column[] columns, params string[] cells) => Plain(columns, [cells], header: false);

    private static string Plain(Column[] columns, string[][] rows, bool header)
    {
        using StringWriter text = new();
        new Terminal(text, TextWriter.Null).Results.Write(Build(columns, rows, header));
        return string.Join(Environment.NewLine, text.ToString().TrimEnd().Split('\n').Select(line => line.TrimEnd()));
    }

    private static Table Build(Column[] columns, string[][] rows, bool header)
    {
        Table table = new() { Border = TableBorder.None, ShowHeaders = header };
        for (int i = 0; i < columns.Length; i++)
        {
            Column column = columns[i];
            int widest = rows.Select(row => row[i].Length).Append(header ? column.Title.Length : 0).Max();
            table.AddColumn(new TableColumn(new Text(column.Title, new Style(decoration: Decoration.Bold)))
            {
                Alignment = column.Number ? Justify.Right : Justify.Left,
                Padding = new Padding(0, 0, i == columns.Length - 1 ? 0 : Gap, 0),
                Width = column.Width > widest ? column.Width : null,
            });
        }
        foreach (string[] row in rows) table.AddRow(row.Select(cell => new Text(cell)));
        return table;
    }
}
