using System.CommandLine;
using Mamba.Models.Data;
using Mamba.Models.Sequences;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba train</c>: from images to weights.</summary>
internal static class TrainCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        TrainOptions options = new();
        Command command = new(
            "train",
            "Train a model. Writes args.json, results.csv, curves.svg, weights/, samples/ and summary.md.\n" +
            "Ctrl-C stops after the current step and saves; --resume continues. Without options it learns from synthetic images.\n\n" +
            "Example: mamba train --data lgg-mri --protocol patient --epochs 20\n" +
            "         mamba train --data induction --model mamba-lm\n" +
            "         mamba train --recipe vim --data cifar-10-batches-bin\n" +
            "         mamba train --resume runs/train/vim");
        foreach (Option option in options.All) command.Add(option);
        command.SetAction(typed => Run(terminal, options, typed, stop));
        return command;
    }

    /// <summary>Trains, or resumes a run.</summary>
    /// <param name="terminal">Where results go.</param>
    /// <param name="options">The options.</param>
    /// <param name="typed">What was typed.</param>
    /// <param name="stop">Stops after the running step.</param>
    /// <param name="hooks">What another program changes; null for nothing.</param>
    /// <returns>The exit code.</returns>
    internal static int Run(Terminal terminal, TrainOptions options, ParseResult typed, CancellationToken stop, TrainHooks? hooks = null)
    {
        string? folder = typed.GetValue(options.Resume);
        if (folder is not null)
        {
            Option place = SequenceOptions.ReadsImages(folder) ? options.DataSet.Images : options.Data; // the data may have moved
            ResumedRun.ThrowIfMixed(
                typed, [options.Resume, place, options.Epochs, options.Threads, .. hooks?.Options ?? [], options.CheckNumerics]);
        }
        using ResumedRun? resumed = folder is null ? null : new ResumedRun(folder, terminal);
        if (resumed is { State: { Finished: true } end } && !(typed.GetValue(options.Epochs) > end.Epochs.Count))
        {
            terminal.WriteLine($"{folder}: the run is finished, after {end.Epochs.Count} epochs; nothing is changed");
            return ExitCode.Success;
        }
        string? file = folder is null ? typed.GetValue(options.Recipe) : RunFolder.ArgumentsOf(folder);
        ParseResult parsed = file is null ? typed : Recipe.Apply(file, typed, terminal);
        if (folder is null)
        {
            string? output = parsed.GetValue(options.Output);
            if (output is not null) RunFolder.ThrowIfTaken(output);
            OutputPath.ThrowIfNoFolder(output ?? Path.Combine("runs", "train"));
        }
        SequenceOptions sequences = new(options);
        if (sequences.Concern(parsed))
        {
            if (hooks is not null) throw new ArgumentException("models of sequences are trained on one machine; expected 'mamba train'");
            int? longer = folder is null ? null : typed.GetValue(options.Epochs);
            SequenceArguments own = sequences.Resolve(parsed);
            SequenceRun sequenceRun = new(
                terminal, longer is null ? own : own with { Epochs = SequenceArguments.Read(RunFolder.ArgumentsOf(folder!)).Epochs })
            {
                Output = parsed.GetValue(options.Output),
                Resumed = resumed,
                Epochs = longer,
            };
            return sequenceRun.Execute(stop);
        }
        (RunArguments arguments, PreparedData data) = Prepare(terminal, options, parsed, folder, stop);
        if (resumed?.State is { } state && typed.GetValue(options.Epochs) is { } epochs)
        {
            if (epochs < state.Epochs.Count)
                throw new ArgumentException($"--epochs is {epochs}; the run has done {state.Epochs.Count} already, expected more");
            if (epochs > state.Epochs.Count && EndOf(arguments, state) is { } ended)
                throw new ArgumentException(
                    $"--epochs is {epochs}; the run ended after {ended}, which more epochs do not change; "
                        + $"'mamba train --init {folder}' with the options of a new run starts from its weights");
            if (arguments.Schedule is ScheduleKind.Cosine or ScheduleKind.Step)
                terminal.WriteLine(
                    $"note: the {RunArguments.Name(arguments.Schedule)} schedule is that of {epochs} epochs from here on; its first part "
                        + $"is not repeated");
        }
        TrainingRun run = new(terminal, arguments, data)
        {
            Output = parsed.GetValue(options.Output),
            Resumed = resumed,
            CheckNumerics = parsed.GetValue(options.CheckNumerics),
            Gradients = hooks?.Gradients is { } gradients ? parts => gradients(parts, data) : null,
            BeforeWriting = hooks?.BeforeWriting,
        };
        return run.Execute(stop);
    }

    /// <summary>What has ended a run besides its epochs, in words; null for nothing.</summary>
    private static string? EndOf(RunArguments arguments, TrainingState state) =>
        state.Steps >= arguments.Steps ? FormattableString.Invariant($"{arguments.Steps} steps (--steps)")
        : state.Seconds >= 60 * arguments.Minutes ? FormattableString.Invariant($"{arguments.Minutes} minutes (--minutes)")
        : state.Epochs.Count - state.BestEpoch >= arguments.Patience
            ? FormattableString.Invariant($"{arguments.Patience} epochs without a better one (--patience)")
        : null;

    /// <summary>The run that the options describe, and its images.</summary>
    /// <param name="terminal">Where findings go.</param>
    /// <param name="options">The options.</param>
    /// <param name="parsed">What they are set to.</param>
    /// <param name="folder">The folder of a run that is resumed; null for a new one.</param>
    /// <param name="stop">Stops between images.</param>
    public static (RunArguments Arguments, PreparedData Data) Prepare(
        Terminal terminal, TrainOptions options, ParseResult parsed, string? folder, CancellationToken stop) =>
        options.Resolve(parsed, (images, request) =>
            folder is not null && File.Exists(RunFolder.SplitOf(folder))
                ? PreparedData.Resume(RunFolder.SplitOf(folder), images, request)
                // A run of an older version was split without strata.
                : new DataPreparation(
                    terminal, images, request with
                    {
                        Split = request.Split with { Stratified = folder is null },
                        Resumed = folder is not null,
                    }, stop).Read(), stop);
}
