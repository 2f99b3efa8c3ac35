using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Sums and products, with the broadcasting that the zoo has.</summary>
public class ElementwiseBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        new("residual in cache: 64x64 x 16 + the same", x => Ops.Add(x[0], x[1]), [1, 64, 64, 16], [1, 64, 64, 16]),
        new("residual in memory: 256x256 x 64 + the same", x => Ops.Add(x[0], x[1]), [1, 256, 256, 64], [1, 256, 256, 64]),
        new("positions: 64 x 65 x 168 + 65 x 168", x => Ops.Add(x[0], x[1]), [64, 65, 168], [1, 65, 168]),
        new("difference: 64x64 x 16 - the same", x => Ops.Subtract(x[0], x[1]), [1, 64, 64, 16], [1, 64, 64, 16]),
        new("spatial attention: 128x128 x 8 times a pixel's number", x => Ops.Multiply(x[0], x[1]), [2, 128, 128, 8], [2, 128, 128, 1]),
        new("channel attention: 128x128 x 8 times a channel's number", x => Ops.Multiply(x[0], x[1]), [2, 128, 128, 8], [2, 1, 1, 8]),
        new("skip_scale: 4 x 1024 x 6 times one number", x => Ops.Multiply(x[0], x[1]), [4, 1024, 6], [1]),
        new("a constant times 4160 x 168", x => Ops.Scale(x[0], 0.5f), [4160, 168]),
    ];
}
