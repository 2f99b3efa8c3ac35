using System.Globalization;
using System.Text;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Metrics;
using Mamba.Models.Training;

namespace Mamba.Cli.Reports;

/// <summary>The page that sums a run up.</summary>
internal static class Summary
{
    /// <summary>Hours, which may be more than a day's, minutes and seconds.</summary>
    public static string Duration(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalHours:00}:{time:mm\\:ss}");

    public static string Write(
        RunArguments run, long parameters, Split split, Trainer trainer, Evaluation? test, string? hash, TrainingProgress? stoppedAt)
    {
        StringBuilder text = new();
        Line($"# {run.Model}");
        Line($"");
        if (stoppedAt is not null) Line($"**Stopped in epoch {stoppedAt.Epoch} after {stoppedAt.Images} of its images.** Measure the weights with `mamba eval`.\n");
        Line($"| | |");
        Line($"|---|---|");
        Line($"| parameters | {parameters:N0} |");
        Line($"| data | {run.Data}, {split.Train.Length} training, {split.Val.Length} validation, {split.Test.Length} test images, dealt by {run.Protocol.ToString().ToLowerInvariant()}, seed {run.Seed} |");
        Line($"| input | {run.Height} x {run.Width} |");
        Line($"| recipe | {run.Optimizer}, learning rate {run.LearningRate:G4} ({run.Schedule.ToString().ToLowerInvariant()}), weight decay {run.WeightDecay:G4}, loss {run.Loss}, batch {run.Batch} |");
        Line($"| epochs | {trainer.Epochs.Count} of {run.Epochs}{(trainer.BestEpoch > 0 ? string.Create(CultureInfo.InvariantCulture, $", best {trainer.BestEpoch} with validation {trainer.Epochs[trainer.BestEpoch - 1].Validation.Scores.Values[0].Name.Replace('_', ' ')} {trainer.BestScore:F4}") : "")} |");
        if (trainer.Epochs.Count > 0) Line($"| speed | {trainer.Epochs.Average(e => e.ImagesPerSecond):F1} training images/s on {run.Threads} threads |");
        Line($"| time | {Duration(TimeSpan.FromSeconds(trainer.Seconds))} |");
        if (hash is not null) Line($"| last.safetensors | SHA-256 `{hash}` |");
        if (test is null) return text.ToString();
        Line($"");
        Line($"Test set, best weights: {test.Images} images, loss {test.Loss:F4}, {test.MillisecondsPerImage:F1} ms an image.");
        Line($"");
        text.Append(ScoreReport.Markdown(test.Scores));
        if (run.Protocol == SplitProtocol.Image && run.Data != RunArguments.Synthetic && test.Scores is SegmentationScores)
            Line($"Slices were dealt at random, as in the paper: neighbouring slices of one patient are in training and test. `--protocol patient` keeps patients apart.");
        if (split.Val == split.Test)
            Line($"The best epoch was chosen on the test images themselves, as the paper does, which flatters it. `--protocol holdout` validates on training images held out.");
        Line($"");
        Line($"![curves](curves.svg)");
        return text.ToString();

        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    }
}
