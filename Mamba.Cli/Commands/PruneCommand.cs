using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Models.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba prune</c>: fewer channels, or zeros among the weights.</summary>
internal static class PruneCommand
{
    private static readonly Column[] s_sizes =
        [new(""), Right("parameters"), Right("other than 0"), Right("bytes"), Right("multiply-adds")];

    private static readonly Column[] s_scores = [.. s_sizes, Right("loss"), Right("score"), Right("ms/image")];

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string> weights = new("--weights") { Description = "Weights of 'mamba train'.", HelpName = "FILE", Required = true };
        Option<double?> sparsity = Options.Share("--sparsity", "Share that goes, between 0 and 1.", null);
        sparsity.Required = true;
        Option<string> output = new("--out") { Description = "Safetensors file to write.", HelpName = "FILE", Required = true };
        Option<bool> unstructured = Options.Flag("--unstructured", "Set single weights to zero instead.");
        Option<string?> data = Options.Text("--data", "DIR", "Images to measure before and after.");
        Option<SplitPart?> split = Options.Choice<SplitPart>(
            "--split", "Which images are measured.", "test; all where no image was trained on");
        Option<string?> splitFile = Options.Text("--split-file", "FILE", "Split from a file like split.json.");
        DataSetOptions dataSet = new();
        Option<bool> json = Options.Json();
        Option<int?> threads = Options.Threads();
        Command command = new(
            "prune",
            "Remove the weakest channels of each layer, so that the model is smaller and faster.\n" +
            "The new file is used like any other. 'mamba train --init FILE' trains it further.\n\n" +
            "Example: mamba prune --weights best.safetensors --sparsity 0.5 --out pruned.safetensors")
        {
            weights, sparsity, output, unstructured, data, split, splitFile,
        };
        foreach (Option option in dataSet.Layout.Concat([json, threads])) command.Add(option);
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            if (parsed.GetValue(data) is null)
                foreach (Option option in new Option[] { split, splitFile }.Concat(dataSet.Layout))
                    if (parsed.GetResult(option) is { Implicit: false })
                        throw new ArgumentException($"{option.Name} is about the images of --data, which is not given");
            EvalRequest? request = parsed.GetValue(data) is { } images
                ? new EvalRequest(images, dataSet.Of(parsed), parsed.GetValue(split), OnBadImage.Fail)
                {
                    SplitFile = parsed.GetValue(splitFile),
                }
                : null;
            return Run(terminal, new PruneRequest(
                NamedWeights.Find(parsed.GetRequiredValue(weights)), parsed.GetRequiredValue(output),
                parsed.GetRequiredValue(sparsity)!.Value,
                parsed.GetValue(unstructured), parsed.GetValue(json)), request, stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, PruneRequest prune, EvalRequest? request, CancellationToken stop)
    {
        if (prune.Sparsity is 0 or 1)
            throw new ArgumentException($"--sparsity is {prune.Sparsity}; expected a number between 0 and 1, such as 0.5");
        if (Path.GetFullPath(prune.From) == Path.GetFullPath(prune.To))
            throw new CheckpointException($"{prune.To}: is the input, which is not overwritten");
        OutputPath.ThrowIfNoFile(prune.To);
        (VisionModel model, ModelInfo info, bool half) = QuantizeCommand.LoadFloats(terminal, prune.From, stop);
        EvalRun? eval = request is null ? null : new EvalRun(terminal, request, prune.From, model, info);
        eval?.Open(stop);
        Side before = Side.Of(prune.From, model, info, eval?.MeasureWarm(model, stop));
        IReadOnlyList<PrunedLayer> layers;
        if (prune.Unstructured)
        {
            layers = Pruner.Weights(model, prune.Sparsity);
            ModelFile.Save(prune.To, model, info, stop);
        }
        else
        {
            PrunedModel pruned = Pruner.Channels(model, info.Entry, prune.Sparsity);
            ModelFile.Save(prune.To, pruned.Model, info with { Config = pruned.Config }, stop);
            layers = pruned.Layers;
            pruned.Model.Dispose();
        }
        model.Dispose();
        if (half)
            terminal.Error.WriteLine(PlainText.Printable(
                $"note: {prune.From} is in float16, {prune.To} in float32; "
                    + $"'mamba convert {prune.To} FILE --dtype fp16' stores it so again"));
        (model, info) = ModelFile.Load(prune.To, stop);
        Side after = Side.Of(prune.To, model, info, eval?.MeasureWarm(model, stop));
        model.Dispose();
        if (prune.Json) WriteJson(terminal, prune, eval, (before, after), layers);
        else Write(terminal, prune, info, (before, after), layers);
        return ExitCode.Success;
    }

