using System.Globalization;
using System.Text;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Simd;
using Mamba.Models.Measurement;
using Mamba.Models.Zoo;

namespace Mamba.Benchmarks;

/// <summary>The project's table: models, inference and training step, on one and two threads, with their shares of the FMA peak of the same moment.</summary>
internal static class ModelTable
{
    // Seven models, twice each: about two minutes a thread count, twice that where U-Net's steps take seconds.
    private const double Seconds = 5;
    private static readonly int[] s_threads = [1, 2];

    public static string Markdown()
    {
        Dictionary<int, double> peaks = s_threads.ToDictionary(n => n, n => OnThreads(n, () => Roofline.FmaPeak()));
        StringBuilder text = new();
        Line($"{Processor.Name}, {Isa.Current}, FMA peak {string.Join(", ", s_threads.Select(n => string.Create(CultureInfo.InvariantCulture, $"{peaks[n]:F0} GFLOP/s ({Threads(n)})")))}. Median ms a step (share of the FMA peak, measured between the steps).");
        Line($"");
        Line($"| model | input | {string.Join(" | ", s_threads.Select(n => $"inference, {Threads(n)}"))} | training batch | {string.Join(" | ", s_threads.Select(n => $"training step, {Threads(n)}"))} |");
        Line($"|---|---|{string.Concat(Enumerable.Repeat("---|", 2 * s_threads.Length + 1))}");
        foreach (string name in ModelBench.Headline)
        {
            ModelEntry entry = Registry.Find(name);
            StepConfig inference = StepConfig.Of(entry, training: false), training = StepConfig.Of(entry, training: true);
            Line($"| `{name}` | {inference.Height} x {inference.Width} | {Cells(inference)} | {training.Batch} | {Cells(training)} |");
            Console.Error.WriteLine($"{name} measured");
        }
        return text.ToString();

        void Line(FormattableString line) => text.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    }

    private static string Cells(StepConfig step) => string.Join(" | ", s_threads.Select(n => OnThreads(n, () => Cell(ModelMeasurement.Of(step, Seconds)))));

    private static string Cell(ModelMeasurement m) => string.Create(CultureInfo.InvariantCulture, $"{m.Times.Median:F1} ({100 * m.PeakShare:F0} %)");

    private static string Threads(int count) => count == 1 ? "1 thread" : $"{count} threads";

    private static T OnThreads<T>(int count, Func<T> work)
    {
        Workers.Count = count;
        return work();
    }
}
