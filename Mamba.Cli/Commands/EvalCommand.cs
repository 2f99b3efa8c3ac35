using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
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
        DataSetOptions dataSet = new();
        ForeignOptions foreign = new(dataSet.Labels);
        Option<SplitPart?> split = Options.Choice<SplitPart>(
            "--split", "Which images of the training split.", "test; all where no image was trained on");
        Option<string?> splitFile = Options.Text("--split-file", "FILE", "Split from a file like split.json.");
        Option<MetricResolution?> metricsAt = Options.Choice<MetricResolution>(
            "--metrics-at", "Size at which masks are compared.", "image");
        Option<string?> perImage = Options.Text("--per-image", "FILE", "CSV of the scores of each image.");
        Option<OnBadImage?> onBadImage = Options.OnBadImage();
        Option<bool> checkNumerics = Options.CheckNumerics(), json = Options.Json();
        Option<int?> threads = Options.Threads();
        Command command = new(
            "eval",
            "Measure trained weights on images with masks or classes.\n" +
            "Weights of other programs need --model; --labels then names the classes of a classifier.\n\n" +
            "Example: mamba eval --weights runs/train/ul-vm-unet/weights/best.safetensors --data synthetic")
        {
            weights, data,
        };
        foreach (Option option in foreign.All.Concat(dataSet.All)) command.Add(option);
        foreach (Option option in new Option[] { split, splitFile, metricsAt, perImage, onBadImage, checkNumerics, json,
            threads }) command.Add(option);
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            EvalRequest request = new(
                parsed.GetRequiredValue(weights), parsed.GetRequiredValue(data), dataSet.Of(parsed), parsed.GetValue(split),
                parsed.GetValue(onBadImage) ?? OnBadImage.Fail)
            {
                SplitFile = parsed.GetValue(splitFile),
                MetricsAt = parsed.GetValue(metricsAt) ?? MetricResolution.Image,
                PerImage = parsed.GetValue(perImage),
                CheckNumerics = parsed.GetValue(checkNumerics),
                Json = parsed.GetValue(json),
            };
            (VisionModel model, ModelInfo info) = foreign.Load(terminal, parsed, request.Weights, stop);
            return Run(EvalRun.Prepare(terminal, request, info, stop), model);
        });
        return command;
    }

    private static int Run(EvalRun run, VisionModel model)
    {
        (Terminal terminal, EvalRequest request, ModelInfo info) = (run.Terminal, run.Request, run.Info);
        Evaluation result = run.Measure(model);
        if (request.PerImage is { } rows) AtomicFile.Write(rows, stream =>
        {
            using StreamWriter writer = new(stream, leaveOpen: true);
            PerImageScores.Write(writer, ScoreReport.Detail(result.Scores)!.PerImage);
        });
        if (request.Json)
        {
            JsonReport.Write(terminal.Out, ScoreReport.Document(result, run.Unreadable), ReportJson.Default.EvalDocument);
            return ExitCode.Success;
        }
        string split = $"{RunArguments.Name(run.Part)}{(info.Data.IsForeign ? "" : $", split {RunArguments.Name(info.Data.Protocol)}")}";
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{info.Model} on {result.Images} images ({split}): loss {result.Loss:F4}, {result.MillisecondsPerImage:F2} ms/image"));
        ScoreReport.Table(terminal, result.Scores);
        if (run.Volumes is not null) ScoreReport.Volumes(terminal, result.Scores);
        return ExitCode.Success;
    }
}
