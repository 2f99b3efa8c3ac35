using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>
/// The scan of Mamba-3 beside that of Mamba-1, with the same inner width D = H P and the same N, and skip and gate in both. Counted: the
/// multiply-adds of each, so compare times.
/// </summary>
public class Mamba3Bench : OperatorBench
{
    private const int IndexOfSteps = 1, IndexOfDecays = 2, HeadWidth = 64;

    public override IEnumerable<OperatorCase> Cases =>
    [
        Mamba3(2, 1024, 8, 64), Mamba1(2, 1024, 512, 64), Mamba3(1, 4096, 24, 128), Mamba3(8, 1, 24, 128),
    ];

    /// <summary>Steps are positive, decays negative.</summary>
    protected override Tensor Input(int index, int[] shape)
    {
        Tensor tensor = base.Input(index, shape);
        float added = index switch { IndexOfSteps => 0.5f, IndexOfDecays => -0.6f, _ => 0f };
        foreach (ref float x in tensor.Span) x += added;
        return tensor;
    }

    private static OperatorCase Mamba3(int batch, int length, int heads, int states) => new(
        $"Mamba-3: {batch} x {length} x {heads} heads of {HeadWidth}, N {states}",
        x =>
        {
            Mamba3Inputs inputs = new()
            {
                V = x[0],
                Dt = x[1],
                Adt = x[2],
                Q = x[3],
                K = x[4],
                Trap = x[5],
                QBias = x[6],
                KBias = x[7],
                Angles = x[8],
            };
            return Ops.Mamba3Scan(inputs, new() { D = x[9], Z = x[10] }).Output;
        },
        [batch, length, heads, HeadWidth], [batch, length, heads], [batch, length, heads], [batch, length, 1, states],
        [batch, length, 1, states], [batch, length, heads], [heads, states], [heads, states], [batch, length, 1, states / 4], [heads],
        [batch, length, heads, HeadWidth]);

    private static OperatorCase Mamba1(int batch, int length, int channels, int states) => new(
        $"Mamba-1: {batch} x {length} x {channels}, N {states}",
        x => Ops.SelectiveScan(x[0], x[1], x[2], x[3], x[4], new() { D = x[5], Z = x[6] }).Output,
        [batch, length, channels], [batch, length, channels], [channels, states], [batch, length, states], [batch, length, states],
        [channels], [batch, length, channels]);
}
