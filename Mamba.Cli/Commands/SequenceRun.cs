using System.Diagnostics;
using System.Globalization;
using System.Text;
using Mamba.Cli.Reports;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Data;
using Mamba.Models.Sequences;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>One training on sequences, or the rest of one that is resumed.</summary>
/// <param name="terminal">Where results go.</param>
/// <param name="arguments">The options.</param>
internal sealed class SequenceRun(Terminal terminal, SequenceArguments arguments)
{
    private const int MostNames = 10;

    /// <summary>The folder of a new run; null for the next free one.</summary>
    public string? Output { get; init; }

    /// <summary>The run that is resumed; null for a new one.</summary>
    public ResumedRun? Resumed { get; init; }

    /// <summary>The epochs that a resumed run is to have; null for those of its options.</summary>
    public int? Epochs { get; init; }

    public int Execute(CancellationToken stop)
    {
        SequenceTask task = arguments.Open(stop);
        string[] identities = [arguments.Identity(task), arguments.OlderIdentity(task)];
        if (Epochs is { } epochs) arguments = Extended(epochs);
        SequenceModel model = SequenceModels.Create(
            arguments.Model, SequenceShape.Of(task), arguments.Width, arguments.Depth, new ParameterStore(arguments.Seed));
        if (arguments.Init is { } init && Resumed?.State is null)
        {
            using WeightFile weights = WeightFile.Open(init);
            terminal.WriteLine(PlainText.Printable($"{init}: {LoadedTensors.Describe(model.Parameters.LoadMatching(weights))}"));
        }
        SequencePlan plan = arguments.Plan(task);
        SequenceTrainer trainer = new(model, task, plan);
        string identity = arguments.Identity(task);
        string left = task is RecordedSignals { Folder.TextNotes: { Count: > 0 } read } ? $" ({string.Join("; ", read)})" : "";
        Resumed?.Restore(trainer, identities, task is RecordedSignals ? $"the options or the recordings{left}" : "the options");
        using RunFolder folder = Resumed?.Folder ?? NewFolder();
        if (Resumed is not null) folder.WriteArguments(arguments.Write); // the data may have moved
        Describe(task, model, plan, folder);
        if (trainer.Epochs.Count > 0) WriteEpochs(folder, trainer); // the process may have been killed between the checkpoint and these

        string? failure = LiveProgress.Show(
            terminal, "training", plan.Epochs, report => Train(trainer, plan.Epochs, folder, (Save, Checkpoint), report, stop));
        if (stop.IsCancellationRequested && failure is null && !trainer.Done)
        {
            Save(best: trainer.Epochs.Count == 0);
            Checkpoint(finished: false);
        }
        if (failure is not null) throw new TrainingException($"{failure}; the state before that step is kept in {folder.Path}");
        Evaluation? result = stop.IsCancellationRequested ? null : Test(folder, task, plan, stop);
        folder.WriteText("summary.md", Summarize(task, model, (trainer, plan), result));
        if (result is null)
        {
            terminal.WriteLine($"stopped after {trainer.Steps} steps; continue with 'mamba train --resume {folder.Path}'");
            return ExitCode.Interrupted;
        }
        Checkpoint(finished: true);
        terminal.WriteLine($"best epoch {trainer.BestEpoch}; on {result.Images} test sequences: {Line(result)}");
        terminal.WriteLine($"{Summary.Duration(TimeSpan.FromSeconds(trainer.Seconds))}; see {folder.File("summary.md")}");
        return ExitCode.Success;

        void Save(bool best)
        {
            SequenceFile.Save(folder.Last, model, arguments, task);
            if (best) SequenceFile.Save(folder.Best, model, arguments, task);
        }

        void Checkpoint(bool finished) =>
            folder.SaveCheckpoint(trainer, trainer.State with { Run = identity, Finished = finished }, arguments.Keep);
    }

    /// <summary>The options of a resumed run that is to have another number of epochs.</summary>
    private SequenceArguments Extended(int epochs)
    {
        SequenceArguments extended = arguments.WithEpochs(epochs);
        if (Resumed?.State is not { } state) return extended;
        if (epochs < state.Epochs.Count)
            throw new ArgumentException($"--epochs is {epochs}; the run has done {state.Epochs.Count} already, expected more");
        int perEpoch = (int)(((arguments.Steps ?? 0) + (long)arguments.Epochs - 1) / arguments.Epochs);
        if (arguments.Steps is not null && state.Steps < (long)state.Epochs.Count * perEpoch)
            throw new ArgumentException(
                $"--epochs is {epochs}; the last epoch of the run was shorter than the others, and none can follow it; "
                    + $"'mamba train --init {Resumed.Folder.Path}' starts from its weights");
        if (arguments.Schedule == RunArguments.Name(ScheduleKind.Cosine) && epochs != arguments.Epochs)
            terminal.WriteLine(
                $"note: the cosine schedule is that of {epochs} epochs from here on; its first part is not repeated");
        return extended;
    }

    private RunFolder NewFolder() => Output is { } path
        ? RunFolder.Create(path, arguments.Write)
        : RunFolder.CreateNext(Path.Combine("runs", "train"), arguments.Model, arguments.Write);

