using System.CommandLine;
using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Simd;
using Mamba.Models.Measurement;
using Mamba.Models.Zoo;

namespace Mamba.Cli.Commands;

/// <summary><c>mamba bench</c>: how fast the models are on this machine.</summary>
internal static class BenchCommand
{
    private const double DefaultSeconds = 3;
    private const double ScalingSeconds = 0.5;
    private const int LongestSequence = 1 << 18;
    private const double Patience = 20;

    private static readonly Column[] s_columns =
    [
        new("model", 15), new("batch", 5) { Number = true }, new("ms", 6) { Number = true }, new("min", 6) { Number = true },
        new("images/s", 8) { Number = true }, new("GFLOP/s", 7) { Number = true }, new("of peak", 7) { Number = true },
        new("exp M", 5) { Number = true },
        new("MiB", 5) { Number = true },
    ];

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string?> model = Options.Text("--model", "NAME", "Model, see 'mamba models'.", "all");
        Option<bool> train = Options.Flag("--train", "Measure training steps, not inference.");
        Option<int?> batch = Options.Integer(
            "--batch", "Images per step.",
            $"1; {StepConfig.BatchOfLargeImages} with --train, the recipe's up to {StepConfig.SmallImage}x{StepConfig.SmallImage}", 1,
            4096);
        Option<(int Height, int Width)?> size = Options.Size("the model's");
        Option<double?> seconds = Options.Number(
            "--seconds", "Seconds per model.", $"{Options.Short(DefaultSeconds)}; {Options.Short(ScalingSeconds)} per length of --scaling");
        Option<int?> threads = Options.Threads();
        Option<bool> json = Options.Json();
        Option<bool> scaling = Options.Flag("--scaling", "Measure sequence layers against their length.");
        Option<int?> longest = Options.Integer(
            "--longest", "Longest sequence of --scaling.", $"{LongestSequence}", ScalingBench.Shortest, 1 << 24);
        Option<double?> patience = Options.Number("--patience", "Longest pass of --scaling, in seconds.", Options.Short(Patience));
        Option<string?> folder = Options.Text("--out", "DIR", "Folder for --scaling's table and plots.");
        Command command = new(
            "bench",
            "Measure the speed of models on this machine.\n" +
            "Times are the median and the least of all steps. " +
            "A multiply-add counts as two operations, a training step as three forward passes. " +
            "The FMA peak is measured between the steps on as many threads. " +
            "Exp M are millions of exponentials of a forward pass; GFLOP/s leave them out. " +
            "MiB is what the tensors of a step need at once, without weights. " +
            "A slow model has up to four times the seconds, to reach five repetitions.\n\n" +
            "With --scaling, time and memory of scans, attention and their blocks over sequences of 256 tokens, doubled up to --longest, " +
            "with the fitted exponents and the lengths at which one overtakes another.\n\n" +
            "Example: mamba bench --model ul-vm-unet --train --threads 1\n" +
            "Example: mamba bench --scaling --out scaling")
        {
            model, train, batch, size, seconds, threads, json, scaling, longest, patience, folder,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            bool layers = parsed.GetValue(scaling);
            Refuse(parsed, layers, layers ? [model, batch, size] : [longest, patience, folder]);
            if (parsed.GetValue(folder) is { } plots) OutputPath.ThrowIfNoFolder(plots);
            if (layers)
            {
                ScalingBudget budget = new(parsed.GetValue(seconds) ?? ScalingSeconds, parsed.GetValue(patience) ?? Patience);
                return ScalingBench.Run(
                    terminal,
                    new ScalingChoice(
                        parsed.GetValue(train), parsed.GetValue(longest) ?? LongestSequence, budget, parsed.GetValue(folder),
                        parsed.GetValue(json)),
                    stop);
            }
            IEnumerable<ModelEntry> entries = parsed.GetValue(model) is { } name ? [Registry.Find(name)] : Registry.Models;
            StepConfig[] steps =
                [.. entries.Select(e => StepConfig.Of(e, parsed.GetValue(train), parsed.GetValue(size), parsed.GetValue(batch)))];
            return Run(terminal, steps, parsed.GetValue(seconds) ?? DefaultSeconds, parsed.GetValue(json), stop);
        });
        return command;
    }

    /// <summary>Refuses options that the other way of measuring has.</summary>
    private static void Refuse(ParseResult parsed, bool scaling, Option[] others)
    {
        foreach (Option option in others)
            if (parsed.GetResult(option) is { Implicit: false })
                throw new ArgumentException(
                    scaling ? $"{option.Name} is for models, and --scaling measures layers" : $"{option.Name} needs --scaling");
    }

    private static int Run(Terminal terminal, StepConfig[] steps, double seconds, bool json, CancellationToken stop)
    {
        if (!json)
        {
            terminal.Out.WriteLine(Processor.Name);
            terminal.Out.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"threads: {Workers.Count}, vectors: {Name(Isa.Current)}, FMA peak: {Roofline.FmaPeak():F0} GFLOP/s, {Mode(steps[0])}"));
            terminal.Out.WriteLine(TableReport.Header(s_columns));
        }
        ModelMeasurement[] results = LiveProgress.Show(terminal, "bench", steps.Length, report => Array.ConvertAll(steps, step =>
        {
            ModelMeasurement result = ModelMeasurement.Of(step, seconds, stop);
            if (!json) terminal.WriteLine(Row(result));
            report(Array.IndexOf(steps, step) + 1);
            return result;
        }));
        if (json) JsonReport.Write(terminal.Out, Array.ConvertAll(results, Document), ReportJson.Default.BenchDocumentArray);
        return ExitCode.Success;
    }

    private static string Row(ModelMeasurement m) => TableReport.Row(
        s_columns, m.Step.Entry.Name, Number(m.Step.Batch, "F0"), Number(m.Times.Median, "F2"), Number(m.Times.Min, "F2"),
        Number(m.ImagesPerSecond, "F1"),
        Number(m.Gigaflops, "F1"), Number(100 * m.PeakShare, "F0") + " %", Number(m.Exponentials / 1e6, "F2"),
        Number(Mebibytes(m.Times.PassMemory), "F1"));

    private static BenchDocument Document(ModelMeasurement m) => new(
        m.Step.Entry.Name, m.Step.Training ? "train" : "infer", m.Step.Batch, m.Threads, Name(m.Isa), m.Times.Median, m.Times.Min,
        m.ImagesPerSecond,
        m.Gigaflops, m.Times.MedianPeak, m.PeakShare,
        m.Times.PeakMemory > 0 ? Mebibytes(m.Times.PeakMemory) : null, // without /proc the system does not tell
        Mebibytes(m.Times.PassMemory), m.Exponentials);

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);

    private static string Mode(StepConfig step) => step.Training ? "training steps" : "inference";

    /// <summary>The vector width as <c>MAMBA_ISA</c> takes it.</summary>
    private static string Name(VectorWidth width) => width.ToString().ToLowerInvariant();

    private static double Mebibytes(long bytes) => bytes / (double)(1 << 20);
}
