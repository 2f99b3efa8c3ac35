using System.Globalization;
using System.Text;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Metrics;
using Mamba.Models.Training;

namespace Mamba.Cli.Reports;

/// <summary>The page that sums a run up.</summary>
internal static class Summary
{
    private const string Patients = "`--protocol patient` keeps patients apart.",
    HoldOut = "`--protocol holdout` validates on held-out training images.";

    /// <summary>Hours, which may be more than a day's, minutes and seconds.</summary>
    public static string Duration(TimeSpan time) =>
        string.Create(CultureInfo.InvariantCulture, $"{(long)time.TotalHours:00}:{time:mm\\:ss}");

    public static string Write(
        RunArguments run, RunFacts facts, Trainer trainer, Evaluation? test, string? hash, TrainingProgress? stoppedAt)
    {
        (long parameters, Split split) = (facts.Parameters, facts.Split);
        StringBuilder text = new();
        Line($"# {run.Model}");
        Line($"");
        if (stoppedAt is not null)
            Line($"**Stopped in epoch {stoppedAt.Epoch} after {stoppedAt.Images} of its images.** `mamba eval` measures the weights.\n");
        Line($"| | |");
        Line($"|---|---|");
        Line($"| parameters | {parameters:N0} |");
        Line($"| data | {run.Data} |");
        string seed = run.SplitFile is null ? string.Create(CultureInfo.InvariantCulture, $", seed {run.Seed}") : "";
        Line($"| split | {SplitOf(run)}{seed}: {Images(split)} |");
        Line($"| input | {run.Height} x {run.Width} |");
        Line($"| optimizer | {RunArguments.Name(run.Optimizer)}, weight decay {run.WeightDecay:G4} |");
        Line($"| learning rate | {run.LearningRate:G4}, {RunArguments.Name(run.Schedule)} |");
        Line($"| loss | {RunArguments.Name(run.Loss)}, batch {run.Batch} |");
        string planned = run.PlannedEpochs is { } epochs ? string.Create(CultureInfo.InvariantCulture, $" of {epochs}") : "";
        Line($"| epochs | {trainer.Epochs.Count}{planned}{Best(run, trainer)} |");
        if (trainer.EndedBy is { } reason && (run.Steps ?? run.Minutes) is not null) Line($"| ended by | {reason} |");
        if (trainer.Epochs.Count > 0)
            Line($"| speed | {trainer.Epochs.Average(e => e.ImagesPerSecond):F1} training images/s; threads: {run.Threads} |");
        Line($"| time | {Duration(TimeSpan.FromSeconds(trainer.Seconds))} |");
        if (hash is not null) Line($"| last.safetensors | SHA-256 `{hash}` |");
        if (test is null) return text.ToString();
        Line($"");
        string size = test.Scores is ClassificationScores ? "" : $" at {run.Height} x {run.Width}, the model's size";
        Line($"Test set, best weights: {test.Images} {Unit(run)}{size}, loss {test.Loss:F4}, {test.MillisecondsPerImage:F1} ms per image.");
        if (size.Length > 0) Line($"`mamba eval` measures at the images' own size; `--metrics-at model` gives these numbers.");
        Line($"");
        text.Append(ScoreReport.Markdown(test.Scores));
        bool segmentation = test.Scores is SegmentationScores or MultiClassScores;
        (int tested, int trained) = facts.Patients;
        if (trained > 0) Line($"{trained} of {tested} test patients have training images, which flatters the scores. {Patients}");
        if (split.ValidatesOnTest)
            Line($"The best epoch was chosen on the test images, as in the paper, so the scores are optimistic. {HoldOut}");
        Line($"");
        Line($"![curves](curves.svg)");
        return text.ToString();

        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>How the images were split, such as "by patient, fold 2/5" or "from split.json".</summary>
    public static string SplitOf(RunArguments run) => run.SplitFile is { } file ? $"from {file}"
        : $"by {RunArguments.Name(run.Protocol)}{(run.Fold is { } fold ? $", fold {fold}" : "")}";

    /// <summary>What scores are measured on.</summary>
    public static string Unit(RunArguments run) => run.Crop is null ? "images" : "tiles";

    /// <summary>
    /// The images of each part, as "320 training, 40 validation, 40 test images", or "320 training, 40 test images (also for validation)".
    /// </summary>
    public static string Images(Split split) => split.ValidatesOnTest
        ? $"{split.Train.Length} training, {split.Test.Length} test images (also for validation)"
        : $"{split.Train.Length} training, {split.Val.Length} validation, {split.Test.Length} test images";

    private static string Best(RunArguments run, Trainer trainer)
    {
        if (trainer.BestEpoch == 0) return "";
        Evaluation best = trainer.Epochs[trainer.BestEpoch - 1].Validation;
        string measure = run.Monitor ?? best.Scores.Values[0].Name;
        double value = measure == "loss" ? best.Loss : best.Scores.Values.First(score => score.Name == measure).Value;
        // Where no validation image has a lesion, the loss selects.
        if (double.IsNaN(value)) (measure, value) = ("loss", best.Loss);
        return string.Create(
            CultureInfo.InvariantCulture, $", best {trainer.BestEpoch} with validation {measure.Replace('_', ' ')} {value:F4}");
    }
}

/// <summary>What a run begins with.</summary>
/// <param name="Parameters">The trained parameters of the model.</param>
/// <param name="Split">The parts of the data.</param>
/// <param name="Patients">The patients of the test images, and those of them that also have training images; 0 where unknown.</param>
internal sealed record RunFacts(long Parameters, Split Split, (int Test, int Trained) Patients);
