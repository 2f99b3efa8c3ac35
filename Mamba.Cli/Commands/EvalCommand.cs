using System.CommandLine;
using Mamba.Cli.Reports;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba eval</c>: the scores of trained weights.</summary>
internal static class EvalCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string[]> weights = new("--weights")
        {
            Description = Options.Describe("Weights or run folders, one per fold.", "those of --merge"),
            HelpName = "FILE|RUN",
            Arity = ArgumentArity.OneOrMore,
            AllowMultipleArgumentsPerToken = true,
        };
        Option<string?> data = Options.Text(
            "--data", "DIR|TASK", "Image folder, 'synthetic', or sequence task.", "the task of sequence weights");
        Option<int[]?> lengths = SequenceEval.LengthsOption();
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
        EvalPartOptions parts = new();
        Command command = new(
            "eval",
            "Measure trained weights on images with masks or classes.\n" +
            "Weights of other programs need --model; --labels then names the classes of a classifier.\n" +
            "Several weights are folds of a cross-validation, each on its own images: mean and deviation.\n\n" +
            "Example: mamba eval --weights runs/train/ul-vm-unet/weights/best.safetensors --data synthetic\n" +
            "         mamba eval --weights runs/fold1 runs/fold2 runs/fold3 --data skin\n" +
            "         mamba eval --weights runs/train/mamba-lm --lengths 64,1024,1048576")
        {
            weights, data, lengths,
        };
        foreach (Option option in foreign.All.Concat(dataSet.All)) command.Add(option);
        foreach (Option option in (Option[])[split, splitFile, metricsAt, perImage, onBadImage, checkNumerics, json,
            threads, .. parts.All]) command.Add(option);
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            if (parsed.GetValue(perImage) is { } rows) OutputPath.ThrowIfNoFile(rows);
            if (parts.IsMerge(parsed, perImage, json, threads))
                return parts.Merge(terminal, parsed, parsed.GetValue(json), parsed.GetValue(perImage));
            string[] typedWeights = Array.ConvertAll(parsed.GetValue(weights) is { Length: > 0 } typed ? typed
                : throw new ArgumentException(LineErrors.Missing(weights.Name, command)), NamedWeights.Find);
            if (SequenceEval.Open(typedWeights) is { } sequences)
            {
                using (sequences)
                {
                    SequenceEval.ThrowIfMixed(parsed, weights, data, dataSet.Images, split, lengths, json, threads);
                    SequenceEval.Request sequenceRequest = new(
                        parsed.GetValue(data), parsed.GetValue(dataSet.Images), parsed.GetValue(lengths) ?? [], parsed.GetValue(json))
                    {
                        Split = parsed.GetValue(split),
                    };
                    return SequenceEval.Run(terminal, sequences, sequenceRequest, stop);
                }
            }
            if (parsed.GetValue(lengths) is { Length: > 0 })
                throw new ArgumentException($"--lengths is for models of sequences; {typedWeights[0]} holds none");
            EvalRequest request = new(
                parsed.GetValue(data) ?? throw new ArgumentException(LineErrors.Missing(data.Name, command)),
                dataSet.Of(parsed), parsed.GetValue(split), parsed.GetValue(onBadImage) ?? OnBadImage.Fail)
            {
                SplitFile = parsed.GetValue(splitFile),
                MetricsAt = parsed.GetValue(metricsAt) ?? MetricResolution.Image,
                PerImage = parsed.GetValue(perImage),
                CheckNumerics = parsed.GetValue(checkNumerics),
                Json = parsed.GetValue(json),
            };
            EvalRun[] runs = [.. typedWeights.Select(file =>
            {
                (VisionModel model, ModelInfo info) = foreign.Load(terminal, parsed, file, stop);
                return new EvalRun(terminal, request, file, model, info);
            })];
            if (parsed.GetValue(metricsAt) is not null
                && runs.FirstOrDefault(run => run.Info.Entry.Task == ModelTask.Classification) is { } classifier)
                throw new ArgumentException($"{metricsAt.Name} is for segmentation; {classifier.Info.Model} is for classification");
            if (parts.IsPart(parsed))
                return parts.Measure(terminal, parsed, request, runs, [weights, data, threads, checkNumerics], stop);
            return runs is [var one] ? One(terminal, request, one, stop) : new EvalFolds(terminal, request, runs).Run(stop);
        });
        return command;
    }

    private static int One(Terminal terminal, EvalRequest request, EvalRun run, CancellationToken stop)
    {
        run.Open(stop);
        Evaluation result = run.Measure(stop);
        Report(terminal, request.Json, request.PerImage, run.Heading, result, run.Skipped);
        return ExitCode.Success;
    }

    /// <summary>Prints the scores of one weight file, and writes those of each image if that was asked for.</summary>
    public static void Report(Terminal terminal, bool json, string? perImage, EvalHeading heading, Evaluation result, int skipped)
    {
        WritePerImage(perImage, [result]);
        if (json) JsonReport.Write(terminal.Out, ScoreReport.Document(result, skipped), ReportJson.Default.EvalDocument);
        else heading.Print(terminal, result);
    }

    /// <summary>Writes the scores of each image of all runs, if that was asked for.</summary>
    public static void WritePerImage(string? perImage, IEnumerable<Evaluation> results)
    {
        if (perImage is { } rows) AtomicFile.Write(rows, stream =>
        {
            using StreamWriter writer = new(stream, leaveOpen: true);
            PerImageScores.Write(writer, results.SelectMany(result => ScoreReport.Detail(result.Scores)!.PerImage));
        });
    }
}

/// <summary>What to measure.</summary>
internal sealed record EvalRequest(string Data, DataOptions DataSet, SplitPart? Part, OnBadImage OnBadImage)
{
    public string? SplitFile { get; init; }

    public MetricResolution MetricsAt { get; init; }

    public string? PerImage { get; init; }

    public bool CheckNumerics { get; init; }

    public bool Json { get; init; }
}
