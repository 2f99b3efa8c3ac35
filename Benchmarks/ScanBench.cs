using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>
/// Selective scans of the zoo and one of VMamba's size, 16 states, in both schedules. Counted: three multiply-adds a state update.
/// </summary>
public class ScanBench : OperatorBench
{
    private const int States = 16;
    private const int IndexOfA = 2;

    public override IEnumerable<OperatorCase> Cases =>
        from schedule in new[] { ScanSchedule.Sequential, ScanSchedule.Chunked }
        from scan in new[]
        {
            Scan("ul-vm-unet", 4, 1024, 12, schedule), Scan("ul-vm-unet encoder6", 4, 64, 24, schedule),
            Scan("umambabot", 1, 256, 1024, schedule), Scan("vim", 1, 65, 336, schedule),
            Scan("vim backwards, 64 images", 64, 65, 336, schedule, reverse: true), Scan("vmamba", 1, 1024, 336, schedule),
            Scan("a lone block", 1, 4096, 16, schedule),
        }
        select scan;

    /// <summary>A is negative.</summary>
    protected override Tensor Input(int index, int[] shape)
    {
        Tensor tensor = base.Input(index, shape);
        if (index == IndexOfA) foreach (ref float x in tensor.Span) x -= 1f;
        return tensor;
    }

    private static OperatorCase Scan(string name, int batch, int length, int channels, ScanSchedule schedule, bool reverse = false) => new(
        $"{name}: {batch} x {length} x {channels}, {schedule.ToString().ToLowerInvariant()}",
        x =>
        {
            ScanOptions all = new() { D = x[5], Z = x[6], DeltaBias = x[7], DeltaSoftplus = true };
            return Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], all with { Schedule = schedule, Reverse = reverse }).Output;
        },
        [batch, length, channels], [batch, length, channels], [channels, States], [batch, length, States], [batch, length, States],
        [channels], [batch, length, channels], [channels]);
}
