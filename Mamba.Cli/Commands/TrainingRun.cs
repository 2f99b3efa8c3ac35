using System.Diagnostics;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Data;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Spectre.Console;

namespace Mamba.Cli.Commands;

/// <summary>One training run, from reading the data to the summary; or the rest of one.</summary>
/// <param name="terminal">Where results go.</param>
/// <param name="arguments">The options.</param>
/// <param name="source">The images.</param>
internal sealed class TrainingRun(Terminal terminal, RunArguments arguments, IImageData source)
{
    private readonly ModelEntry _entry = Registry.Find(arguments.Model);

    private readonly Objective _objective = arguments.Objective;

    private readonly ModelInfo _info = new(
        arguments.Model, arguments.Config, source.Labels, Normalization.Of(arguments.Normalization, arguments.Config.InputChannels),
        // The number of drawn images says nothing about a folder that the weights may be measured on later, so it is no limit there.
        arguments.Data == RunArguments.Synthetic
            ? new RunData(arguments.Protocol, arguments.Seed, null, arguments.Height, arguments.Width) { SyntheticImages = arguments.Limit }
            : new RunData(arguments.Protocol, arguments.Seed, arguments.Limit, arguments.Height, arguments.Width));

    /// <summary>The folder of a new run; null for the next free one.</summary>
    public string? Output { get; init; }

    /// <summary>The run that goes on; null for a new one.</summary>
    public ResumedRun? Resumed { get; init; }

    /// <summary>Whether every operator is looked at for numbers that are not finite.</summary>
    public bool CheckNumerics { get; init; }