    private static void WriteJson(
        Terminal terminal, PruneRequest prune, EvalRun? eval, (Side Before, Side After) sides, IReadOnlyList<PrunedLayer> layers)
    {
        PrunedLayerDocument[] documents = [.. layers.Select(layer => new PrunedLayerDocument(layer.Layer, layer.Before, layer.After))];
        JsonReport.Write(
            terminal.Out, new PruneDocument(prune.Mode, prune.Sparsity, Document(sides.Before), Document(sides.After), documents),
            ReportJson.Default.PruneDocument);

        PrunedSideDocument Document(Side side) => new(
            side.Parameters, side.NonZero, side.Bytes, side.Macs,
            side.Result is { } result ? ScoreReport.Document(result, eval!.Skipped) : null);
    }

    private static void Write(
        Terminal terminal, PruneRequest prune, ModelInfo info, (Side Before, Side After) sides, IReadOnlyList<PrunedLayer> layers)
    {
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{info.Model}: sparsity {prune.Sparsity} of {prune.Mode}, {layers.Count} layers, multiply-adds of "
                + $"{info.Data.Height} x {info.Data.Width}"));
        bool scored = sides.Before.Result is not null;
        TableReport.Write(
            terminal, scored ? s_scores : s_sizes, [sides.Before.Row("before", scored), sides.After.Row("after", scored)]);
        terminal.Out.WriteLine();
        TableReport.Write(
            terminal, [new("layer"), Right(prune.Mode), Right("left")],
            layers.Select(layer => (string[])[layer.Layer, Text($"{layer.Before:N0}"), Text($"{layer.After:N0}")]));
        terminal.Out.WriteLine();
        terminal.Out.WriteLine(
            $"train it further: mamba train --init {prune.To} --model {info.Model} --data DIR"
                + (prune.Unstructured ? " --keep-zeros" : ""));
    }

    private static Column Right(string title) => new(title) { Number = true };

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    /// <summary>What was typed.</summary>
    private sealed class PruneRequest(string from, string to, double sparsity, bool unstructured, bool json)
    {
        public string From => from;

        public string To => to;

        public double Sparsity => sparsity;

        public bool Unstructured => unstructured;

        public bool Json => json;

        public string Mode => unstructured ? "weights" : "channels";
    }

    /// <summary>A model before or after.</summary>
    private sealed class Side
    {
        public long Parameters { get; private init; }

        public long NonZero { get; private init; }

        public long Bytes { get; private init; }

        public long Macs { get; private init; }

        public Evaluation? Result { get; private init; }

        public static Side Of(string path, VisionModel model, ModelInfo info, Evaluation? result)
        {
            long nonZero = 0;
            foreach ((_, Tensor tensor) in model.Parameters.Parameters)
                foreach (float value in tensor.Span)
                    if (value != 0) nonZero++;
            using MemoryScope scope = new();
            using MultiplyAdds count = new();
            Tensor image = Tensor.Zeros(1, info.Data.Height, info.Data.Width, info.Config.InputChannels);
            _ = info.Entry.Task == ModelTask.Segmentation ? model.Segment(image) : model.Forward(image);
            return new Side
            {
                Parameters = model.Parameters.ParameterCount,
                NonZero = nonZero,
                Bytes = new FileInfo(path).Length,
                Macs = count.Count,
                Result = result,
            };
        }

        public string[] Row(string name, bool scored)
        {
            string[] sizes =
            [
                name, Text($"{Parameters:N0}"), Text($"{NonZero:N0}"), Text($"{Bytes:N0}"), Text($"{Macs / 1e6:N1} M"),
            ];
            if (!scored) return sizes;
            (double loss, double score) = (Result!.Loss, Result.Scores.Values[0].Value);
            return [.. sizes, Text($"{loss:F4}"), Text($"{score:F4}"), Text($"{Result.MillisecondsPerImage:F2}")];
        }
    }
}
