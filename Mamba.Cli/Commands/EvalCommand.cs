using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba eval</c>: the scores of trained weights.</summary>
internal static class EvalCommand
{
    private const long CacheBytes = 2L << 30;

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string> weights = Options.Weights();
        Option<string> data = new("--data") { Description = "A folder of images with masks or of classes, CIFAR-10 or MNIST files, or 'synthetic'.", HelpName = "DIR", Required = true };
        Option<SplitPart?> split = Options.Choice<SplitPart>("--split", "The part of the training's split; all: every image. Default: test.");
        Option<OnBadImage?> onBadImage = Options.OnBadImage();
        Option<bool> checkNumerics = Options.CheckNumerics();
        Option<bool> json = Options.Flag("--json", "Print JSON.");
        Option<int?> threads = Options.Threads();
        Command command = new("eval", "Measure trained weights on images with masks or classes.\n\nExample: mamba eval --weights runs/train/ul-vm-unet/weights/best.safetensors --data synthetic")
        {
            weights, data, split, onBadImage, checkNumerics, json, threads,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            return Run(terminal, parsed.GetRequiredValue(weights), parsed.GetRequiredValue(data), parsed.GetValue(split) ?? SplitPart.Test, parsed.GetValue(onBadImage) ?? OnBadImage.Fail, parsed.GetValue(checkNumerics), parsed.GetValue(json), stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, string weights, string dataName, SplitPart part, OnBadImage onBadImage, bool checkNumerics, bool json, CancellationToken stop)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(weights, stop);
        RunData run = info.Data;
        IImageData data = Options.OpenData(dataName, info.Entry.Task, run.Seed, run.SyntheticImages, run.Height, run.Width, stop);
        if (data.Labels.Count != info.Labels.Count || (info.Entry.Task == ModelTask.Classification && !data.Labels.SequenceEqual(info.Labels)))
            throw new ArgumentException($"{dataName} has the classes {string.Join(", ", data.Labels)}; {weights} was trained on {string.Join(", ", info.Labels)}");
        // All: the images that are there, whatever the training chose among its own.
        int[] indices = part == SplitPart.All ? [.. Enumerable.Range(0, data.Count)] : Split.Of(data, run.Protocol, run.Seed, run.Limit)[part];
        IReadOnlyList<BadImage> bad = [];
        if (onBadImage == OnBadImage.Skip)
        {
            IImageData images = data = new CachedData(data, CacheBytes); // so that none is decoded twice
            bad = LiveProgress.Show(terminal, "reading", indices.Length, report => BadImage.Find(images, indices, onBadImage, report, stop));
            if (bad.Count > 0) terminal.Error.WriteLine($"mamba: {PlainText.Printable(BadImage.Describe(bad, indices.Length))}");
            indices = [.. indices.Except(bad.Select(image => image.Index))];
        }
        TrainingRecipe recipe = info.Entry.Recipe;
        Objective objective = Objective.Of(info.Entry, recipe.Loss);
        using BatchLoader loader = new(data, indices, info.Input with { BatchSize = recipe.Batch });
        // The first pass compiles the kernels, which is not what ms_per_image is about.
        using (new MemoryScope()) objective.Predict(model, Tensor.Zeros(1, run.Height, run.Width, info.Config.InputChannels));
        Evaluation result = LiveProgress.Show(terminal, $"{part.ToString().ToLowerInvariant()}", loader.Samples,
            report => Evaluator.Run(model, loader, objective, report, checkNumerics ? new NumericsCheck(model.Parameters.All) : null, stop));
        if (json) JsonReport.Write(terminal.Out, w => Write(w, result, bad.Count));
        else
        {
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{info.Model} on {result.Images} images ({part.ToString().ToLowerInvariant()}, split {run.Protocol.ToString().ToLowerInvariant()}): loss {result.Loss:F4}, {result.MillisecondsPerImage:F2} ms an image"));
            terminal.Out.Write(ScoreReport.Table(result.Scores));
        }
        return ExitCode.Success;
    }

    private static void Write(Utf8JsonWriter w, Evaluation result, int skipped)
    {
        w.WriteStartObject();
        w.WriteNumber("images", result.Images);
        w.WriteNumber("skipped", skipped);
        JsonReport.Number(w, "loss", result.Loss);
        ScoreReport.Json(w, result.Scores);
        JsonReport.Number(w, "ms_per_image", result.MillisecondsPerImage);
        w.WriteEndObject();
    }
}
