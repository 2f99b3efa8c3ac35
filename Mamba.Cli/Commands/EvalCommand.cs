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
            Request request = new(
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
            return Run(terminal, request, model, info, stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, Request request, VisionModel model, ModelInfo info, CancellationToken stop)
    {
        RunData run = info.Data;
        IImageData data = Options.OpenData(
            request.Data, OptionsOf(request, info), info.Entry.Task, run.Seed, run.SyntheticImages, (run.Height, run.Width), stop);
        (int[] indices, SplitPart part, string? note) = EvalImages.Choose(request.Data, data, info, request.Part, request.SplitFile);
        VolumeFolder? volumes = data as VolumeFolder;
        if (volumes is not null) info = info.ForSlices;
        foreach (string known in (data as IImageFolder)?.Notes ?? []) Note(known);
        if (note is not null) Note(note);
        if (data is IMaskedFolder folder) ReadMasks(folder, indices);
        if (ThrowIfOtherClasses(request, data, info) is { } order) Note(order);
        IReadOnlyList<BadImage> bad = [];
        if (request.OnBadImage == OnBadImage.Skip)
        {
            IImageData images = data = new CachedData(data, CacheBytes); // so that none is decoded twice
            bad = LiveProgress.Show(
                terminal, "reading", indices.Length, report => DataSurvey.Of(images, indices, OnBadImage.Skip, report, stop)).Bad;
            if (bad.Count > 0) terminal.Error.WriteLine($"mamba: {PlainText.Printable(BadImage.Describe(bad, indices.Length))}");
            indices = [.. indices.Except(bad.Select(image => image.Index))];
        }
        if (indices.Length > 0 && info.BitsNote(data.Load(indices[0]).Image) is { } bits) Note($"{data.Name(indices[0])}: {bits}");
        if (request.PerImage is not null && info.Entry.Task != ModelTask.Segmentation)
            throw new ArgumentException($"--per-image is for segmentation; {info.Model} is for classification");
        if (request.MetricsAt == MetricResolution.Image && data is not CachedData) data = new CachedData(data, CacheBytes);
        Evaluation result = Measure(
            terminal, request, model, info, data, volumes is null ? data.Patient : volumes.Volume, indices, part, stop);
        if (request.PerImage is { } rows) AtomicFile.Write(rows, stream =>
        {
            using StreamWriter writer = new(stream, leaveOpen: true);
            PerImageScores.Write(writer, ScoreReport.Detail(result.Scores)!.PerImage);
        });
        if (request.Json) JsonReport.Write(terminal.Out, ScoreReport.Document(result, bad.Count), ReportJson.Default.EvalDocument);
        else
        {
            string split = $"{RunArguments.Name(part)}{(run.IsForeign ? "" : $", split {RunArguments.Name(run.Protocol)}")}";
            terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"{info.Model} on {result.Images} images ({split}): loss {result.Loss:F4}, {result.MillisecondsPerImage:F2} ms/image"));
            ScoreReport.Table(terminal, result.Scores);
            if (volumes is not null) ScoreReport.Volumes(terminal, result.Scores);
        }
        return ExitCode.Success;

        void Note(string text) => terminal.Error.WriteLine(PlainText.Printable($"note: {text}"));

        void ReadMasks(IMaskedFolder folder, int[] samples)
        {
            LiveProgress.Show(terminal, "masks", samples.Length, report =>
            {
                folder.ReadMasks(samples, info.Masks, report, stop);
                return true;
            });
            terminal.Error.WriteLine(PlainText.Printable($"masks: {PreparedData.Describe(folder, samples)}"));
        }
    }

    /// <summary>What was typed; volumes are sliced and mapped as those of the training.</summary>
    private static DataOptions OptionsOf(Request request, ModelInfo info) => request.DataSet with
    {
        Axis = DataSetOptions.AxisOf(request.DataSet.Axis, info, request.Weights),
        VolumeIntensity = info.Intensity,
    };

    /// <summary>The data must have the classes of the weights.</summary>
    /// <returns>What is taken for granted where the weights do not name them; null for nothing.</returns>
    private static string? ThrowIfOtherClasses(Request request, IImageData data, ModelInfo info)
    {
        bool byName = info.Entry.Task == ModelTask.Classification || info.Labels.Count > 1;
        if (data.Labels.Count == info.Labels.Count)
        {
            if (!byName || data.Labels.SequenceEqual(info.Labels)) return null;
            if (info.Data.IsForeign && info.Labels.SequenceEqual(ForeignModel.DefaultLabels(info.Entry.Task, info.Labels.Count)))
                return "the weights do not name their classes, which are taken to be those of the data: "
                    + string.Join(", ", data.Labels.Take(3)) + (data.Labels.Count > 3 ? ", ..." : "");
        }
        string there = string.Join(", ", data.Labels), known = string.Join(", ", info.Labels);
        string have = info.Data.IsForeign ? "has" : "was trained on";
        throw new ArgumentException($"{request.Data} has the classes {there}; {request.Weights} {have} {known}");
    }

    private static Evaluation Measure(
        Terminal terminal, Request request, VisionModel model, ModelInfo info, IImageData data, Func<int, string> group, int[] indices,
        SplitPart part, CancellationToken stop)
    {
        TrainingRecipe recipe = info.Entry.Recipe;
        Objective objective = Objective.Of(
            info.Entry, new ObjectiveOptions(info.Data.Loss ?? ObjectiveOptions.DefaultLoss(info.Entry, info.Config.Classes))
            {
                Classes = info.Config.Classes,
                ClassWeights = info.Data.ClassWeights,
            });
        using BatchLoader loader = new(data, indices, info.Input with { BatchSize = info.Data.Batch ?? recipe.Batch });
        // The first pass compiles the kernels, which is not what ms_per_image is about.
        using (new MemoryScope()) objective.Predict(model, Tensor.Zeros(1, info.Data.Height, info.Data.Width, info.Config.InputChannels));
        NumericsCheck? numerics = request.CheckNumerics ? new NumericsCheck(model.Parameters.All) : null;
        return LiveProgress.Show(
            terminal, RunArguments.Name(part), loader.Samples, report => Evaluator.Run(model, loader, objective, new EvaluationOptions
            {
                Data = data,
                Resolution = request.MetricsAt,
                Group = data.KnowsPatients ? group : null,
                Metrics = new MetricOptions { Distances = true, PerImage = request.PerImage is not null },
                Progress = report,
                Numerics = numerics,
            }, stop));
    }

    /// <summary>What to measure.</summary>
    private sealed record Request(string Weights, string Data, DataOptions DataSet, SplitPart? Part, OnBadImage OnBadImage)
    {
        public string? SplitFile { get; init; }

        public MetricResolution MetricsAt { get; init; }

        public string? PerImage { get; init; }

        public bool CheckNumerics { get; init; }

        public bool Json { get; init; }
    }
}
