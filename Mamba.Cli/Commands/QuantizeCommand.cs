using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Compression;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Files;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba quantize</c>: weights in int8 or float16, and what that costs on real images.</summary>
internal static class QuantizeCommand
{
    private const int CalibrationImages = 128;

    private static readonly Column[] s_columns =
        [new(""), new("bytes", 12) { Number = true }, new("loss", 8) { Number = true }, new("score", 8) { Number = true },
            new("ms/image", 8) { Number = true }];

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string> weights = new("--weights") { Description = "Weights of 'mamba train'.", HelpName = "FILE", Required = true };
        Option<string> data =
            new("--data") { Description = "Images to calibrate and measure on.", HelpName = "DIR", Required = true };
        Option<string> output = new("--out") { Description = "Safetensors file to write.", HelpName = "FILE", Required = true };
        Option<QuantizationMode?> mode = Options.Choice<QuantizationMode>("--mode", "What is stored in fewer bits.", "int8");
        Option<CalibrationMethod?> calibration = Options.Choice<CalibrationMethod>(
            "--calibration", "How scales are found.", "the least loss of all");
        Option<int?> images = Options.Integer("--calibration-images", "Images to calibrate on.", $"{CalibrationImages}", 1, 100_000);
        Option<SplitPart?> split = Options.Choice<SplitPart>(
            "--split", "Which images are measured.", "test; all where no image was trained on");
        Option<string?> splitFile = Options.Text("--split-file", "FILE", "Split from a file like split.json.");
        DataSetOptions dataSet = new();
        Option<bool> json = Options.Json();
        Option<int?> threads = Options.Threads();
        Command command = new(
            "quantize",
            "Store weights in int8 or float16, and measure size and scores before and after.\n" +
            "Mode int8 also multiplies in int8; norms and scans stay in float32. The new file is used like any other.\n\n" +
            "Example: mamba quantize --weights best.safetensors --data lgg-mri --out int8.safetensors")
        {
            weights, data, output, mode, calibration, images, split, splitFile,
        };
        foreach (Option option in dataSet.Layout.Concat([json, threads])) command.Add(option);
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            string from = NamedWeights.Find(parsed.GetRequiredValue(weights)), to = parsed.GetRequiredValue(output);
            QuantizationMode kind = parsed.GetValue(mode) ?? QuantizationMode.Int8;
            if (kind != QuantizationMode.Int8 && (parsed.GetValue(calibration) is not null || parsed.GetValue(images) is not null))
                throw new ArgumentException(
                    "--calibration and --calibration-images are for --mode int8, the only one with scales of inputs");
            if (Path.GetFullPath(from) == Path.GetFullPath(to))
                throw new CheckpointException($"{to}: is the input, which is not overwritten");
            OutputPath.ThrowIfNoFile(to);
            (VisionModel model, ModelInfo info, bool half) = LoadFloats(terminal, from, stop);
            EvalRequest request = new(parsed.GetRequiredValue(data), dataSet.Of(parsed), parsed.GetValue(split), OnBadImage.Fail)
            {
                SplitFile = parsed.GetValue(splitFile),
                Json = parsed.GetValue(json),
            };
            EvalRun run = new(terminal, request, from, model, info);
            run.Open(stop);
            Evaluation before = run.MeasureWarm(model, stop);
            Quantization quantization = new(kind, null, null, new Dictionary<string, float>());
            IReadOnlyList<string> float32 = [];
            if (kind == QuantizationMode.Int8)
                (quantization, float32) = Calibrate(
                    terminal, run, model, parsed.GetValue(calibration), parsed.GetValue(images) ?? CalibrationImages, stop);
            if (half)
                terminal.Error.WriteLine(PlainText.Printable(
                    kind == QuantizationMode.Fp16 ? $"note: {from} is in float16 already; {to} has the same numbers"
                        : $"note: {from} is in float16; what is not stored in int8 is stored in float32"));
            ModelFile.SaveQuantized(to, model, info with { Quantization = quantization }, float32, stop);
            model.Dispose();
            (model, _) = ModelFile.Load(to, stop);
            Report(terminal, request, run, (from, before), (to, run.MeasureWarm(model, stop)), quantization);
            model.Dispose();
            return ExitCode.Success;
        });
        return command;
    }

    /// <summary>Loads weights that describe their model and have no codes yet; those in float16 are as good as any.</summary>
    /// <returns>The model, what the file says of it, and whether its numbers are in float16.</returns>
    /// <exception cref="CheckpointException">They are not so; the message says what to do.</exception>
    public static (VisionModel Model, ModelInfo Info, bool IsHalf) LoadFloats(Terminal terminal, string weights, CancellationToken stop)
    {
        (VisionModel model, ModelInfo info) = NamedWeights.Load(weights, stop);
        if (info.Quantization is { Mode: not QuantizationMode.Fp16 } quantization)
            throw new CheckpointException(
                $"{weights}: is {RunArguments.Name(quantization.Mode)} already; expected the float32 weights that it was made of");
        Options.NoteNames(terminal, weights, info);
        return (model, info with { Quantization = null }, info.Quantization is not null);
    }

    private static (Quantization Quantization, IReadOnlyList<string> Float32) Calibrate(
        Terminal terminal, EvalRun run, VisionModel model, CalibrationMethod? method, int most, CancellationToken stop)
    {
        (IReadOnlyList<Tensor> images, string from) = run.Calibration(most, stop);
        if (images.Count == 0) throw new ArgumentException($"{run.Weights}: there is no image to calibrate on");
        int passes = 2 + (method is null ? Enum.GetValues<CalibrationMethod>().Length : 1);
        Calibration found = LiveProgress.Show(
            terminal, "calibration", passes * images.Count, report => Quantizer.Calibrate(model, images, method, report, stop));
        foreach (Tensor image in images) image.Dispose();
        string losses = string.Join(", ", found.Losses.Select(l => string.Create(
            CultureInfo.InvariantCulture, $"{RunArguments.Name(l.Method)} {l.Loss:0.0e+0}")));
        terminal.Error.WriteLine(PlainText.Printable(
            $"calibration: {images.Count} images {from}; relative error of outputs: {losses}; {RunArguments.Name(found.Method)} is taken"));
        if (found.Float32.Count > 0)
            terminal.Error.WriteLine(PlainText.Printable(
                $"float32: {found.Float32.Count} of {found.Float32.Count + found.Scales.Count} products, whose inputs cost most: "
                    + string.Join(", ", found.Float32)));
        return (new Quantization(QuantizationMode.Int8, RunArguments.Name(found.Method), images.Count, found.Scales), found.Float32);
    }

    private static void Report(
        Terminal terminal, EvalRequest request, EvalRun run, (string Path, Evaluation Result) before,
        (string Path, Evaluation Result) after, Quantization quantization)
    {
        long sizeBefore = new FileInfo(before.Path).Length, sizeAfter = new FileInfo(after.Path).Length;
        string mode = RunArguments.Name(quantization.Mode);
        if (request.Json)
        {
            JsonReport.Write(
                terminal.Out,
                new QuantizeDocument(
                    mode, quantization.Calibration, quantization.Images, sizeBefore, sizeAfter,
                    ScoreReport.Document(before.Result, run.Skipped), ScoreReport.Document(after.Result, run.Skipped)),
                ReportJson.Default.QuantizeDocument);
            return;
        }
        (string name, _) = before.Result.Scores.Values[0];
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{run.Info.Model} on {before.Result.Images} images ({RunArguments.Name(run.Images.Part)}), {mode}; score: {name}"));
        TableReport.Write(terminal, s_columns, [Row("before", sizeBefore, before.Result), Row("after", sizeAfter, after.Result)]);
        terminal.Out.WriteLine(ScoreReport.Line(before.Result.Scores));
        terminal.Out.WriteLine(ScoreReport.Line(after.Result.Scores));
    }

    private static string[] Row(string name, long bytes, Evaluation result) =>
    [
        name, Text($"{bytes:N0}"), Text($"{result.Loss:F4}"), Text($"{result.Scores.Values[0].Value:F4}"),
        Text($"{result.MillisecondsPerImage:F2}"),
    ];

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
