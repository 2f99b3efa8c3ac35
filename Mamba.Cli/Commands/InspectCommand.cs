using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core.Checkpoints;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba inspect</c>: what is in a file of weights.</summary>
internal static class InspectCommand
{
    private static readonly Column[] s_columns = [new("name"), new("type"), new("shape")];

    public static Command Create(Terminal terminal)
    {
        Argument<string> path = new("FILE") { Description = "Weights, safetensors or PyTorch." };
        Option<bool> json = Options.Json();
        Option<string?> key = Options.Key();
        Command command = new("inspect", "List the tensors and the metadata of a weight file.\n\nExample: mamba inspect resnet20.th")
        {
            path, key, json,
        };
        command.SetAction(parsed =>
            Run(terminal, NamedWeights.Find(parsed.GetRequiredValue(path)), parsed.GetValue(key), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Terminal terminal, string path, string? key, bool json)
    {
        using WeightFile file = WeightFile.Open(path, key);
        long parameters = file.Names.Where(n => IsParameter(file, n)).Sum(n => (long)file.Count(n));
        long elements = file.Names.Sum(n => (long)file.Count(n)), bytes = file.Names.Sum(file.ByteCount);
        if (json)
        {
            TensorDocument[] tensors = [.. file.Names.Select(n => new TensorDocument(n, file.DType(n), file.Shape(n), file.ByteCount(n)))];
            InspectDocument document = new(file.Path, file.Form, parameters, elements, bytes, file.Metadata, tensors);
            JsonReport.Write(terminal.Out, document, ReportJson.Default.InspectDocument);
            return ExitCode.Success;
        }
        TableReport.Write(terminal, s_columns, file.Names.Select(n => (string[])
            [PlainText.Printable(n), file.DType(n), $"({string.Join(", ", file.Shape(n))})"]));
        terminal.Out.WriteLine();
        foreach ((string entry, string value) in file.Metadata)
            terminal.Out.WriteLine($"{PlainText.Printable(entry)}: {PlainText.Printable(value)}");
        terminal.Out.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{file.Form}: {file.Names.Count:N0} tensors, {parameters:N0} parameters, ")
            + string.Create(CultureInfo.InvariantCulture, $"{elements - parameters:N0} buffer elements, {bytes:N0} bytes"));
        return ExitCode.Success;
    }

    /// <summary>
    /// Weight files do not tell parameters from buffers. PyTorch's buffers are integers or a batch norm's statistics, with few exceptions.
    /// </summary>
    private static bool IsParameter(WeightFile file, string name) =>
        file.DType(name) is "F64" or "F32" or "F16" or "BF16"
        && !name.EndsWith("running_mean", StringComparison.Ordinal) && !name.EndsWith("running_var", StringComparison.Ordinal);
}
