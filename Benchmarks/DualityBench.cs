using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>
/// State-space duality beside the selective scan of the same width and 64 states, at Mamba-2's own sizes, and for one token.
/// </summary>
public class DualityBench : OperatorBench
{
    private const int IndexOfA = 2;

    public override IEnumerable<OperatorCase> Cases =>
    [
        Scan(1, 4096, 1024, 64), Duality("like the scan", 1, 4096, 16, 64, 64), Duality("mamba2-130m", 1, 1024, 24, 64, 128),
        Duality("mamba2-130m, a token", 1, 1, 24, 64, 128), Duality("small heads, a batch", 16, 196, 12, 16, 16),
    ];

    /// <summary>A is negative.</summary>
    protected override Tensor Input(int index, int[] shape)
    {
        Tensor tensor = base.Input(index, shape);
        if (index == IndexOfA) foreach (ref float x in tensor.Span) x -= 1f;
        return tensor;
    }

    private static OperatorCase Duality(string name, int batch, int length, int heads, int width, int states) => new(
        $"{name}: {batch} x {length}, {heads} heads of {width}, {states} states",
        x => Ops.StateSpaceDuality(x[0], x[1], x[2], x[3], x[4], new() { D = x[5], DeltaBias = x[6], DeltaSoftplus = true }).Output,
        [batch, length, heads, width], [batch, length, heads], [heads], [batch, length, 1, states], [batch, length, 1, states],
        [heads], [heads]);

    private static OperatorCase Scan(int batch, int length, int channels, int states) => new(
        $"selective scan: {batch} x {length} x {channels}, {states} states",
        x => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], new() { D = x[5], DeltaBias = x[6], DeltaSoftplus = true }).Output,
        [batch, length, channels], [batch, length, channels], [channels, states], [batch, length, states], [batch, length, states],
        [channels], [channels]);
}
