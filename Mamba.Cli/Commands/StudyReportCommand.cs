using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports.Study;
using Mamba.Models.Studies;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba study report</c>: a page with tables and figures from what a study measured.</summary>
internal static class StudyReportCommand
{
    private const string DefaultFolder = "report";

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Argument<string> folder = new("DIR") { Description = "Folder of 'mamba study run'." };
        Option<string?> output = Options.Text("--out", "DIR", "Folder for the report.", "DIR/report");
        Command command = new(
            "report",
            "Write a page with tables and figures of a study, also of one that has not ended.\n" +
            "index.html needs no other file. Tables are also Markdown, CSV and LaTeX; figures are also SVG.\n\n" +
            "Example: mamba study report runs/study/paper-segmentation --out report")
        {
            folder, output,
        };
        command.SetAction(parsed => Run(terminal, parsed.GetRequiredValue(folder), parsed.GetValue(output), stop));
        return command;
    }

    private static int Run(Terminal terminal, string folder, string? output, CancellationToken stop)
    {
        StudyResults results = StudyResults.ReadFolder(folder).WithBegun(folder);
        string to = output ?? Path.Combine(folder, DefaultFolder);
        OutputPath.ThrowIfNoFolder(to);
        StudyView view = new(results);
        StudyPictures pictures = new(terminal, folder, results.Task, stop);
        StudyFigures figures = new(view, folder, pictures.Find);
        int count = StudyReport.Write(to, view, figures);
        int ended = results.Runs.Count(run => run.Test is not null);
        terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{ended} of {results.Runs.Count} runs ended, {count} figures"));
        terminal.Out.WriteLine(PlainText.Printable(Path.Combine(to, StudyReport.Page)));
        return ExitCode.Success;
    }
}
