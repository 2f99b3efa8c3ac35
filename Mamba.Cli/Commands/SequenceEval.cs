using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Language;
using Mamba.Models.Sequences;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>Measures models of sequences: on the test sequences of their task, or at other lengths.</summary>
internal static class SequenceEval
{
    // As many sequences of each length as have so many positions together, within bounds.
    private const long Positions = 1 << 20;
    private const int LeastSequences = 8, MostSequences = 1024, LongestLength = 1 << 24;

    private static readonly Column[] s_columns =
    [
        new("length", 9) { Number = true }, new("sequences", 9) { Number = true }, new("accuracy", 8) { Number = true },
        new("seconds", 8) { Number = true }, new("tokens/s", 9) { Number = true }, new("peak MiB", 8) { Number = true },
    ];

    /// <summary>Lengths with commas between; none where they are not given.</summary>
    public static Option<int[]?> LengthsOption() => new("--lengths")
    {
        Description = "Lengths of sequences, commas between.",
        HelpName = "N,N",
        CustomParser = result =>
        {
            string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
            int[] lengths = [.. text.Split(',').Select(word =>
                int.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n <= LongestLength ? n : 0)];
            if (lengths.All(n => n > 0)) return lengths;
            result.AddError($"--lengths is '{text}'; expected whole numbers from 1 to {LongestLength}, as 64,1024");
            return null;
        },
    };

    /// <summary>Opens weights of a model of sequences.</summary>
    /// <param name="typed">What was typed: files or run folders.</param>
    /// <returns>The file; null where the weights are of images.</returns>
    /// <exception cref="CheckpointException">The file cannot be read.</exception>
    /// <exception cref="ArgumentException">There are several, and one of them is of sequences.</exception>
    public static WeightFile? Open(string[] typed)
    {
        if (typed is not [var only])
        {
            foreach (string one in typed)
            {
                using WeightFile? sequences = Open([one]);
                if (sequences is not null)
                    throw new ArgumentException(
                        $"{one} holds a model of sequences, which is measured alone; expected 'mamba eval --weights {one}', then the "
                            + $"others");
            }
            return null;
        }
        if (RunFolder.WeightsOf(only) is not { } path || !File.Exists(path)
            || !path.EndsWith(".safetensors", StringComparison.OrdinalIgnoreCase)) return null;
        WeightFile file = WeightFile.Open(path);
        if (SequenceFile.IsDescribed(file)) return file;
        file.Dispose();
        return null;
    }

    /// <summary>Refuses options that are for images.</summary>
    /// <param name="parsed">What was typed.</param>
    /// <param name="allowed">Those that are for sequences.</param>
    /// <exception cref="ArgumentException">There is one.</exception>
    public static void ThrowIfMixed(ParseResult parsed, params Option[] allowed)
    {
        foreach (Option option in parsed.CommandResult.Command.Options)
            if (!allowed.Contains(option) && parsed.GetResult(option) is { Implicit: false })
                throw new ArgumentException(
                    $"{option.Name} is for images; weights of sequences go with {string.Join(", ", allowed[1..].Select(o => o.Name))}");
    }

