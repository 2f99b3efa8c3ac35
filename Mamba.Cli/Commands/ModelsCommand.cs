using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Files;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba models</c>: what is in the zoo.</summary>
internal static class ModelsCommand
{
    private static readonly Column[] s_columns =
        [new("name"), new("task"), new("parameters") { Number = true }, new("multiply-adds") { Number = true }, new("input")];

    private static readonly Column[] s_weights = [new("weights"), new("model"), new("kB") { Number = true }, new("classes")];

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<bool> json = Options.Json();
        Command command =
            new("models", "List the models with their parameters and multiply-adds.\n\nExample: mamba models --json") { json };
        command.SetAction(parsed => Run(terminal, parsed.GetValue(json), stop));
        return command;
    }

    private static int Run(Terminal terminal, bool json, CancellationToken stop)
    {
        ModelDocument[] models = [.. Registry.Models.Select(entry => Describe(entry, stop))];
        if (json)
        {
            JsonReport.Write(terminal.Out, models, ReportJson.Default.ModelDocumentArray);
            return ExitCode.Success;
        }
        TableReport.Write(terminal, s_columns, models.Select(Row));
        if (NamedWeights.Shipped.Count == 0) return ExitCode.Success;
        terminal.Out.WriteLine();
        TableReport.Write(terminal, s_weights, NamedWeights.Shipped.Select(shipped => Row(shipped.Name, shipped.Path)));
        return ExitCode.Success;
    }

    private static string[] Row(string name, string path)
    {
        ModelInfo info = ModelFile.Load(path).Info;
        return [name, info.Model, (new FileInfo(path).Length / 1000).ToString("N0", CultureInfo.InvariantCulture), Classes(info.Labels)];
    }

    private static string Classes(IReadOnlyList<string> labels) =>
        labels.Count > 3 ? string.Create(CultureInfo.InvariantCulture, $"{labels.Count}") : string.Join(", ", labels);

    private static ModelDocument Describe(ModelEntry entry, CancellationToken stop)
    {
        stop.ThrowIfCancellationRequested();
        // Counts do not depend on values; zeros are made faster than random weights.
        using VisionModel model = entry.Build(new Scope(new ParameterStore { SkipInitialValues = true }), entry.Config);
        foreach ((_, Tensor tensor) in model.Parameters.All) tensor.Span.Clear();
        using MemoryScope scope = new();
        using MultiplyAdds count = new();
        int channels = model.Config.InputChannels, size = entry.ImageSize;
        model.Forward(Tensor.Zeros(1, size, size, channels));
        return new ModelDocument(
            entry.Name, RunArguments.Name(entry.Task), model.Parameters.ParameterCount, count.Count, [channels, size, size]);
    }

    private static string[] Row(ModelDocument m) =>
    [
        m.Name, m.Task, m.Parameters.ToString("N0", CultureInfo.InvariantCulture),
        string.Create(CultureInfo.InvariantCulture, $"{m.Macs / 1e6:N1} M"), string.Join(" x ", m.Input),
    ];
}
