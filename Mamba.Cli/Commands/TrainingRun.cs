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

/// <summary>One training run, from reading the data to the summary.</summary>
internal sealed class TrainingRun(Terminal terminal, ModelEntry entry, RunArguments arguments, IImageData source, string? output)
{
    private readonly Objective _objective = arguments.Objective;

    private readonly ModelInfo _info = new(
        entry.Name, arguments.Config, source.Labels, Normalization.Of(arguments.Normalization, arguments.Config.InputChannels),
        // The number of drawn images says nothing about a folder that the weights may be measured on later, so it is no limit there.
        arguments.Data == RunArguments.Synthetic
            ? new RunData(arguments.Protocol, arguments.Seed, null, arguments.Height, arguments.Width) { SyntheticImages = arguments.Limit }
            : new RunData(arguments.Protocol, arguments.Seed, arguments.Limit, arguments.Height, arguments.Width));

    public int Execute(CancellationToken stop)
    {
        if (output is not null) RunFolder.ThrowIfTaken(output);
        VisionModel model = entry.Create(_info.Config, arguments.Seed);
        _objective.ThrowIfUnfit(model.Output);
        if (arguments.Init is { } init)
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
        TrainingPlan plan = arguments.Plan(train.Batches);
        Trainer trainer = new(model, train, validation, plan);
        RunFolder folder = new(output ?? RunFolder.NextFree(Path.Combine("runs", "train"), entry.Name), arguments);
        terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"{entry.Name}: {model.Parameters.ParameterCount:N0} parameters; {split.Train.Length} training, {split.Val.Length} validation, {split.Test.Length} test images of {arguments.Height} x {arguments.Width}; {arguments.Threads} threads"));
        terminal.WriteLine($"run folder {folder.Path}");

        Stopwatch watch = Stopwatch.StartNew();
        TrainingProgress last = new(0, 0, double.NaN, 0, false);
        string? failure = Train(model, trainer, folder, progress => last = progress, stop);
        // Without a full epoch there is no best one yet: what was learned is the best there is, unless it is no numbers.
        if (failure is null && (stop.IsCancellationRequested || folder.Epochs.Count == 0)) folder.Save(model, _info, best: folder.Epochs.Count == 0);

        Evaluation? result = stop.IsCancellationRequested || failure is not null ? null : Test(folder, data, test, stop);
        bool interrupted = result is null && failure is null;
        folder.WriteText("summary.md", Summary.Write(arguments, model.Parameters.ParameterCount, split, folder, trainer, result, watch.Elapsed, interrupted ? last : null));
        if (failure is not null) throw new TrainingException(failure);
        if (result is null)
        {
            terminal.WriteLine(string.Create(CultureInfo.InvariantCulture, $"stopped in epoch {last.Epoch} after {last.Images} images; weights are in {folder.File("weights")}"));
            return CommandLine.Interrupted;
        }
        terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"best epoch {trainer.BestEpoch}; on {result.Images} test images: {ScoreReport.Line(result.Scores)}"));
        terminal.WriteLine($"{Summary.Duration(watch.Elapsed)}; see {folder.File("summary.md")}");
        return CommandLine.Success;
    }

    /// <summary>Trains with live progress; returns why it failed, or null.</summary>
    private string? Train(VisionModel model, Trainer trainer, RunFolder folder, Action<TrainingProgress> seen, CancellationToken stop)
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
            try
            {
                foreach (EpochResult epoch in trainer.Run(progress, stop))
                {
                    folder.Add(epoch);
                    folder.Save(model, _info, best: trainer.BestEpoch == epoch.Epoch);
                    folder.WriteText("curves.svg", Curves.Draw(entry.Name, folder.Epochs));
                    terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
                        $"epoch {epoch.Epoch,3}/{arguments.Epochs}  loss {epoch.TrainLoss:F4}  val loss {epoch.Validation.Loss:F4}  {ScoreReport.Line(epoch.Validation.Scores)}  {epoch.ImagesPerSecond:F1} images/s  {epoch.Seconds:F1} s{(trainer.BestEpoch == epoch.Epoch ? "  *" : "")}"));
                }
                return null;
            }
            catch (TrainingException e)
            {
                return e.Message;
            }
        }
    }

    /// <summary>Measures the best weights on the test images and draws some of them; null if it was stopped.</summary>
    private Evaluation? Test(RunFolder folder, CachedData data, BatchLoader test, CancellationToken stop)
    {
        (VisionModel best, _) = ModelFile.Load(folder.Best);
        try
        {
            Evaluation result = LiveProgress.Show(terminal, "testing", test.Samples,
                report => Evaluator.Run(best, test, _objective, report, stop));
            SampleSheet.Draw(folder, data, test, best, _objective, _info.Normalization);
            if (result.Scores is ClassificationScores scores && ConfusionPlot.Draw(entry.Name, scores) is { } picture) folder.WriteText("confusion.svg", picture);
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

    });
}
