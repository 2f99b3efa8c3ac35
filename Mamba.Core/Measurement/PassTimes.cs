using System.Diagnostics;
using System.Runtime;
using Mamba.Core.Memory;

namespace Mamba.Core.Measurement;

/// <summary>
/// The times of a repeated pass, and the FMA peak measured between repetitions. A busy machine slows both, so their ratio is stable when
/// neither is.
/// </summary>
public sealed class PassTimes
{
    private const int WantedRepetitions = 5;
    private const double PatienceFactor = 4;
    private const double QuietSeconds = 0.5;

    private readonly double[] _milliseconds;
    private readonly double[] _peaks;

    private PassTimes(List<double> milliseconds, List<double> peaks)
    {
        (_milliseconds, _peaks) = ([.. milliseconds.Order()], [.. peaks.Order()]);
    }

    /// <summary>The number of repetitions.</summary>
    public int Repetitions => _milliseconds.Length;

    /// <summary>The median, in milliseconds.</summary>
    public double Median => _milliseconds[_milliseconds.Length / 2];

    /// <summary>The shortest, in milliseconds.</summary>
    public double Min => _milliseconds[0];

    /// <summary>The median of the FMA peaks, in GFLOP/s.</summary>
    public double MedianPeak => _peaks[_peaks.Length / 2];

    /// <summary>The highest of the FMA peaks, in GFLOP/s.</summary>
    public double BestPeak => _peaks[^1];

    /// <summary>
    /// The peak resident memory of the process after a pass, in bytes. Buffers return to their pool, not to the system, so this includes
    /// the pass's peak, the runtime and all other live objects.
    /// </summary>
    public long PeakMemory { get; private init; }

    /// <summary>
    /// The peak bytes of tensors and scratch during a pass, in addition to what was allocated before: without weights, runtime and other
    /// objects.
    /// </summary>
    public long PassMemory { get; private init; }

    /// <summary>
    /// Repeats a pass for a given time, after a warm-up of at most half of it. A slow pass gets up to four times as long to reach five
    /// repetitions; a very slow one has fewer.
    /// </summary>
    /// <param name="pass">The pass to measure.</param>
    /// <param name="seconds">The measurement time.</param>
    /// <param name="stop">Ends the measurement between two passes.</param>
    /// <returns>The times of at least one pass.</returns>
    /// <exception cref="OperationCanceledException">The operation was canceled.</exception>
    public static PassTimes Measure(Action pass, double seconds, CancellationToken stop = default)
    {
        WarmUp(pass, seconds / 2, stop);
        List<double> milliseconds = [], peaks = [];
        BufferPool.ResetPeak();
        long memory = 0, before = BufferPool.Rented, start = Stopwatch.GetTimestamp();
        double elapsed;
        do
        {
            stop.ThrowIfCancellationRequested();
            long begin = Stopwatch.GetTimestamp();
            pass();
            milliseconds.Add(Stopwatch.GetElapsedTime(begin).TotalMilliseconds);
            peaks.Add(Roofline.FmaPeak(rounds: 40_000, runs: 1));
            memory = Math.Max(memory, Environment.WorkingSet);
            elapsed = Stopwatch.GetElapsedTime(start).TotalSeconds;
        }
        while (elapsed < seconds
            || (milliseconds.Count < WantedRepetitions && elapsed + milliseconds[^1] / 1e3 < PatienceFactor * seconds));
        return new PassTimes(milliseconds, peaks)
        {
            PeakMemory = memory,
            PassMemory = (BufferPool.Peak - before) * sizeof(float),
        };
    }

    /// <summary>
    /// Warms up until the runtime has finished compiling. It recompiles hot methods in the background, a tenth of a second after the last
    /// new method. So the warm-up ends after half a second without a compiled method.
    /// </summary>
    private static void WarmUp(Action pass, double most, CancellationToken stop)
    {
        long start = Stopwatch.GetTimestamp(), quiet = start, compiled = -1;
        do
        {
            stop.ThrowIfCancellationRequested();
            pass();
            long now = JitInfo.GetCompiledMethodCount();
            if (now != compiled) (compiled, quiet) = (now, Stopwatch.GetTimestamp());
        }
        while (Stopwatch.GetElapsedTime(start).TotalSeconds < most && Stopwatch.GetElapsedTime(quiet).TotalSeconds < QuietSeconds);
    }
}
