using System.CommandLine;
using System.Globalization;
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
        Option<string> data =
            new("--data") { Description = "Image folder, CIFAR-10, MNIST or 'synthetic'.", HelpName = "DIR", Required = true };
        Option<SplitPart?> split = Options.Choice<SplitPart>("--split", "Which images of the training split.", "test");
        Option<OnBadImage?> onBadImage = Options.OnBadImage();
        Option<bool> checkNumerics = Options.CheckNumerics(), json = Options.Json();
        Option<int?> threads = Options.Threads();
        Command command = new(
            "eval",
            "Measure trained weights on images with masks or classes.\n\n" +
            "Example: mamba eval --weights runs/train/ul-vm-unet/weights/best.safetensors --data synthetic")
        {
            weights, data, split, onBadImage, checkNumerics, json, threads,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            Request request = new(
                parsed.GetRequiredValue(weights), parsed.GetRequiredValue(data), parsed.GetValue(split) ?? SplitPart.Test,
                parsed.GetValue(onBadImage) ?? OnBadImage.Fail, parsed.GetValue(checkNumerics));
            return Run(terminal, request, parsed.GetValue(json), stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, Request request, bool json, CancellationToken stop)
    {
        (VisionModel model, ModelInfo info) = ModelFile.Load(request.Weights, stop);
        Options.NotePrefix(terminal, request.Weights, info);
        IImageData data = Open(request, info, stop);
        RunData run = info.Data;
        // All means every image that is there, whatever the training chose among its own.
        int[] indices = request.Part == SplitPart.All ? [.. Enumerable.Range(0, data.Count)]
            : Split.Of(data, run.Protocol, run.Seed, run.Limit)[request.Part];
        IReadOnlyList<BadImage> bad = [];
        if (request.OnBadImage == OnBadImage.Skip)
        {
            IImageData images = data = new CachedData(data, CacheBytes); // so that none is decoded twice
            bad = LiveProgress.Show(
                terminal, "reading", indices.Length, report => BadImage.Find(images, indices, OnBadImage.Skip, report, stop));
            if (bad.Count > 0) terminal.Error.WriteLine($"mamba: {PlainText.Printable(BadImage.Describe(bad, indices.Length))}");
            indices = [.. indices.Except(bad.Select(image => image.Index))];
        }
        Evaluation result = Measure(terminal, request, model, info, data, indices, stop);
        if (json) JsonReport.Write(terminal.Out, ScoreReport.Document(result, bad.Count), ReportJson.Default.EvalDocument);
        else
        {
            string split = $"{RunArguments.Name(request.Part)}, split {RunArguments.Name(run.Protocol)}";
            terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{info.Model} on {result.Images} images ({split}): loss {result.Loss:F4}, {result.MillisecondsPerImage:F2} ms/image"));
            ScoreReport.Table(terminal, result.Scores);
        }
        return ExitCode.Success;
    }

    /// <summary>Opens the data, which must have the classes of the weights.</summary>
    private static IImageData Open(Request request, ModelInfo info, CancellationToken stop)
    {
        RunData run = info.Data;
        IImageData data = Options.OpenData(request.Data, info.Entry.Task, run.Seed, run.SyntheticImages, run.Height, run.Width, stop);
        bool same = data.Labels.Count == info.Labels.Count
            && (info.Entry.Task != ModelTask.Classification || data.Labels.SequenceEqual(info.Labels));
        if (same) return data;
        string there = string.Join(", ", data.Labels), known = string.Join(", ", info.Labels);
        throw new ArgumentException($"{request.Data} has the classes {there}; {request.Weights} was trained on {known}");
    }

    private static Evaluation Measure(
        Terminal terminal, Request request, VisionModel model, ModelInfo info, IImageData data, int[] indices, CancellationToken stop)
    {
        TrainingRecipe recipe = info.Entry.Recipe;
        Objective objective = Objective.Of(info.Entry, recipe.Loss);
        using BatchLoader loader = new(data, indices, info.Input with { BatchSize = recipe.Batch });
        // The first pass compiles the kernels, which is not what ms_per_image is about.
        using (new MemoryScope()) objective.Predict(model, Tensor.Zeros(1, info.Data.Height, info.Data.Width, info.Config.InputChannels));
        NumericsCheck? numerics = request.CheckNumerics ? new NumericsCheck(model.Parameters.All) : null;
        return LiveProgress.Show(
            terminal, RunArguments.Name(request.Part), loader.Samples, report =>
                Evaluator.Run(model, loader, objective, report, numerics, stop));
    }

    /// <summary>What to measure.</summary>
    private sealed record Request(string Weights, string Data, SplitPart Part, OnBadImage OnBadImage, bool CheckNumerics);
}
