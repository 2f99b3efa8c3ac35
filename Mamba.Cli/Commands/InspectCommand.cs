using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Mamba.Cli.Reports;
using Mamba.Core.Checkpoints;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba inspect</c>: what is in a file of weights.</summary>
internal static class InspectCommand
{
    private const int WidestName = 72;

    public static Command Create(Terminal terminal)
    {
        Argument<string> path = new("FILE") { Description = "Weights: safetensors or a PyTorch checkpoint." };
        Option<bool> json = Options.Flag("--json", "Print JSON.");
        Command command = new("inspect", "List the tensors of a file of weights, with what stands beside them.\n\nExample: mamba inspect resnet20.th") { path, json };
        command.SetAction(parsed => Run(terminal, parsed.GetRequiredValue(path), parsed.GetValue(json)));
        return command;
    }

    private static int Run(Terminal terminal, string path, bool json)
    {
        using WeightFile file = WeightFile.Open(path);
        long parameters = file.Names.Where(n => IsParameter(file, n)).Sum(n => (long)file.Count(n));
        long elements = file.Names.Sum(n => (long)file.Count(n)), bytes = file.Names.Sum(file.ByteCount);
        if (json) JsonReport.Write(terminal.Out, w => Write(w, file, parameters, elements, bytes));
        else
        {
            int width = Math.Clamp(file.Names.Select(n => n.Length).DefaultIfEmpty().Max(), 4, WidestName);
            terminal.Out.WriteLine($"{"name".PadRight(width)}  {"type",-4}  shape");
            foreach (string name in file.Names)
                terminal.Out.WriteLine($"{PlainText.Printable(name).PadRight(width)}  {file.DType(name),-4}  ({string.Join(", ", file.Shape(name))})");
            terminal.Out.WriteLine();
            foreach ((string key, string value) in file.Metadata) terminal.Out.WriteLine($"{PlainText.Printable(key)}: {PlainText.Printable(value)}");
            terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture, $"{file.Form}: {file.Names.Count:N0} tensors, {parameters:N0} parameters, {elements - parameters:N0} numbers in buffers, {bytes:N0} bytes"));
        }
        return ExitCode.Success;
    }

    /// <summary>Weight files do not tell parameters from buffers; PyTorch's buffers are integers or a batch norm's statistics, with few exceptions.</summary>
    private static bool IsParameter(WeightFile file, string name) =>
        file.DType(name) is "F64" or "F32" or "F16" or "BF16" && !name.EndsWith("running_mean", StringComparison.Ordinal) && !name.EndsWith("running_var", StringComparison.Ordinal);

    private static void Write(Utf8JsonWriter w, WeightFile file, long parameters, long elements, long bytes)
    {
        w.WriteStartObject();
        w.WriteString("file", file.Path);
        w.WriteString("form", file.Form);
        w.WriteNumber("parameters", parameters);
        w.WriteNumber("elements", elements);
        w.WriteNumber("bytes", bytes);
        w.WriteStartObject("metadata");
        foreach ((string key, string value) in file.Metadata) w.WriteString(key, value);
        w.WriteEndObject();
        w.WriteStartArray("tensors");
        foreach (string name in file.Names)
        {
            w.WriteStartObject();
            w.WriteString("name", name);
            w.WriteString("dtype", file.DType(name));
            w.WriteStartArray("shape");
            foreach (int extent in file.Shape(name)) w.WriteNumberValue(extent);
            w.WriteEndArray();
            w.WriteNumber("bytes", file.ByteCount(name));
            w.WriteEndObject();
        }
        w.WriteEndArray();
        w.WriteEndObject();
    }
}
