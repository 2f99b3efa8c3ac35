using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Models.Data.Splits;
using Mamba.Models.Studies;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba study run</c>: trains, measures and times each run of a study.</summary>
internal static class StudyRunCommand
{
    private static readonly Column[] s_plan =
    [
        new("run"), new("model"), new("parameters") { Number = true }, new("multiply-adds") { Number = true }, new("command"),
    ];

    public static Command Create(Terminal terminal, IVerbs verbs, CancellationToken stop)
    {
        Argument<string> study = new("STUDY") { Description = "Name of a study, or its file." };
        Option<string?> data = Options.Text("--data", "DIR", "Folder of images.", "the study's");
        Option<string?> output = Options.Text("--out", "DIR", "Folder of the study.", "runs/study/NAME");
        Option<double?> minutes = Options.Number("--minutes", "Minutes of training for each run.", "the study's");
        Option<int?> epochs = Options.Integer("--epochs", "Epochs of each run.", "the study's", 1, RunArguments.EndlessEpochs - 1);
        Option<string?> only = Options.Text("--only", "ID,ID", "Runs or models, with commas between.", "all");
        Option<JobPart?> part = Options.Part();
        Option<bool> list = Options.Flag("--list", "Print the runs, train none.");
        Option<int?> threads = Options.Threads();
        Command command = new(
            "run",
            "Train, measure and time each run of a study, one after the other; the same command continues it.\n" +
            $"Studies that are built in: {string.Join(", ", ShippedStudies.Names)}.\n\n" +
            "Example: mamba study run quick\n" +
            "         mamba study run equal-budget --data lgg-mri --minutes 8\n" +
            "         mamba study run mine.json --list")
        {
            study, data, output, minutes, epochs, only, part, list, threads,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            string name = parsed.GetRequiredValue(study);
            Study plan = Effective(ShippedStudies.Load(name), parsed.GetValue(data), parsed.GetValue(minutes), parsed.GetValue(epochs));
            StudyTraining training = new(terminal, verbs);
            string folder = parsed.GetValue(output) ?? Path.Combine("runs", "study", plan.Name);
            string typed = Typed(name, parsed, [data, output, minutes, epochs]);
            JobPart? share = parsed.GetValue(part);
            StudyLines lines = new(terminal, share is null ? typed : $"{typed} --part {share}");
            StudyRunner runner = new(plan, training, folder)
            {
                Stages = training,
                Only = parsed.GetValue(only)?.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [],
                Part = share,
                Command = typed,
                OnProgress = lines.Show,
            };
            return parsed.GetValue(list) ? List(terminal, plan, runner) : Run(terminal, runner, lines, folder, stop);
        });
        return command;
    }

    /// <summary>The study with what was typed in place of what it says.</summary>
    /// <exception cref="ArgumentException">Both bounds were typed, or the data is not there.</exception>
    private static Study Effective(Study study, string? data, double? minutes, int? epochs)
    {
        if (minutes is not null && epochs is not null) throw new ArgumentException("--minutes and --epochs bound a run both; expected one");
        if (minutes is not null || epochs is not null) study = study with { Budget = new() { Minutes = minutes, Epochs = epochs } };
        data ??= study.Data;
        if (data.Length == 0)
            throw new ArgumentException($"--data is missing: {study.Name} is a study of your images; expected their folder");
        if (data != RunArguments.Synthetic)
        {
            data = Path.GetFullPath(data);
            if (!Path.Exists(data)) throw new ArgumentException($"{data}: no such folder; expected images for {study.Name}");
        }
        return study with { Data = data };
    }

    /// <summary>The command as it was typed, without options that change no result.</summary>
    private static string Typed(string name, ParseResult parsed, Option[] options)
    {
        List<string> words = ["mamba study run", name];
        foreach (Option option in options)
            if (parsed.GetResult(option) is { Implicit: false } result && result.Tokens is [var value, ..])
                words.AddRange([option.Name, value.Value]);
        return string.Join(' ', words);
    }

    private static int List(Terminal terminal, Study study, StudyRunner runner)
    {
        IReadOnlyList<PlannedModel> models = runner.Check();
        IReadOnlyList<StudyRun> runs = study.Plan();
        List<string[]> rows = [];
        foreach (int i in runner.Chosen(models))
        {
            ModelSize size = models[i].Size();
            rows.Add(
            [
                runs[i].Id, runs[i].Model.Label, size.Parameters.ToString("N0", CultureInfo.InvariantCulture),
                string.Create(CultureInfo.InvariantCulture, $"{size.MultiplyAdds / 1e6:N1} M"), runs[i].Command,
            ]);
        }
        TableReport.Write(terminal, s_plan, rows);
        return ExitCode.Success;
    }

    private static int Run(Terminal terminal, StudyRunner runner, StudyLines lines, string folder, CancellationToken stop)
    {
        try
        {
            StudyResults results = runner.Run(stop);
            if (results.Runs.Count == 0)
            {
                terminal.WriteLine($"part {runner.Part} has no run: the runs went to the parts before it");
                return ExitCode.Success;
            }
            lines.Summarize(results, runner.Part is null ? Path.Combine(folder, "results.json")
                : $"{Path.Combine(folder, "results")}; 'mamba study report {folder}' shows those of all parts");
            return results.Runs.Any(run => run.Failure is not null) ? ExitCode.Failure : ExitCode.Success;
        }
        catch (OperationCanceledException)
        {
            terminal.WriteLine(lines.Stopped);
            return ExitCode.Interrupted;
        }
    }
}
