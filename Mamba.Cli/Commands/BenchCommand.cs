using System.CommandLine;
using System.Globalization;
using System.Text.Json;
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

    public static Command Create(Terminal terminal, CancellationToken stop)
    {
        Option<string?> model = Options.Text("--model", "NAME", "The model, see 'mamba models'. Default: all of them.");
        Option<bool> train = Options.Flag("--train", "Measure a training step (forward, loss, backward, optimizer) instead of inference; it counts three forward passes.");
        Option<int?> batch = Options.Integer(
            "--batch", $"Images a step. Default: 1; with --train {StepConfig.BatchOfLargeImages}, or the recipe's for images of up to {StepConfig.SmallImage}x{StepConfig.SmallImage}.", 1, 4096);
        Option<(int Height, int Width)?> size = Options.Size("Rows and columns of the images. Default: the model's.");
        Option<double?> seconds = Options.Number("--seconds", $"How long to repeat the step of a model; a slow one has up to four times as long to reach five repetitions. Default: {DefaultSeconds}.");
        Option<int?> threads = Options.Threads();
        Option<bool> json = Options.Flag("--json", "Print JSON.");
        Command command = new(
            "bench",
            "Measure the speed of models on this machine, a few seconds each: times of a step, operations a second (a multiply-add is two), and their share of the " +
            "FMA peak, measured between the steps on as many threads. Memory is the largest resident memory of the process after a step, in MiB: the runtime and this model, since " +
            "what the model before needed is given back first.\n\n" +
            "Example: mamba bench --model ul-vm-unet --train --threads 1")
        {
            model, train, batch, size, seconds, threads, json,
        };
        command.SetAction(parsed =>
        {
            Options.Apply(parsed, threads);
            IEnumerable<ModelEntry> entries = parsed.GetValue(model) is { } name ? [Registry.Find(name)] : Registry.Models;
            StepConfig[] steps = [.. entries.Select(e => StepConfig.Of(e, parsed.GetValue(train), parsed.GetValue(size), parsed.GetValue(batch)))];
            return Run(terminal, steps, parsed.GetValue(seconds) ?? DefaultSeconds, parsed.GetValue(json), stop);
        });
        return command;
    }

    private static int Run(Terminal terminal, StepConfig[] steps, double seconds, bool json, CancellationToken stop)
    {
        if (!json)
        {
            terminal.Out.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{Processor.Name}, threads: {Workers.Count}, vectors: {Name(Isa.Current)}, FMA peak: {Roofline.FmaPeak():F0} GFLOP/s, {Mode(steps[0])}"));
            terminal.Out.WriteLine($"{"model",-15} {"batch",5} {"ms median",10} {"ms min",9} {"images/s",9} {"GFLOP/s",8} {"of peak",7} {"MiB",6}");
        }
        ModelMeasurement[] results = LiveProgress.Show(terminal, "bench", steps.Length, report => Array.ConvertAll(steps, step =>
        {
            ModelMeasurement result = ModelMeasurement.Of(step, seconds, stop);
            if (!json) terminal.WriteLine(Row(result));
            report(Array.IndexOf(steps, step) + 1);
            return result;
        }));
        if (json)
            JsonReport.Write(terminal.Out, w =>
            {
                w.WriteStartArray();
                foreach (ModelMeasurement result in results) Write(w, result);
                w.WriteEndArray();
            });
        return ExitCode.Success;
    }

    private static string Row(ModelMeasurement m) => string.Create(CultureInfo.InvariantCulture,
        $"{m.Step.Entry.Name,-15} {m.Step.Batch,5} {m.Times.Median,10:F2} {m.Times.Min,9:F2} {m.ImagesPerSecond,9:F1} {m.Gigaflops,8:F1} {100 * m.PeakShare,5:F0} % {Mebibytes(m),6:F0}");

    private static void Write(Utf8JsonWriter w, ModelMeasurement m)
    {
        w.WriteStartObject();
        w.WriteString("model", m.Step.Entry.Name);
        w.WriteString("mode", m.Step.Training ? "train" : "infer");
        w.WriteNumber("batch", m.Step.Batch);
        w.WriteNumber("threads", m.Threads);
        w.WriteString("isa", Name(m.Isa));
        w.WriteNumber("ms_median", m.Times.Median);
        w.WriteNumber("ms_min", m.Times.Min);
        w.WriteNumber("images_per_second", m.ImagesPerSecond);
        w.WriteNumber("gflops", m.Gigaflops);
        w.WriteNumber("peak_gflops", m.Times.MedianPeak);
        w.WriteNumber("peak_share", m.PeakShare);
        w.WriteNumber("peak_rss_mb", Mebibytes(m));
        w.WriteEndObject();
    }

    private static string Mode(StepConfig step) => step.Training ? "training steps" : "inference";

    /// <summary>The vector width as <c>MAMBA_ISA</c> takes it.</summary>
    private static string Name(VectorWidth width) => width.ToString().ToLowerInvariant();

    private static double Mebibytes(ModelMeasurement m) => m.Times.PeakMemory / (double)(1 << 20);
}
