using System.Globalization;
using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Training;

namespace Mamba.Cli.Reports;

/// <summary>The page that sums a run up.</summary>
internal static class Summary
{
    /// <summary>Hours, which may be more than a day's, minutes and seconds.</summary>
    public static string Duration(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalHours:00}:{time:mm\\:ss}");

    public static string Write(
        RunArguments run, long parameters, Split split, RunFolder folder, Trainer trainer, Evaluation? test, TimeSpan time, TrainingProgress? stoppedAt)
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
        Line($"| epochs | {folder.Epochs.Count} of {run.Epochs}{(trainer.BestEpoch > 0 ? string.Create(CultureInfo.InvariantCulture, $", best {trainer.BestEpoch} with validation Dice {trainer.BestDice:F4} (global)") : "")} |");
        if (folder.Epochs.Count > 0) Line($"| speed | {folder.Epochs.Average(e => e.ImagesPerSecond):F1} training images/s on {run.Threads} threads |");
        Line($"| time | {Duration(time)} |");
        if (test is null) return text.ToString();
        Scores s = test.Scores;
        Line($"");
        Line($"Test set, best weights: {test.Images} images, loss {test.Loss:F4}, {test.MillisecondsPerImage:F1} ms an image.");
        Line($"");
        Line($"| | global | image | paper |");
        Line($"|---|---|---|---|");
        Line($"| Dice | {s.DiceGlobal:F4} | {s.DiceImage:F4} | {s.DicePaper:F4} |");
        Line($"| IoU | {s.IouGlobal:F4} | {s.IouImage:F4} | {s.IouPaper:F4} |");
        Line($"");
        Line($"global: all pixels of the set pooled; image: mean over images, 1 where neither truth nor prediction has a lesion; paper: pooled by batch, then averaged.");
        if (run.Protocol == SplitProtocol.Slice && run.Data != RunArguments.Synthetic)
            Line($"Slices were dealt at random, as in the paper: neighbouring slices of one patient are in training and test. `--protocol patient` keeps patients apart.");
        Line($"");
        Line($"![curves](curves.svg)");
        return text.ToString();

        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    }
}
