using BenchmarkDotNet.Attributes;
using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Selective scans in both schedules, N = 16: VMamba-sized, U-Mamba-sized, and ul-vm-unet's four narrow sequences. Counted: three multiply-adds a state update.</summary>
public class ScanBench : OperatorBench
{
    private const int States = 16;

    // Batch, length, channels.
    [Params("1 512 1024", "1 1024 336", "4 1024 24")]
    public string Size { get; set; } = "1 1 1";

    [Params(ScanSchedule.Sequential, ScanSchedule.Chunked)]
    public ScanSchedule Schedule { get; set; }

    protected override double ForwardFlops => 6.0 * Number(0) * Number(1) * Number(2) * States;

    [GlobalSetup]
    public void Setup()
    {
        (int batch, int length, int channels) = (Number(0), Number(1), Number(2));
        Tensor a = Noise(channels, States);
        foreach (ref float x in a.Span) x = -1f - x;
        Prepare(
            x => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], deltaSoftplus: true, schedule: Schedule).Output,
            Noise(batch, length, channels), Noise(batch, length, channels), a, Noise(batch, length, States), Noise(batch, length, States), Noise(channels),
            Noise(batch, length, channels), Noise(channels));
    }

    private int Number(int i) => int.Parse(Size.Split(' ')[i]);
}
