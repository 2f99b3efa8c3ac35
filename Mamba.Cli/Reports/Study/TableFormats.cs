using System.Text;

namespace Mamba.Cli.Reports.Study;

/// <summary>Writes tables for a page, a README, a program and a paper.</summary>
internal static class TableFormats
{
    /// <summary>For a page: it scrolls within itself where the window is narrower, and a script sorts it by any column.</summary>
    public static void Html(Markup to, ReportTable table)
    {
        // Not a caption of the table, which would scroll with it.
        to.Element("p", table.Caption, "class", "title", "id", "title-" + table.Name);
        to.Open("div", "class", "scroll", "tabindex", "0", "role", "region", "aria-labelledby", "title-" + table.Name);
        to.Open("table", "class", "sortable", "id", "table-" + table.Name, "aria-labelledby", "title-" + table.Name);
        to.Open("thead").Open("tr");
        foreach (TableColumn column in table.Columns)
            to.Element("th", column.Title, "scope", "col", "class", column.Number ? "n" : "");
        to.Close().Close().Open("tbody").Line();
        foreach (TableCell[] row in table.Rows)
        {
            to.Open("tr");
            for (int i = 0; i < row.Length; i++)
            {
                string order = table.Columns[i].Number ? Units.Plain(row[i].Order) : row[i].Text;
                string[] look = ["class", table.Columns[i].Number ? "n" : "", "data-v", order];
                if (i == 0) to.Element("th", row[i].Text, ["scope", "row", .. look]);
                else to.Element("td", row[i].Text, look);
            }
            to.Close().Line();
        }
        to.Close().Close().Close().Line();
    }

    /// <summary>For a README: each table under its caption.</summary>
    public static string Markdown(params ReadOnlySpan<ReportTable> tables)
    {
        StringBuilder text = new();
        foreach (ReportTable table in tables)
        {
            text.Append(text.Length > 0 ? "\n" : "").Append("**").Append(MarkdownText(table.Caption)).Append("**\n\n");
            Row(table.Columns.Select(column => MarkdownText(column.Title)));
            Row(table.Columns.Select(column => column.Number ? "---:" : "---"));
            foreach (TableCell[] row in table.Rows) Row(row.Select(cell => MarkdownText(cell.Text)));
        }
        return text.ToString();

        void Row(IEnumerable<string> cells) => text.Append("| ").AppendJoin(" | ", cells).Append(" |\n");
    }

    /// <summary>For programs: the tables side by side, row by row; a field that an earlier one has is left out.</summary>
    public static string Csv(params ReadOnlySpan<ReportTable> tables)
    {
        StringBuilder text = new();
        for (int line = -1; line < tables[0].Rows.Count; line++)
        {
            HashSet<string> seen = [];
            List<string> fields = [];
            foreach (ReportTable table in tables)
                for (int c = 0; c < table.Columns.Count; c++)
                    for (int k = 0; k < table.Columns[c].Keys.Count; k++)
                        if (seen.Add(table.Columns[c].Keys[k]))
                            fields.Add(line < 0 ? table.Columns[c].Keys[k] : table.Rows[line][c].Fields[k]);
            text.AppendJoin(',', fields.Select(Cli.Csv.Quoted)).Append('\n');
        }
        return text.ToString();
    }

    /// <summary>For a paper: tabulars with the rules of the package booktabs.</summary>
    public static string Latex(params ReadOnlySpan<ReportTable> tables)
    {
        StringBuilder text = new("% \\usepackage{booktabs}\n");
        foreach (ReportTable table in tables)
        {
            text.Append("\\begin{table}\n\\centering\\small\n\\caption{").Append(LatexText(table.Caption)).Append("}\n\\begin{tabular}{")
                .Append(string.Concat(table.Columns.Select(column => column.Number ? 'r' : 'l'))).Append("}\n\\toprule\n");
            Row(table.Columns.Select(column => LatexText(column.Title)));
            text.Append("\\midrule\n");
            foreach (TableCell[] row in table.Rows) Row(row.Select(cell => LatexText(cell.Text)));
            text.Append("\\bottomrule\n\\end{tabular}\n\\end{table}\n");
        }
        return text.ToString();

        void Row(IEnumerable<string> cells) => text.AppendJoin(" & ", cells).Append(" \\\\\n");
    }

    /// <summary>Text without a meaning in Markdown, which knows HTML, too.</summary>
    private static string MarkdownText(string text)
    {
        StringBuilder escaped = new();
        foreach (char c in text)
        {
            if (c is '<') escaped.Append("&lt;");
            else if (c is '&') escaped.Append("&amp;");
            else if (char.IsControl(c)) escaped.Append(' ');
            else escaped.Append(c is '|' or '*' or '_' or '`' or '[' or ']' or '\\' or '#' or '~' ? "\\" : "").Append(c);
        }
        return escaped.ToString();
    }

    /// <summary>Text without a meaning in LaTeX.</summary>
    private static string LatexText(string text)
    {
        StringBuilder escaped = new();
        foreach (char c in text)
            escaped.Append(c switch
            {
                '\\' => "\\textbackslash{}",
                '~' => "\\textasciitilde{}",
                '^' => "\\textasciicircum{}",
                '&' or '%' or '$' or '#' or '_' or '{' or '}' => $"\\{c}",
                '[' => "{[}", // after a line's end it would begin an option
                '±' => "$\\pm$",
                '−' => "$-$",
                '×' => "$\\times$",
                '<' => "$<$",
                '>' => "$>$",
                '–' => "--",
                '’' => "'",
                '…' => "\\ldots{}",
                _ when char.IsControl(c) => " ",
                _ => c.ToString(),
            });
        return escaped.ToString();
    }
}