    /// <summary>Measures weights.</summary>
    /// <param name="terminal">Where the results go.</param>
    /// <param name="file">The open weight file.</param>
    /// <param name="request">What to measure on.</param>
    /// <param name="stop">Stops between batches.</param>
    /// <returns>The exit code.</returns>
    /// <exception cref="ArgumentException">The task is of another kind than the model.</exception>
    /// <exception cref="DatasetException">Recordings do not fit the model, or nobody knows which of them were trained on.</exception>
    public static int Run(Terminal terminal, WeightFile file, Request request, CancellationToken stop)
    {
        (SequenceModel model, SequenceArguments arguments) = SequenceFile.Load(file);
        (SequenceShape shape, SignalRecord? record) = SequenceFile.Describe(file);
        SequenceArguments measured = request.Data is null && request.Images is null ? arguments
            : arguments with { Data = request.Data ?? arguments.Data, Images = request.Images };
        bool ofRecordings = record?.Train is not null || (arguments is { Data: SequenceTasks.Signals, Steps: null } && record is null);
        if (ofRecordings && request.Data is null)
            throw new ArgumentException(
                $"{arguments.Model} was trained on recorded signals; expected --data DIR, the folder of recordings");
        bool recordings = SequenceTasks.IsRecorded(measured.Data);
        if (request.Split is not null && !recordings)
            throw new ArgumentException($"--split is for recorded signals and images; {measured.Data} is measured on its test sequences");
        SequenceTask task;
        SplitPart part = SplitPart.Test;
        if (recordings && request.Lengths.Length == 0)
        {
            (task, EvalRecordings choice) = EvalRecordings.Open(measured.Data, new(arguments, shape, record), request.Split, stop);
            foreach (string note in choice.Notes) terminal.Error.WriteLine(PlainText.Printable($"note: {note}"));
            part = choice.Part;
        }
        else
        {
            task = measured.Open(stop);
            ThrowIfUnfit(model, arguments, record, task);
        }
        if (request.Lengths.Length > 0) return AtLengths(terminal, model, (arguments, shape), task, request, stop);
        int sequences = SequenceArguments.Evaluated(task, SplitPart.Test);
        Evaluation result = SequenceEvaluator.Run(model, task, SplitPart.Test, sequences, arguments.Batch, stop);
        SequenceScores scores = (SequenceScores)result.Scores;
        if (request.Json)
        {
            SequenceDocument document = new(arguments.Model, task.Name, task.Length, sequences)
            {
                Accuracy = scores.Accuracy,
                Exact = scores.Exact,
                Loss = result.Loss,
                TokensPerSecond = 1e3 * task.Length / result.MillisecondsPerImage,
            };
            JsonReport.Write(terminal.Out, [document], ReportJson.Default.SequenceDocumentArray);
            return ExitCode.Success;
        }
        string named = part == SplitPart.All ? "" : $"{RunArguments.Name(part)} ";
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{arguments.Model} on {sequences} {named}sequences of {task.Length} positions ({task.Name}): loss {result.Loss:F4}, "
                + $"{result.MillisecondsPerImage:F2} ms/sequence"));
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"accuracy {scores.Accuracy:F4}, all answers of a sequence right: {scores.Exact:F4}"));
        return ExitCode.Success;
    }

    private static int AtLengths(
        Terminal terminal, SequenceModel model, (SequenceArguments Arguments, SequenceShape Shape) trained, SequenceTask task,
        Request request, CancellationToken stop)
    {
        (SequenceArguments arguments, SequenceShape shape) = trained;
        if (model.Language is not { } language || task is not TokenTask tokens)
            throw new ArgumentException(
                $"--lengths is for models of tokens; {arguments.Model} reads whole sequences of {task.Length} positions");
        foreach (int length in request.Lengths)
            if (length < tokens.Least)
                throw new ArgumentException($"--lengths has {length}; expected at least {tokens.Least} positions of {task.Name}");
        List<SequenceDocument> documents = [];
        if (!request.Json)
        {
            string other = task.Name == arguments.Data ? "" : $"on {arguments.Data} ";
            terminal.Out.WriteLine(
                $"{arguments.Model} on {task.Name}, trained {other}at {shape.Length} positions; read by parts with a state");
            terminal.Out.WriteLine(TableReport.Header(s_columns));
        }
        foreach (int length in request.Lengths)
        {
            int sequences = (int)Math.Clamp(Positions / length, LeastSequences, MostSequences);
            LengthResult? result = At(language, tokens, length, sequences, stop);
            if (request.Json) documents.Add(DocumentOf(arguments.Model, task.Name, length, sequences, result));
            else terminal.Out.WriteLine(Row(length, result));
        }
        if (request.Json) JsonReport.Write(terminal.Out, [.. documents], ReportJson.Default.SequenceDocumentArray);
        return ExitCode.Success;
    }

    /// <summary>What a model scores at a length; null where it has no positions of that length.</summary>
    private static LengthResult? At(LanguageModel model, TokenTask task, int length, int sequences, CancellationToken stop)
    {
        try
        {
            return SequenceEvaluator.Run(model, task, length, sequences, stop);
        }
        catch (ShapeException) when (model is TransformerLm) // it has learned positions up to its training's length
        {
            return null;
        }
    }

    private static string Row(int length, LengthResult? result)
    {
        if (result is null) return TableReport.Row(s_columns, Text($"{length}"), "-", "no positions", "-", "-", "-");
        double peak = Process.GetCurrentProcess().PeakWorkingSet64 / 1048576.0;
        return TableReport.Row(
            s_columns, Text($"{length}"), Text($"{result.Sequences}"), Text($"{result.Scores.Accuracy:F4}"), Text($"{result.Seconds:F2}"),
            Text($"{RateOf(result):F0}"), Text($"{peak:F0}"));
    }

    private static SequenceDocument DocumentOf(string model, string task, int length, int sequences, LengthResult? result) =>
        result is null ? new(model, task, length, sequences) : new(model, task, length, sequences)
        {
            Accuracy = result.Scores.Accuracy,
            Exact = result.Scores.Exact,
            TokensPerSecond = RateOf(result),
        };

    private static double RateOf(LengthResult result) => (double)result.Length * result.Sequences / result.Seconds;

    /// <summary>The task must have the tokens or the classes of the model, in its order, and its rate.</summary>
    private static void ThrowIfUnfit(SequenceModel model, SequenceArguments arguments, SignalRecord? record, SequenceTask task)
    {
        bool fits = model.Language is { } language ? task.Vocabulary == language.Config.Vocabulary
            : model.Module is SequenceClassifier { Config: var config } && task.Vocabulary is null && task.Name == arguments.Data
                && (task.Channels, task.Labels.Count) == (config.Channels, config.Classes);
        if (!fits)
            throw new ArgumentException(
                $"{task.Name} has other tokens, channels or classes than {arguments.Data}, on which {arguments.Model} was trained");
        if (record is null) return;
        if (!record.Labels.SequenceEqual(task.Labels))
            throw new ArgumentException(
                $"{task.Name} has the classes {PlainText.Few(task.Labels)}; those of {arguments.Model} are {PlainText.Few(record.Labels)}");
        if (record.Rate != task.Rate)
            throw new ArgumentException(
                $"{task.Name} has {Hertz(task.Rate)}; {arguments.Model} was trained on signals of {Hertz(record.Rate)}");

        static string Hertz(int? rate) => rate is { } known ? $"{known} Hz" : "no known rate";
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>What to measure on.</summary>
    /// <param name="Data">The task or the folder; null for those of the training.</param>
    /// <param name="Images">The folder of MNIST or CIFAR-10; null for that of the training.</param>
    /// <param name="Lengths">Lengths to measure at; none for the test sequences.</param>
    /// <param name="Json">Whether the results are JSON.</param>
    internal sealed record Request(string? Data, string? Images, int[] Lengths, bool Json)
    {
        /// <summary>Which recordings; null for those of the test.</summary>
        public SplitPart? Split { get; init; }
    }
}
