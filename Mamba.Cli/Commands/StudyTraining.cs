using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Models.Studies;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>Trains the runs of a study as <c>mamba train</c> does with their command lines, and runs those that follow.</summary>
internal sealed class StudyTraining : IStudyTrainer, IStudyStages
{
    private readonly Terminal _terminal;
    private readonly IVerbs _verbs;
    private readonly TrainOptions _options = new();
    private readonly RootCommand _root;

    /// <param name="terminal">Where runs write.</param>
    /// <param name="verbs">The other verbs.</param>
    public StudyTraining(Terminal terminal, IVerbs verbs)
    {
        (_terminal, _verbs) = (terminal, verbs);
        Command train = new("train");
        foreach (Option option in _options.All) train.Add(option);
        _root = new RootCommand { train };
    }

    /// <inheritdoc/>
    public PlannedModel Check(StudyRun run)
    {
        Terminal silent = new(TextWriter.Null, TextWriter.Null);
        ParseResult parsed = Apply(Parse([.. run.Words, .. TeacherOf(run.Model.Teacher)]), null, silent);
        return new SequenceOptions(_options).Concern(parsed)
            ? throw new ArgumentException($"{run.Model.Model} on {run.Study.Data} is for sequences; expected images")
            : _options.Plan(parsed);
    }

    /// <inheritdoc/>
    public TrainedRun Train(StudyRun run, StudyPlace place, CancellationToken stop)
    {
        // Without its split the run was killed before it learned anything.
        bool begun = RunFolder.HoldsRun(place.Folder) && File.Exists(RunFolder.SplitOf(place.Folder));
        if (!begun && Directory.Exists(place.Folder)) Directory.Delete(place.Folder, recursive: true);
        string threads = string.Create(CultureInfo.InvariantCulture, $"--threads={Workers.Count}");
        ParseResult typed = Parse(begun ? [$"--resume={place.Folder}", $"--data={run.Study.Data}", threads]
            : [.. run.Words, .. TeacherOf(place.Teacher), $"--out={place.Folder}", threads]);
        using ResumedRun? resumed = begun ? new ResumedRun(place.Folder, _terminal) : null;
        string? folder = begun ? place.Folder : null;
        ParseResult parsed = Apply(typed, folder, _terminal);
        (RunArguments arguments, PreparedData data) = TrainCommand.Prepare(_terminal, _options, parsed, folder, stop);
        SplitContent content = new(data.Images, data.Split);
        place.Prepared(arguments, content);
        StudyProgress progress = place.Progress;
        TrainingRun training = new(_terminal, arguments, data)
        {
            Content = content,
            Output = place.Folder,
            Resumed = resumed,
            Study = new StudyBar("study", progress.SecondsBefore, progress.SecondsOfRun, progress.SecondsBefore + progress.SecondsLeft),
        };
        return training.Execute(stop) == ExitCode.Success ? training.Trained! : throw new OperationCanceledException(stop);
    }

    /// <inheritdoc/>
    public void Check(IReadOnlyList<string> words)
    {
        if (_verbs.Wrong([.. words]) is { } wrong) throw new ArgumentException($"'mamba {string.Join(' ', words)}': {wrong}");
    }

    /// <inheritdoc/>
    public void Run(IReadOnlyList<string> words, CancellationToken stop)
    {
        string line = $"mamba {string.Join(' ', words)}";
        _terminal.WriteLine(PlainText.Printable(line));
        using StringWriter error = new();
        int code = _verbs.Run([.. words], new Terminal(_terminal.Out, error), stop);
        if (code == ExitCode.Interrupted) throw new OperationCanceledException(stop);
        if (code == ExitCode.Success) return;
        string last = error.ToString().TrimEnd().Split('\n')[^1].Trim();
        throw new StudyException(string.Create(CultureInfo.InvariantCulture, $"'{line}' ended with exit code {code}: {last}"));
    }

    private static string[] TeacherOf(string? weights) => weights is null ? [] : [$"--teacher={weights}"];

    private ParseResult Parse(IEnumerable<string> words)
    {
        string[] all = ["train", .. words];
        ParseResult parsed = _root.Parse(all, new ParserConfiguration { ResponseFileTokenReplacer = null });
        return LineErrors.Find(all, parsed) is { } wrong ? throw new ArgumentException(wrong) : parsed;
    }

    /// <summary>The options with those of the recipe, or of the run that is resumed.</summary>
    private ParseResult Apply(ParseResult typed, string? folder, Terminal terminal)
    {
        string? file = folder is null ? typed.GetValue(_options.Recipe) : RunFolder.ArgumentsOf(folder);
        return file is null ? typed : Recipe.Apply(file, typed, terminal);
    }
}
