using System.Text;
using Mamba.Core.Checkpoints;

namespace Mamba.Cli.Reports.Study;

/// <summary>
/// Writes a report: the page, its tables as Markdown, CSV and LaTeX, its figures as SVG. The same study gives the same bytes.
/// </summary>
internal static class StudyReport
{
    /// <summary>The page.</summary>
    public const string Page = "index.html";

    /// <summary>Writes all files; each appears whole or not at all.</summary>
    /// <param name="folder">Where to; made if it is not there.</param>
    /// <param name="view">The study.</param>
    /// <param name="figures">Its tables and figures.</param>
    /// <returns>The number of figures.</returns>
    /// <exception cref="CheckpointException">A file cannot be written.</exception>
    public static int Write(string folder, StudyView view, StudyFigures figures)
    {
        foreach (string name in new[] { "", "figures", "tables" }) Directory.CreateDirectory(Path.Combine(folder, name));
        int count = 0;
        foreach (Figure figure in figures.All)
        {
            Text(Path.Combine("figures", figure.Name + ".svg"), figure.Standalone());
            count++;
        }
        Table("table", figures.Scores, figures.Cost);
        foreach (ReportTable? table in new[] { figures.PairTable, figures.Protocols, figures.Splits, figures.Runs })
            if (table is { Rows.Count: > 0 }) Table(Path.Combine("tables", table.Name), table);
        Text(Page, StudyPage.Write(view, figures)); // last: a page is there when all it belongs to is
        return count;

        void Table(string name, params ReadOnlySpan<ReportTable> tables)
        {
            Text(name + ".md", TableFormats.Markdown(tables));
            Text(name + ".csv", TableFormats.Csv(tables));
            Text(name + ".tex", TableFormats.Latex(tables));
        }

        void Text(string name, string text) => AtomicFile.Write(
            Path.Combine(folder, name), stream => stream.Write(Encoding.UTF8.GetBytes(text)), durable: false);
    }
}
