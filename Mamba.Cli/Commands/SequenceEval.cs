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
    /// <returns>The file; null where the weights are of images, or several.</returns>
    /// <exception cref="CheckpointException">The file cannot be read.</exception>
    public static WeightFile? Open(string[] typed)
    {
        if (typed is not [var only] || RunFolder.WeightsOf(only) is not { } path || !File.Exists(path)
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
    public static int Run(Terminal terminal, WeightFile file, Request request, CancellationToken stop)
    {
        (SequenceModel model, SequenceArguments arguments) = SequenceFile.Load(file);
        SequenceArguments measured = request.Data is null && request.Images is null ? arguments
            : arguments with { Data = request.Data ?? arguments.Data, Images = request.Images };
        SequenceTask task = measured.Open(stop);
        ThrowIfUnfit(model, arguments, task);
        if (request.Lengths.Length > 0) return AtLengths(terminal, model, arguments, task, request.Lengths, stop);
        int sequences = SequenceArguments.Evaluated(task, SplitPart.Test);
        Evaluation result = SequenceEvaluator.Run(model, task, SplitPart.Test, sequences, arguments.Batch, stop);
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{arguments.Model} on {sequences} test sequences of {task.Length} positions ({task.Name}): loss {result.Loss:F4}, "
                + $"{result.MillisecondsPerImage:F2} ms/sequence"));
        SequenceScores scores = (SequenceScores)result.Scores;
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"accuracy {scores.Accuracy:F4}, all answers of a sequence right: {scores.Exact:F4}"));
        return ExitCode.Success;
    }

    private static int AtLengths(
        Terminal terminal, SequenceModel model, SequenceArguments arguments, SequenceTask task, int[] lengths, CancellationToken stop)
    {
        if (model.Language is not { } language || task is not TokenTask tokens)
            throw new ArgumentException(
                $"--lengths is for models of tokens; {arguments.Model} reads whole sequences of {task.Length} positions");
        terminal.Out.WriteLine($"{arguments.Model} on {task.Name}, trained at {task.Length} positions; read by parts with a state");
        terminal.Out.WriteLine(TableReport.Header(s_columns));
        foreach (int length in lengths)
        {
            int sequences = (int)Math.Clamp(Positions / length, LeastSequences, MostSequences);
            terminal.Out.WriteLine(Row(language, tokens, length, sequences, stop));
        }
        return ExitCode.Success;
    }

    private static string Row(LanguageModel model, TokenTask task, int length, int sequences, CancellationToken stop)
    {
        string size = Text($"{length}");
        try
        {
            LengthResult result = SequenceEvaluator.Run(model, task, length, sequences, stop);
            double rate = (double)length * sequences / result.Seconds, peak = Process.GetCurrentProcess().PeakWorkingSet64 / 1048576.0;
            return TableReport.Row(
                s_columns, size, Text($"{sequences}"), Text($"{result.Scores.Accuracy:F4}"), Text($"{result.Seconds:F2}"),
                Text($"{rate:F0}"), Text($"{peak:F0}"));
        }
        catch (ShapeException) when (model is TransformerLm) // it has learned positions up to its training's length
        {
            return TableReport.Row(s_columns, size, "-", "no positions", "-", "-", "-");
        }
    }

    /// <summary>The task must have the tokens or the classes of the model.</summary>
    private static void ThrowIfUnfit(SequenceModel model, SequenceArguments arguments, SequenceTask task)
    {
        bool fits = model.Language is { } language ? task.Vocabulary == language.Config.Vocabulary
            : model.Module is SequenceClassifier { Config: var config } && task.Vocabulary is null
                && (task.Channels, task.Labels.Count) == (config.Channels, config.Classes);
        if (!fits)
            throw new ArgumentException(
                $"{task.Name} has other tokens, channels or classes than {arguments.Data}, on which {arguments.Model} was trained");
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>What to measure on.</summary>
    /// <param name="Data">The task or the folder; null for those of the training.</param>
    /// <param name="Images">The folder of MNIST or CIFAR-10; null for that of the training.</param>
    /// <param name="Lengths">Lengths to measure at; none for the test sequences.</param>
    internal sealed record Request(string? Data, string? Images, int[] Lengths);
}
