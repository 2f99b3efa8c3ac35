using System.Globalization;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Simd;
using Mamba.Models.Measurement;
using Mamba.Models.Zoo;

namespace Mamba.Benchmarks;

/// <summary>
/// The project's table: inference and training steps of the models on one and two threads. Each row has its share of the FMA peak of the
/// same moment.
/// </summary>
internal static class ModelTable
{
    // Seven models, twice each: about two minutes a thread count, twice that where U-Net's steps take seconds.
    private const double Seconds = 5;
    private static readonly int[] s_threads = [1, 2];

    /// <summary>The lines of the table in Markdown, each as soon as it is measured.</summary>
    public static IEnumerable<string> Lines()
    {
        string[] peaks = Array.ConvertAll(
            s_threads, n => string.Create(CultureInfo.InvariantCulture,
            $"{OnThreads(n, () => Roofline.FmaPeak()):F0} GFLOP/s on {Threads(n)}"));
        yield return $"{Processor.Name}, {Isa.Current}; FMA peak {string.Join(", ", peaks)}. "
            + "Median ms a step, and its share of the FMA peak between the steps.";
        yield return "";
        string inferenceTitles = string.Join(" | ", s_threads.Select(n => $"inference, {Threads(n)}"));
        string trainingTitles = string.Join(" | ", s_threads.Select(n => $"training step, {Threads(n)}"));
        yield return $"| model | input | {inferenceTitles} | training batch | {trainingTitles} |";
        yield return $"|---|---|{string.Concat(Enumerable.Repeat("---|", 2 * s_threads.Length + 1))}";
        foreach (string name in ModelBench.Headline)
        {
            ModelEntry entry = Registry.Find(name);
            StepConfig inference = StepConfig.Of(entry, training: false), training = StepConfig.Of(entry, training: true);
            string input = $"{inference.Height} x {inference.Width}";
            yield return $"| `{name}` | {input} | {Cells(inference)} | {training.Batch} | {Cells(training)} |";
        }
    }

    private static string Cells(StepConfig step) =>
        string.Join(" | ", s_threads.Select(n => OnThreads(n, () => Cell(ModelMeasurement.Of(step, Seconds)))));

    private static string Cell(ModelMeasurement m) =>
        string.Create(CultureInfo.InvariantCulture, $"{m.Times.Median:F1} ({100 * m.PeakShare:F0} %)");

    private static string Threads(int count) => count == 1 ? "1 thread" : $"{count} threads";

    private static T OnThreads<T>(int count, Func<T> work)
    {
        Workers.Count = count;
        return work();
    }
}
