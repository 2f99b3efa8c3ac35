using System.Diagnostics;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Spectre.Console;

namespace Mamba.Cli.Commands;

/// <summary>One training run, from reading the data to the summary.</summary>
internal sealed class TrainingRun(Terminal terminal, ModelEntry entry, RunArguments arguments, string? output)
{
    private const int Samples = 8;

    private readonly ModelInfo _info = new(
        entry.Name, new ModelConfig(), ["lesion"], Normalization.None(new ModelConfig().InputChannels),
        // The number of drawn slices says nothing about a folder that the weights may be measured on later, so it is no limit there.
        arguments.Data == RunArguments.Synthetic
            ? new RunData(arguments.Protocol, arguments.Seed, null, arguments.Height, arguments.Width) { SyntheticImages = arguments.Limit }
            : new RunData(arguments.Protocol, arguments.Seed, arguments.Limit, arguments.Height, arguments.Width));

    public int Execute(CancellationToken stop)
    {
        if (output is not null) RunFolder.ThrowIfTaken(output);
        VisionModel model = entry.Create(_info.Config, arguments.Seed);
        TrainingRecipe.ThrowIfUnfit(arguments.Loss, model.Output);
        IImageData source = Options.OpenData(arguments.Data, arguments.Seed, arguments.Limit, arguments.Height, arguments.Width);
        Split split = Split.Of(source, arguments.Protocol, arguments.Seed, arguments.Limit);
        CachedData data = new(source, arguments.CacheBytes);
        // Every image is read once before anything is written: a damaged file is found now, not in the third epoch.
        int[] all = split[SplitPart.All];
        LiveProgress.Show(terminal, "reading", all.Length, report =>
        {
            for (int i = 0; i < all.Length; i++)
            {
                stop.ThrowIfCancellationRequested();
                data.Load(all[i]);
                report(i + 1);
            }
            return 0;
        });

        using BatchLoader train = Loader(data, split.Train, shuffle: true), validation = Loader(data, split.Val, shuffle: false), test = Loader(data, split.Test, shuffle: false);
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

        Evaluation? result = stop.IsCancellationRequested || failure is not null ? null : Test(folder, data, test, plan, stop);
        bool interrupted = result is null && failure is null;
        folder.WriteText("summary.md", Summary.Write(arguments, model.Parameters.ParameterCount, split, folder, trainer, result, watch.Elapsed, interrupted ? last : null));
        if (failure is not null) throw new TrainingException(failure);
        if (result is null)
        {
            terminal.WriteLine(string.Create(CultureInfo.InvariantCulture, $"stopped in epoch {last.Epoch} after {last.Images} images; weights are in {folder.File("weights")}"));
            return CommandLine.Interrupted;
        }
        terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"best epoch {trainer.BestEpoch}; on {result.Images} test images: Dice {result.Scores.DiceGlobal:F4} global, {result.Scores.DiceImage:F4} image, {result.Scores.DicePaper:F4} paper; IoU {result.Scores.IouGlobal:F4}, {result.Scores.IouImage:F4}, {result.Scores.IouPaper:F4}"));
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
                    Scores s = epoch.Validation.Scores;
                    terminal.WriteLine(string.Create(CultureInfo.InvariantCulture,
                        $"epoch {epoch.Epoch,3}/{arguments.Epochs}  loss {epoch.TrainLoss:F4}  val loss {epoch.Validation.Loss:F4}  Dice {s.DiceGlobal:F4} global {s.DiceImage:F4} image {s.DicePaper:F4} paper  {epoch.ImagesPerSecond:F1} images/s  {epoch.Seconds:F1} s{(trainer.BestEpoch == epoch.Epoch ? "  *" : "")}"));
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
    private Evaluation? Test(RunFolder folder, IImageData data, BatchLoader test, TrainingPlan plan, CancellationToken stop)
    {
        (VisionModel best, _) = ModelFile.Load(folder.Best);
        try
        {
            Evaluation result = LiveProgress.Show(terminal, "testing", test.Samples,
                report => Evaluator.Run(best, test, plan.Recipe.Loss, plan.Recipe.MetricBatch, report, stop));
            DrawSamples(folder, data, test, best);
            return result;
        }
        catch (OperationCanceledException)
        {
            return null;
        }
    }

    private void DrawSamples(RunFolder folder, IImageData data, BatchLoader test, VisionModel model)
    {
        int drawn = 0, height = arguments.Height, width = arguments.Width, channels = _info.Config.InputChannels;
        foreach (Batch batch in test.Epoch(0))
        {
            using MemoryScope scope = new();
            Tensor probabilities = model.Probabilities(model.Segment(batch.Images));
            for (int i = 0; i < batch.Indices.Length && drawn < Samples; i++)
            {
                int pixels = height * width;
                Image truth = Pictures.Mask(batch.Targets.Span.Slice(i * pixels, pixels), height, width);
                if (!truth.Pixels.AsSpan().Contains((byte)255)) continue; // pictures of nothing tell little
                Image image = Pictures.FromInput(batch.Images.Span.Slice(i * pixels * channels, pixels * channels), height, width, _info.Normalization);
                Image prediction = Pictures.Mask(probabilities.Span.Slice(i * pixels, pixels), height, width);
                folder.AddSample(data.Name(batch.Indices[i]), Pictures.SideBySide(
                    Pictures.Plain(image), Pictures.Overlay(image, truth, Pictures.Truth), Pictures.Overlay(image, prediction, Pictures.Prediction)));
                drawn++;
            }
            batch.Dispose();
            if (drawn == Samples) return;
        }
    }

    private BatchLoader Loader(IImageData data, int[] indices, bool shuffle) => new(data, indices, _info.Input with
    {
        BatchSize = arguments.Batch,
        Seed = arguments.Seed,
        Shuffle = shuffle,
        Augment = shuffle && arguments.Augment ? new SegmentationAugment { Flips = true, QuarterTurns = true, Brightness = 0.1f, Contrast = 0.1f } : null,
    });
}
