using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Simd;
using Mamba.Models.Measurement;
using Mamba.Models.Zoo;

namespace Mamba.Benchmarks;

/// <summary>
/// Where the time of a model goes: the median of whole passes beside the FMA peak of the same run, then milliseconds by kernel.
/// </summary>
internal static partial class Profile
{
    private const int Passes = 15;

    public static void Run(string model, int? size, int? batch)
    {
        ModelEntry entry = Registry.Find(model);
        foreach (bool training in new[] { false, true })
        {
            StepConfig config = StepConfig.Of(entry, training, size is { } side ? (side, side) : null, training ? batch : null);
            ModelStep step = new(config);
            PassTimes times = PassTimes.Measure(step.Run, seconds: 3);
            long allocated = GC.GetAllocatedBytesForCurrentThread();
            step.Run();
            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
            double rate = step.Operations / times.Median / 1e6, best = step.Operations / times.Min / 1e6;
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{model} {config.Height}x{config.Width}, {(training ? "training" : "inference")}, batch {config.Batch}, "
                + $"{Workers.Count} threads, {Isa.Current}: {times.Median:F2} ms (best {times.Min:F2}), "
                + $"{config.Batch * 1e3 / times.Median:F1} images/s, "
                + $"{rate:F1} GFLOP/s = {100 * rate / times.MedianPeak:F0} % of the median FMA peak {times.MedianPeak:F0}; "
                + $"best of best {100 * best / times.BestPeak:F0} % of {times.BestPeak:F0}; {allocated} bytes allocated a pass"));
            Kernels(step.Run, times.Min);
        }
    }

    private static void Kernels(Action pass, double whole)
    {
        Dictionary<string, (long Ticks, int Count)> kernels = [];
        Launch.Observer = (kernel, ticks) =>
        {
            (long sum, int count) = kernels.GetValueOrDefault(kernel);
            kernels[kernel] = (sum + ticks, count + 1);
        };
        for (int i = 0; i < Passes; i++) pass();
        Launch.Observer = null;
        double total = 0;
        foreach ((string kernel, (long ticks, int count)) in kernels.OrderByDescending(k => k.Value.Ticks))
        {
            double milliseconds = ticks * 1e3 / Stopwatch.Frequency / Passes;
            total += milliseconds;
            if (milliseconds >= 0.02) Console.WriteLine($"  {milliseconds,8:F3} ms {count / Passes,5} x  {Short(kernel)}");
        }
        Console.WriteLine($"  {total,8:F3} ms in {kernels.Sum(k => k.Value.Count) / Passes} kernels; best whole pass {whole:F2} ms");
    }

    /// <summary>Type names without namespaces and arity.</summary>
    private static string Short(string name) => Noise().Replace(name, "");

    [GeneratedRegex(@"Mamba\.Core\.[\w.]*\.|`\d|\w+\+")]
    private static partial Regex Noise();
}