    public int Execute(CancellationToken stop)
    {
        if (Output is not null) RunFolder.ThrowIfTaken(Output);
        VisionModel model = _entry.Create(_info.Config, arguments.Seed);
        _objective.ThrowIfUnfit(model.Output);
        if (arguments.Init is { } init && Resumed?.State is null)
        {
            using WeightFile weights = WeightFile.Open(init);
            LoadReport report = model.Parameters.LoadMatching(weights);
            terminal.WriteLine($"{init}: {report.Loaded} tensors taken{(report.ToString() is { Length: > 0 } rest ? "; " + rest : "")}");
        }
        Split split = Split.Of(source, arguments.Protocol, arguments.Seed, arguments.Limit);
        CachedData data = new(source, arguments.CacheBytes);
        // Every image is read once before anything is written: a damaged file is found now, not in the third epoch.
        int[] all = split[SplitPart.All];
        IReadOnlyList<BadImage> bad = LiveProgress.Show(terminal, "reading", all.Length, report => BadImage.Find(data, all, arguments.OnBadImage, report, stop));
        if (bad.Count > 0) terminal.WriteLine(CommandLine.Printable(BadImage.Describe(bad, all.Length)));
        split = split.Without(bad.Select(image => image.Index));

        using BatchLoader train = Loader(data, split.Train, training: true), validation = Loader(data, split.Val), test = Loader(data, split.Test);
        Trainer trainer = new(model, train, validation, arguments.Plan(train.Batches) with { CheckNumerics = CheckNumerics });
        string identity = arguments.Identity(source, split);
        Resumed?.Restore(trainer, identity);
        using RunFolder folder = Resumed?.Folder ?? (Output is { } path ? RunFolder.Create(path, arguments) : RunFolder.CreateNext(Path.Combine("runs", "train"), _entry.Name, arguments));
        terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{_entry.Name}: {model.Parameters.ParameterCount:N0} parameters; {split.Train.Length} training, {split.Val.Length} validation, {split.Test.Length} test images of {arguments.Height} x {arguments.Width}; {arguments.Threads} threads"));
        terminal.WriteLine($"run folder {folder.Path}");
        if (trainer.Epochs.Count > 0) WriteEpochs(folder, trainer); // the process may have been killed between the checkpoint and these

        TrainingState begun = trainer.State;
        TrainingProgress last = new(begun.Epoch, begun.Images, double.NaN, 0, false);
        Action<bool> checkpoint = finished => folder.SaveCheckpoint(trainer, trainer.State with { Run = identity, Finished = finished }, arguments.Keep);
        string? failure = Train(model, trainer, folder, () => checkpoint(false), progress => last = progress, stop);
        if (stop.IsCancellationRequested && failure is null && !trainer.Done)
        {
            // Without a full epoch there is no best one yet: what was learned is the best there is.
            folder.Save(model, _info, best: trainer.Epochs.Count == 0);
            checkpoint(false);
        }

        Evaluation? result = stop.IsCancellationRequested || failure is not null ? null : Test(folder, data, test, stop);
        bool interrupted = result is null && failure is null;
        string? hash = trainer.Done ? Hash(folder.Last) : null;
        folder.WriteText("summary.md", Summary.Write(arguments, model.Parameters.ParameterCount, split, trainer, result, hash, interrupted ? last : null));
        if (failure is not null)
            throw new TrainingException($"{failure}; the state before that step is kept{(CheckNumerics ? "" : $", and 'mamba train --resume {folder.Path} --check-numerics' names the operator")}");
        if (result is null)
        {
            terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"stopped in epoch {last.Epoch} after {last.Images} images; weights are in {folder.File("weights")}; 'mamba train --resume {folder.Path}' goes on"));
            return CommandLine.Interrupted;
        }
        checkpoint(true);
        terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"best epoch {trainer.BestEpoch}; on {result.Images} test images: {ScoreReport.Line(result.Scores)}"));
        terminal.WriteLine($"sha256 {hash} of {folder.Last}");
        terminal.WriteLine($"{Summary.Duration(TimeSpan.FromSeconds(trainer.Seconds))}; see {folder.File("summary.md")}");
        return CommandLine.Success;
    }

    /// <summary>Trains with live progress; returns why it failed, or null.</summary>
    private string? Train(VisionModel model, Trainer trainer, RunFolder folder, Action checkpoint, Action<TrainingProgress> seen, CancellationToken stop)
    {
        if (!terminal.Progress.Profile.Capabilities.Interactive) return Epochs(seen);
        string? failure = null;
        LiveProgress.Start(terminal, context =>
        {
            // Two bars: the epoch, and the whole run, whose remaining time is the one that matters.
            ProgressTask epoch = context.AddTask("epoch"), run = context.AddTask("run");
            failure = Epochs(progress =>
            {
                seen(progress);
                epoch.Description = string.Create(CultureInfo.InvariantCulture,
                    $"epoch {progress.Epoch}/{arguments.Epochs}  {(progress.Validating ? "validating" : string.Create(CultureInfo.InvariantCulture, $"loss {progress.Loss:F4}  {progress.ImagesPerSecond:F1} images/s"))}");
                epoch.MaxValue = trainer.TrainingImages;
                epoch.Value = progress.Images;
                run.MaxValue = (double)trainer.TrainingImages * arguments.Epochs;
                run.Value = (progress.Epoch - 1.0) * trainer.TrainingImages + progress.Images;
            });
        });
        return failure;

        string? Epochs(Action<TrainingProgress> progress)
        {
            Stopwatch sinceCheckpoint = Stopwatch.StartNew();
            try
            {
                foreach (EpochResult epoch in trainer.Run(Step, stop))
                {
                    // The checkpoint comes after the weights, which a run that goes on from it does not write again, and before what it can write again.
                    folder.Save(model, _info, best: trainer.BestEpoch == epoch.Epoch);
                    Checkpoint();
                    WriteEpochs(folder, trainer);
                    terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
                        $"epoch {epoch.Epoch,3}/{arguments.Epochs}  loss {epoch.TrainLoss:F4}  val loss {epoch.Validation.Loss:F4}  {ScoreReport.Line(epoch.Validation.Scores)}  {epoch.ImagesPerSecond:F1} images/s  {epoch.Seconds:F1} s{(trainer.BestEpoch == epoch.Epoch ? "  *" : "")}"));
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
                progress(step);
                if (step.Skipped is { } reason) terminal.WriteLine(string.Create(CultureInfo.InvariantCulture, $"skipped a step of epoch {step.Epoch}, at {step.Images} images: {reason}"));
                if (!step.Validating && sinceCheckpoint.Elapsed >= arguments.CheckpointEvery.Every) Checkpoint();
            }

            void Checkpoint()
            {
                checkpoint();
                sinceCheckpoint.Restart();
            }
        }
    }

    private void WriteEpochs(RunFolder folder, Trainer trainer)
    {
        folder.WriteResults(trainer.Epochs);
        folder.WriteText("curves.svg", Curves.Draw(_entry.Name, trainer.Epochs));
    }

    private static string Hash(string path)
    {
        using FileStream file = File.OpenRead(path);
        return Convert.ToHexStringLower(Sha256.HashData(file));
    }

    /// <summary>Measures the best weights on the test images and draws some of them; null if it was stopped.</summary>
    private Evaluation? Test(RunFolder folder, CachedData data, BatchLoader test, CancellationToken stop)
    {
        (VisionModel best, _) = ModelFile.Load(folder.Best);
        try
        {
            Evaluation result = LiveProgress.Show(terminal, "testing", test.Samples,
                report => Evaluator.Run(best, test, _objective, report, cancellation: stop));
            SampleSheet.Draw(folder, data, test, best, _objective, _info.Normalization, stop);
            if (result.Scores is ClassificationScores scores && ConfusionPlot.Draw(_entry.Name, scores) is { } picture) folder.WriteText("confusion.svg", picture);
            return result;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private BatchLoader Loader(CachedData data, int[] indices, bool training = false) => new(data, indices, _info.Input with
    {
        BatchSize = arguments.Batch,
        Seed = arguments.Seed,
        Shuffle = training,
        Augment = training ? arguments.Augmentation : null,
        MixUp = training ? arguments.MixUp : null,
    });
}
