using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba eval</c>: Dice and IoU of trained weights.</summary>
internal static class EvalCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string> weights = Options.Weights();
        Option<string> data = new("--data") { Description = "A folder of images and masks, or 'synthetic'.", HelpName = "DIR", Required = true };
        Option<SplitPart?> split = Options.Choice("--split", "The part of the training's split; all: every image. Default: test.",
            ("test", SplitPart.Test), ("val", SplitPart.Val), ("train", SplitPart.Train), ("all", SplitPart.All));
        Option<bool> json = Options.Flag("--json", "Print JSON.");
        Option<int?> threads = Options.Threads();
        Command command = new("eval", "Measure trained weights on images with masks.\n\nExample: mamba eval --weights runs/train/ul-vm-unet/weights/best.safetensors --data synthetic")
        {
            weights, data, split, json, threads,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            return Run(terminal, parsed.GetRequiredValue(weights), parsed.GetRequiredValue(data), parsed.GetValue(split) ?? SplitPart.Test, parsed.GetValue(json), stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, string weights, string dataName, SplitPart part, bool json, CancellationToken stop)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(weights);
        RunData run = info.Data;
        IImageData data = Options.OpenData(dataName, run.Seed, run.SyntheticImages, run.Height, run.Width);
        // All: the images that are there, whatever the training chose among its own.
        int[] indices = part == SplitPart.All ? [.. Enumerable.Range(0, data.Count)] : Split.Of(data, run.Protocol, run.Seed, run.Limit)[part];
        TrainingRecipe recipe = info.Entry.Recipe;
        using BatchLoader loader = new(data, indices, info.Input with { BatchSize = recipe.Batch });
        // The first pass compiles the kernels, which is not what ms_per_image is about.
        using (new MemoryScope()) model.Segment(Tensor.Zeros(1, run.Height, run.Width, info.Config.InputChannels));
        Evaluation result = LiveProgress.Show(terminal, $"{part.ToString().ToLowerInvariant()}", loader.Samples,
            report => Evaluator.Run(model, loader, recipe.Loss, recipe.MetricBatch, report, stop));
        if (json) JsonReport.Write(terminal.Out, w => Write(w, result));
        else
        {
            Scores s = result.Scores;
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{info.Model} on {result.Images} images ({part.ToString().ToLowerInvariant()}, by {run.Protocol.ToString().ToLowerInvariant()}): loss {result.Loss:F4}, {result.MillisecondsPerImage:F1} ms an image"));
            terminal.Out.WriteLine("         global    image    paper");
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"Dice   {s.DiceGlobal,8:F4} {s.DiceImage,8:F4} {s.DicePaper,8:F4}"));
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"IoU    {s.IouGlobal,8:F4} {s.IouImage,8:F4} {s.IouPaper,8:F4}"));
        }
        return CommandLine.Success;
    }

    private static void Write(Utf8JsonWriter w, Evaluation result)
    {
        Scores s = result.Scores;
        w.WriteStartObject();
        w.WriteNumber("images", result.Images);
        JsonReport.Number(w, "loss", result.Loss);
        Three("dice", s.DiceGlobal, s.DiceImage, s.DicePaper);
        Three("iou", s.IouGlobal, s.IouImage, s.IouPaper);
        JsonReport.Number(w, "ms_per_image", result.MillisecondsPerImage);
        w.WriteEndObject();

        void Three(string name, double global, double image, double paper)
        {
            w.WriteStartObject(name);
            JsonReport.Number(w, "global", global);
            JsonReport.Number(w, "image", image);
            JsonReport.Number(w, "paper", paper);
            w.WriteEndObject();
        }
    }
}
