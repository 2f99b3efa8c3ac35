using System.Diagnostics;
using System.Text.RegularExpressions;
using Mamba.Core;
using Mamba.Core.Simd;

namespace Mamba.Benchmarks;

/// <summary>Where the time of a model goes: medians of whole passes with the FMA peak of the same run beside them, then milliseconds by kernel.</summary>
internal static partial class Profile
{
    private const int Passes = 15;

    public static void Run(string model, int size, int batch)
    {
        Console.WriteLine($"{model} {size}x{size}, {Workers.Count} threads, {Isa.Current}");
        ModelStep inference = new(model, size, 1), training = new(model, size, batch);
        Report("inference, 1 image", inference.Infer, 1, inference.ForwardFlops);
        Report($"training, {batch} images", training.Train, batch, 3 * training.ForwardFlops);
    }

    private static void Report(string name, Action pass, int images, double flops)
    {
        long warm = Stopwatch.GetTimestamp();
        for (int i = 0; i < 5 || Stopwatch.GetElapsedTime(warm).TotalSeconds < 2; i++) pass(); // until the runtime has compiled everything for good
        // The peak is measured between the passes: what slows the machine down slows both.
        double[] milliseconds = new double[Passes], peaks = new double[Passes];
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < Passes; i++)
        {
            long start = Stopwatch.GetTimestamp();
            pass();
            milliseconds[i] = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            peaks[i] = Roofline.FmaPeak(rounds: 40_000, runs: 1);
        }
        allocated = (GC.GetAllocatedBytesForCurrentThread() - allocated) / Passes;
        Array.Sort(milliseconds);
        Array.Sort(peaks);
        double median = milliseconds[Passes / 2], peak = peaks[Passes / 2];
        Console.WriteLine(
            $"{name}: {median:F2} ms (best {milliseconds[0]:F2}), {images * 1e3 / median:F1} images/s, {flops / median / 1e6:F1} GFLOP/s = {flops / median / 1e6 / peak:P0} of the median FMA peak {peak:F0}; best of best {flops / milliseconds[0] / 1e6 / peaks[^1]:P0} of {peaks[^1]:F0}; "
            + $"{allocated} bytes allocated a pass");
        Kernels(pass, milliseconds[0]);
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
