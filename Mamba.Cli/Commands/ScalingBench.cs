using System.Globalization;
using System.Text;
using Mamba.Cli.Reports;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Measurement;
using Mamba.Core.Simd;
using Mamba.Models.Measurement;
using static System.FormattableString;

namespace Mamba.Cli.Commands;

/// <summary>What <c>mamba bench --scaling</c> measures.</summary>
/// <param name="Training">Forward and backward passes; else forward passes.</param>
/// <param name="Longest">The longest sequence.</param>
/// <param name="Budget">How long it may take.</param>
/// <param name="Folder">Where the table and the plots are written; null for nowhere.</param>
/// <param name="Json">Whether to print JSON.</param>
internal sealed record ScalingChoice(bool Training, int Longest, ScalingBudget Budget, string? Folder, bool Json);

/// <summary><c>mamba bench --scaling</c>: time and memory of sequence layers against the length of the sequence.</summary>
internal static class ScalingBench
{
    /// <summary>The shortest sequence; the others double it.</summary>
    public const int Shortest = 256;

    private static readonly Column[] s_points =
    [
        new("layer", 26), new("tokens", 7) { Number = true }, new("ms", 9) { Number = true }, new("us/token", 8) { Number = true },
        new("MiB", 8) { Number = true },
    ];

    private static readonly Column[] s_slopes =
    [
        new("layer", 26), new("fitted over", 16) { Number = true }, new("time ~ L^", 9) { Number = true },
        new("memory ~ L^", 11) { Number = true },
    ];

    public static int Run(Terminal terminal, ScalingChoice choice, CancellationToken stop)
    {
        int[] lengths = [.. Lengths(choice.Longest)];
        string title = $"{Processor.Name}, {Workers.Count} threads, {(choice.Training ? "training" : "inference")}";
        string pass = choice.Training ? "forward and backward" : "forward";
        if (!choice.Json)
        {
            terminal.Out.WriteLine(Processor.Name);
            terminal.Out.WriteLine(Invariant(
                $"threads: {Workers.Count}, vectors: {Isa.Current}, {pass}, one sequence of {SequenceLayer.Width} channels"));
            terminal.Out.WriteLine(TableReport.Header(s_points));
        }
        ScalingMeasurement[] results = LiveProgress.Show(
            terminal, "bench", SequenceLayer.All.Count * lengths.Length, report => Measure(terminal, choice, lengths, title, report, stop));
        if (choice.Json) JsonReport.Write(terminal.Out, Array.ConvertAll(results, Document), ReportJson.Default.ScalingDocumentArray);
        else WriteSummary(terminal, results, lengths[^1], choice.Budget);
        foreach (ScalingMeasurement r in results.Where(r => r.TooLarge is not null))
            terminal.Error.WriteLine(Invariant($"note: {r.Layer.Name}: sequences of {r.TooLarge} tokens do not fit into memory"));
        return ExitCode.Success;
    }

    /// <summary>Measures the layers. The files hold all that are done, so that an interruption loses one.</summary>
    private static ScalingMeasurement[] Measure(
        Terminal terminal, ScalingChoice choice, int[] lengths, string title, Action<int> report, CancellationToken stop)
    {
        List<ScalingMeasurement> results = [];
        int done = 0;
        foreach (SequenceLayer layer in SequenceLayer.All)
        {
            results.Add(ScalingMeasurement.Of(layer, choice.Training, lengths, choice.Budget, point =>
            {
                if (!choice.Json) terminal.WriteLine(TableReport.Row(s_points, Cells(layer, point)));
                report(++done);
            }, stop));
            if (choice.Folder is { } folder) WriteFiles(folder, title, results);
            report(done = results.Count * lengths.Length);
        }
        return [.. results];
    }

    /// <summary>The lengths up to the longest, which comes last even if it is no power of two.</summary>
    public static IEnumerable<int> Lengths(int longest)
    {
        for (long length = Shortest; length < longest; length *= 2) yield return (int)length;
        yield return longest;
    }

    private static void WriteSummary(Terminal terminal, ScalingMeasurement[] results, int longest, ScalingBudget budget)
    {
        terminal.Out.WriteLine();
        TableReport.Write(terminal, s_slopes, results.Select(r => new[]
        {
            r.Layer.Name, r.Fitted.Count < 2 ? "" : Invariant($"{r.Fitted[0].Length}-{r.Fitted[^1].Length}"),
            Number(r.TimeSlope, "F2"), Number(r.MemorySlope, "F2"),
        }));
        terminal.Out.WriteLine();
        foreach (ScalingMeasurement slow in results.Where(r => r.Layer.Order == ScalingOrder.Quadratic))
            foreach (ScalingMeasurement fast in results.Where(r => r.Layer.Group == slow.Layer.Group && r != slow))
                terminal.Out.WriteLine(fast.FasterFrom(slow) is { } from
                    ? Invariant($"{fast.Layer.Name} is faster than {slow.Layer.Name} from {from:F0} tokens on")
                    : $"{fast.Layer.Name} is not faster than {slow.Layer.Name} at any length measured");
        foreach (ScalingMeasurement r in results.Where(r => r.TooLarge is null && r.Points[^1].Length < longest))
            terminal.Out.WriteLine(Invariant(
                $"{r.Layer.Name}: longer sequences would take more than {budget.LongestPass:G4} s a pass; --patience allows more"));
    }

    private static void WriteFiles(string folder, string title, IReadOnlyList<ScalingMeasurement> results)
    {
        Directory.CreateDirectory(folder);
        IEnumerable<string> rows = results.SelectMany(r => r.Points.Select(p =>
            Invariant($"{Csv.Quoted(r.Layer.Name)},{p.Length},{p.Milliseconds:R},{p.Bytes}")));
        Write("scaling.csv", string.Join('\n', rows.Prepend("layer,tokens,ms,bytes")) + '\n');
        Write("time.svg", ScalingPlot.Draw(title, "milliseconds a pass", results, p => p.Milliseconds));
        Write("memory.svg", ScalingPlot.Draw(title, "MiB a pass", results, p => p.Bytes / (double)(1 << 20)));

        void Write(string name, string text) => AtomicFile.Write(
            Path.Combine(folder, name), stream => stream.Write(Encoding.UTF8.GetBytes(text)));
    }

    private static string[] Cells(SequenceLayer layer, ScalingPoint p) =>
    [
        layer.Name, p.Length.ToString(CultureInfo.InvariantCulture), Number(p.Milliseconds, "F3"),
        Number(1e3 * p.Milliseconds / p.Length, "F3"), Number(p.Bytes / (double)(1 << 20), "F2"),
    ];

    private static ScalingDocument Document(ScalingMeasurement m) => new(
        m.Layer.Name, m.Training ? "train" : "infer", Workers.Count, m.TimeSlope, m.MemorySlope,
        [.. m.Points.Select(p => new ScalingPointDocument(p.Length, p.Milliseconds, p.Bytes))]);

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
