using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Models.Measurement;

/// <summary>How fast a model is here.</summary>
/// <param name="Step">What was measured.</param>
/// <param name="Threads">Threads that took part.</param>
/// <param name="Isa">The vector width.</param>
/// <param name="Operations">Floating-point operations of a step, see <see cref="ModelStep.Operations"/>.</param>
/// <param name="Times">What the steps took.</param>
public sealed record ModelMeasurement(StepConfig Step, int Threads, VectorWidth Isa, double Operations, PassTimes Times)
{
    /// <summary>Images a second, by the median.</summary>
    public double ImagesPerSecond => Step.Batch * 1e3 / Times.Median;

    /// <summary>GFLOP/s, by the median.</summary>
    public double Gigaflops => Operations / Times.Median / 1e6;

    /// <summary><see cref="Gigaflops"/> over the median of the FMA peaks that were measured between the steps.</summary>
    public double PeakShare => Gigaflops / Times.MedianPeak;

    /// <summary>Measures a model on <see cref="Workers.Count"/> threads. What models before it needed goes back to the system first.</summary>
    /// <param name="config">What a step is.</param>
    /// <param name="seconds">How long to repeat it, see <see cref="PassTimes.Measure"/>.</param>
    /// <param name="stop">Ends it between two steps.</param>
    /// <returns>The figures.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static ModelMeasurement Of(StepConfig config, double seconds, CancellationToken stop = default)
    {
        MemoryScope.Trim();
        ModelStep step = new(config);
        PassTimes times = PassTimes.Measure(step.Run, seconds, stop);
        return new ModelMeasurement(config, Workers.Count, Core.Simd.Isa.Current, step.Operations, times);
    }
}
