using System.CommandLine;
using System.Globalization;
using Mamba.Core.Checkpoints;
using Mamba.Models.Files;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba convert</c>: weights of any form to safetensors.</summary>
internal static class ConvertCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Argument<string> input = new("IN") { Description = "PyTorch checkpoint (.pth, .pt, .bin, .th) or safetensors." };
        Argument<string> output = new("OUT") { Description = "Safetensors file to write; replaced if it exists." };
        Option<FloatType?> type = Options.Choice<FloatType>("--dtype", "Type of floating-point numbers.", "as they are");
        ForeignOptions foreign = new();
        Command command = new(
            "convert",
            "Convert weights to safetensors. Names stay, and types without --dtype. An index.json of shards joins them.\n" +
            "The state_dict is found wherever it is; where there are several, --key names one.\n" +
            "With --model the new file describes its model, so that eval and infer need no more.\n\n" +
            "Example: mamba convert resnet20.th resnet20.safetensors --model resnet20 --normalize imagenet")
        {
            input, output, type,
        };
        foreach (Option option in foreign.All) command.Add(option);
        command.SetAction(parsed =>
            Run(
                terminal, (NamedWeights.Find(parsed.GetRequiredValue(input)), parsed.GetRequiredValue(output)), parsed.GetValue(type),
                foreign, parsed, stop));
        return command;
    }

    private static int Run(
        Terminal terminal, (string Input, string Output) paths, FloatType? type, ForeignOptions foreign, ParseResult parsed,
        CancellationToken stop)
    {
        (string input, string output) = paths;
        using WeightFile file = foreign.Open(parsed, input);
        if (RealPath(input) == RealPath(output)) throw new CheckpointException($"{output}: is the input, which is not overwritten");
        OutputPath.ThrowIfNoFile(output);
        ModelInfo? info = null;
        if (foreign.AreGiven(parsed))
        {
            (VisionModel model, info) = foreign.Load(terminal, parsed, file, stop);
            model.Dispose();
        }
        Rounding? rounding = type is { } floats ? WeightConversion.Write(output, file, info, floats, stop) : null;
        if (rounding is not null)
        {
            using WeightFile written = WeightFile.Open(output);
            Report(terminal, output, written, file.Form);
            Report(terminal, type!.Value, rounding);
            return ExitCode.Success;
        }
        if (info is not null) ModelFile.Convert(output, file, info, stop);
        else Safetensors.Write(
            output, file, new Dictionary<string, string>(file.Metadata) { ["format"] = "pt" }, stop); // what PyTorch's loader asks for
        Report(terminal, output, file, file.Form);
        return ExitCode.Success;
    }

    private static void Report(Terminal terminal, string output, WeightFile file, string form) => terminal.Out.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"{output}: {file.Names.Count:N0} tensors, {file.Names.Sum(file.ByteCount):N0} bytes, from {form}"));

    private static void Report(Terminal terminal, FloatType type, Rounding rounding)
    {
        string errors = rounding.Tensor is null ? "none was rounded" : string.Create(
            CultureInfo.InvariantCulture, $"the largest rounding error is {rounding.LargestError:0.0e-0} in '{rounding.Tensor}'");
        string vanished = rounding.Vanished == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", {rounding.Vanished:N0} became 0");
        terminal.Out.WriteLine(PlainText.Printable(string.Create(
            CultureInfo.InvariantCulture, $"{RunArguments.Name(type)}: {rounding.Numbers:N0} numbers; {errors}{vanished}")));
    }

    /// <summary>The path without links, so that a file is known under all its names.</summary>
    private static string RealPath(string path)
    {
        path = Path.GetFullPath(path);
        if (Path.GetDirectoryName(path) is not { } parent) return path;
        path = Path.Combine(RealPath(parent), Path.GetFileName(path));
        FileSystemInfo? target = Directory.Exists(path) ? Directory.ResolveLinkTarget(path, returnFinalTarget: true)
            : File.Exists(path) ? File.ResolveLinkTarget(path, returnFinalTarget: true)
            : null;
        return target?.FullName ?? path;
    }
}
