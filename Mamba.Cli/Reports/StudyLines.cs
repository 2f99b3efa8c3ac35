using System.Globalization;
using Mamba.Models.Data.Splits;
using Mamba.Models.Studies;

namespace Mamba.Cli.Reports;

/// <summary>Tells where a study stands, a line at a time.</summary>
/// <param name="terminal">Where lines go.</param>
/// <param name="command">The command that continues the study.</param>
internal sealed class StudyLines(Terminal terminal, string command)
{
    private static readonly Column[] s_results =
    [
        new("run"), new("model"), new("score") { Number = true }, new("epochs") { Number = true }, new("training") { Number = true },
        new("ms/image") { Number = true }, new(""),
    ];

    private StudyProgress? _last;

    /// <summary>What to say when the study was stopped.</summary>
    public string Stopped => _last is null ? $"stopped; continue with '{command}'"
        : PlainText.Printable($"stopped in run {Place(_last)}; continue with '{command}'");

    /// <summary>Tells a step of the study.</summary>
    public void Show(StudyProgress progress)
    {
        _last = progress;
        string? what = progress.Phase switch
        {
            StudyPhase.Training => Describe(progress.Run) + Left(progress),
            StudyPhase.Skipped => $"has ended before; {Score(progress.Result!)}",
            StudyPhase.Ended => $"{Score(progress.Result!)}; {Time(progress.Result!.TrainingSeconds)} of training"
                + (progress.Result.EndedBy is { } reason ? $", ended by {reason}" : ""),
            StudyPhase.Failed => $"failed: {progress.Result!.Failure}",
            _ => null,
        };
        if (what is not null) terminal.WriteLine(PlainText.Printable($"run {Place(progress)}: {what}"));
    }

    /// <summary>Prints a table of all runs.</summary>
    /// <param name="results">The results.</param>
    /// <param name="place">Where they are kept.</param>
    public void Summarize(StudyResults results, string place)
    {
        terminal.WriteLine("");
        TableReport.Write(terminal, s_results, results.Runs.Select(Row));
        int failed = results.Runs.Count(run => run.Failure is not null), open = results.Runs.Count(run => run.Test is null) - failed;
        if (failed > 0)
            terminal.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{failed} of {results.Runs.Count} runs failed; '{command}' tries them again"));
        if (open > 0)
            terminal.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{open} of {results.Runs.Count} runs are still to do; '{command}' continues"));
        terminal.WriteLine($"results in {place}");
    }

    /// <summary>A time in the unit that people would take.</summary>
    public static string Time(double seconds) => seconds < 10 ? string.Create(CultureInfo.InvariantCulture, $"{seconds:F1} s")
        : seconds < 90 ? string.Create(CultureInfo.InvariantCulture, $"{seconds:F0} s")
        : seconds < 90 * 60 ? string.Create(CultureInfo.InvariantCulture, $"{seconds / 60:F0} min")
        : string.Create(CultureInfo.InvariantCulture, $"{seconds / 3600:F1} h");

    private static string Place(StudyProgress progress) =>
        string.Create(CultureInfo.InvariantCulture, $"{progress.Number}/{progress.Count} {progress.Run.Id}");

    private static string Describe(StudyRun run) => string.Create(
        CultureInfo.InvariantCulture,
        $"{run.Model.Label} by {run.Protocol.ToWord()}, seed {run.Seed}{(run.Fold is { } fold ? $", fold {fold}" : "")}");

    private static string Left(StudyProgress progress) => progress.IsTimed ? $"; {Time(progress.SecondsLeft)} left" : "";

    private static string Score(RunResult run) =>
        string.Join(", ", run.Test!.Measures.Take(3).Select(one => $"{one.Key.Replace('_', ' ')} {ScoreReport.Four(one.Value)}"));

    private static string[] Row(RunResult run) => run.Test is not { } test
        ? [run.Id, run.Label, "", "", "", "", run.Failure is { } failure ? $"failed: {PlainText.Printable(failure)}" : "still to do"]
        :
        [
            run.Id, run.Label, ScoreReport.Four(test.Measures.First().Value), run.Epochs.Count.ToString(CultureInfo.InvariantCulture),
            Time(run.TrainingSeconds), run.InferenceMilliseconds.ToString("F2", CultureInfo.InvariantCulture), run.EndedBy ?? "",
        ];
}
