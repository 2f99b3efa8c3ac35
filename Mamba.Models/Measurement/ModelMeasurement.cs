using Mamba.Core;
using Mamba.Core.Measurement;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Models.Measurement;

/// <summary>The speed of a model on this machine.</summary>
/// <param name="Step">What was measured.</param>
/// <param name="Threads">The number of threads.</param>
/// <param name="Isa">The vector width.</param>
/// <param name="Operations">Floating-point operations of a step, see <see cref="ModelStep.Operations"/>.</param>
/// <param name="Times">The times of the steps.</param>
public sealed record ModelMeasurement(StepConfig Step, int Threads, VectorWidth Isa, double Operations, PassTimes Times)
{
    /// <summary>Exponentials of a forward pass, see <see cref="ModelStep.Exponentials"/>.</summary>
    public long Exponentials { get; init; }

    /// <summary>Images per second, by the median time.</summary>
    public double ImagesPerSecond => Step.Batch * 1e3 / Times.Median;

    /// <summary>GFLOP/s, by the median time.</summary>
    public double Gigaflops => Operations / Times.Median / 1e6;

    /// <summary><see cref="Gigaflops"/> over the median of the FMA peaks that were measured between the steps.</summary>
    public double PeakShare => Gigaflops / Times.MedianPeak;

    /// <summary>Measures a model on <see cref="Workers.Count"/> threads. Pooled memory of earlier models is released first.</summary>
    /// <param name="config">The configuration of a step.</param>
    /// <param name="seconds">The seconds to repeat it, see <see cref="PassTimes.Measure"/>.</param>
    /// <param name="stop">Ends it between two steps.</param>
    /// <returns>The figures.</returns>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static ModelMeasurement Of(StepConfig config, double seconds, CancellationToken stop = default)
    {
        MemoryScope.Trim();
        ModelStep step = new(config);
        PassTimes times = PassTimes.Measure(step.Run, seconds, stop);
        return new ModelMeasurement(config, Workers.Count, Core.Simd.Isa.Current, step.Operations, times)
        {
            Exponentials = step.Exponentials,
        };
    }
}