    private void Describe(SequenceTask task, SequenceModel model, SequencePlan plan, RunFolder folder)
    {
        terminal.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{arguments.Model}: {model.Parameters.ParameterCount:N0} parameters, "
                + $"{arguments.Threads} thread{(arguments.Threads == 1 ? "" : "s")}"));
        string classes = string.Join(", ", task.Labels.Take(MostNames)) + (task.Labels.Count > MostNames ? ", ..." : "");
        string kind = task.Vocabulary is { } tokens ? $"{tokens} tokens"
            : $"{task.Channels} values a position, {task.Labels.Count} classes ({classes})";
        string train = task.Count(SplitPart.Train) is { } sequences ? $"{sequences} training sequences" : "training sequences without end";
        string texts = task is RecordedSignals { Folder: var files } ? string.Concat(files.TextNotes.Select(note => $"; {note}")) : "";
        terminal.WriteLine(PlainText.Printable(
            $"data: {task.Name}, {task.Length} positions, {kind}; {train}, {plan.Evaluated} for validation{texts}"));
        if (task is RecordedSignals recorded)
        {
            foreach (string note in recorded.Folder.Notes) terminal.WriteLine(PlainText.Printable($"note: {note}"));
            foreach (SplitPart part in new[] { SplitPart.Val, SplitPart.Test })
                if (recorded.Copies(part) is > 0 and var copies)
                    terminal.WriteLine(
                        $"note: {copies} of {task.Count(part)} {RunArguments.Name(part)} recordings have the samples of training "
                            + "recordings, which flatters the scores");
        }
        terminal.WriteLine($"run folder {folder.Path}");
    }

    /// <summary>Runs the epochs; returns why training failed, or null.</summary>
    private string? Train(
        SequenceTrainer trainer, int epochs, RunFolder folder, (Action<bool> Save, Action<bool> Checkpoint) write, Action<int> report,
        CancellationToken stop)
    {
        Stopwatch sinceCheckpoint = Stopwatch.StartNew();
        CheckpointInterval interval = CheckpointInterval.Parse(arguments.CheckpointEvery) ?? CheckpointInterval.Epoch;
        try
        {
            foreach (EpochResult epoch in trainer.Run(Step, stop))
            {
                bool best = trainer.BestEpoch == epoch.Epoch;
                write.Save(best);
                Checkpoint();
                WriteEpochs(folder, trainer);
                report(epoch.Epoch);
                terminal.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"epoch {epoch.Epoch,3}/{epochs}  step {trainer.Steps}  loss {epoch.TrainLoss:F4}  "
                        + $"val {epoch.Validation.Loss:F4}  {Line(epoch.Validation)}  "
                        + $"{epoch.ImagesPerSecond:F0} seq/s{(best ? " *" : "")}"));
            }
            return null;
        }
        catch (TrainingException e)
        {
            Checkpoint();
            return e.Message;
        }

        void Step(TrainingProgress step)
        {
            if (!step.Validating && sinceCheckpoint.Elapsed >= interval.Every) Checkpoint();
        }

        void Checkpoint()
        {
            write.Checkpoint(false);
            sinceCheckpoint.Restart();
        }
    }

    private void WriteEpochs(RunFolder folder, SequenceTrainer trainer)
    {
        folder.WriteResults(trainer.Epochs);
        folder.WriteText("curves.svg", Curves.Draw($"{arguments.Model}, {arguments.Data}", trainer.Epochs));
    }

    /// <summary>Measures the best weights on the test sequences; null if it was stopped.</summary>
    private static Evaluation? Test(RunFolder folder, SequenceTask task, SequencePlan plan, CancellationToken stop)
    {
        using WeightFile file = WeightFile.Open(folder.Best);
        (SequenceModel best, _) = SequenceFile.Load(file);
        try
        {
            return SequenceEvaluator.Run(
                best, task, SplitPart.Test, SequenceArguments.Evaluated(task, SplitPart.Test), plan.Batch, stop);
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private string Summarize(
        SequenceTask task, SequenceModel model, (SequenceTrainer Trainer, SequencePlan Plan) training, Evaluation? test)
    {
        (SequenceTrainer trainer, SequencePlan plan) = training;
        StringBuilder text = new();
        Line($"# {arguments.Model}, {task.Name}");
        Line($"");
        if (test is null) Line($"**Stopped after {trainer.Steps} steps.** `mamba eval` measures the weights.\n");
        Line($"| | |");
        Line($"|---|---|");
        Line($"| parameters | {model.Parameters.ParameterCount:N0}: width {arguments.Width}, depth {arguments.Depth} |");
        Line($"| data | {arguments.Data}, {task.Length} positions |");
        Line($"| optimizer | adamw, weight decay {arguments.WeightDecay:G4} |");
        Line($"| learning rate | {arguments.LearningRate:G4}, {arguments.Schedule} |");
        Line($"| steps | {trainer.Steps} of {arguments.Batch} sequences, seed {arguments.Seed} |");
        string best = string.Create(
            CultureInfo.InvariantCulture, $"best {trainer.BestEpoch} with validation accuracy {trainer.BestScore:F4}");
        Line($"| epochs | {trainer.Epochs.Count} of {plan.Epochs}, {best} |");
        Line($"| time | {Summary.Duration(TimeSpan.FromSeconds(trainer.Seconds))}; threads: {arguments.Threads} |");
        if (test is not null) Line($"\nTest, best weights: {test.Images} sequences, loss {test.Loss:F4}, {SequenceRun.Line(test)}.");
        Line($"");
        Line($"![curves](curves.svg)");
        return text.ToString();

        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    }

    private static string Line(Evaluation result)
    {
        SequenceScores scores = new(result.Scores.Values[0].Value, result.Scores.Values[1].Value);
        return string.Create(CultureInfo.InvariantCulture, $"accuracy {scores.Accuracy:F4} exact {scores.Exact:F4}");
    }
}
