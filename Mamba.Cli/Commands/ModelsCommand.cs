using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba models</c>: what is in the zoo.</summary>
internal static class ModelsCommand
{
    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<bool> json = Options.Flag("--json", "Print JSON.");
        Command command = new("models", "List the models with their parameters and multiply-adds.\n\nExample: mamba models --json") { json };
        command.SetAction(parsed => Run(terminal, parsed.GetValue(json), stop));
        return command;
    }

    private static int Run(Terminal terminal, bool json, CancellationToken stop)
    {
        Row[] rows = [.. Registry.Models.Select(entry => Describe(entry, stop))];
        if (json)
            JsonReport.Write(terminal.Out, w =>
            {
                w.WriteStartArray();
                foreach (Row row in rows) row.Write(w);
                w.WriteEndArray();
            });
        else
        {
            terminal.Out.WriteLine($"{"name",-16} {"task",-13} {"parameters",12} {"multiply-adds",15}  input");
            foreach (Row row in rows)
                terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{row.Name,-16} {row.Task,-13} {row.Parameters,12:N0} {row.MultiplyAdds / 1e6,13:N1} M  {row.Channels} x {row.Size} x {row.Size}"));
        }
        return ExitCode.Success;
    }

    private static Row Describe(ModelEntry entry, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        VisionModel model = entry.Create();
        using MemoryScope scope = new();
        using MultiplyAdds count = new();
        model.Forward(Tensor.Zeros(1, entry.ImageSize, entry.ImageSize, model.Config.InputChannels));
        return new Row(entry.Name, entry.Task.ToString().ToLowerInvariant(), model.Parameters.ParameterCount, count.Count, model.Config.InputChannels, entry.ImageSize);
    }

    private sealed record Row(string Name, string Task, long Parameters, long MultiplyAdds, int Channels, int Size)
    {
        public void Write(Utf8JsonWriter w)
        {
            w.WriteStartObject();
            w.WriteString("name", Name);
            w.WriteString("task", Task);
            w.WriteNumber("parameters", Parameters);
            w.WriteNumber("macs", MultiplyAdds);
            w.WriteStartArray("input");
            foreach (int extent in new[] { Channels, Size, Size }) w.WriteNumberValue(extent);
            w.WriteEndArray();
            w.WriteEndObject();
        }
    }
}
