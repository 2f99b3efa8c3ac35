using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Reductions, softmax and order over the dimensions that models have.</summary>
public class ReductionBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        new("bridge: Mean of rows, 128x128 x 8", x => Ops.Mean(x[0], [-1], keepDim: true), [1, 128, 128, 8]),
        new("bridge: Max of rows, 128x128 x 8", x => Ops.Max(x[0], [-1], keepDim: true), [1, 128, 128, 8]),
        new("vit: Mean of tokens, 64 x 65 x 168", x => Ops.Mean(x[0], [1]), [64, 65, 168]),
        new("Sum of all, 256x256 x 64", x => Ops.Sum(x[0]), [1, 256, 256, 64]),
        new("Var of pixels, 128x128 x 64", x => Ops.Var(x[0], [1, 2]), [1, 128, 128, 64]),
        new("LogSumExp of rows, 4096 x 256", x => Ops.LogSumExp(x[0], [-1]), [4096, 256]),
        new("Normalize rows, 4096 x 256", x => Ops.Normalize(x[0]), [4096, 256]),
        new("Softmax of channels first, 8 x 21 x 4096", x => Ops.Softmax(x[0], axis: 1), [8, 21, 4096]),
        new("CumSum of tokens, 8 x 1024 x 64", x => Ops.CumSum(x[0], 1), [8, 1024, 64]),
        new("TopK 5 of 64 x 1000", x => Ops.TopK(x[0], 5).Values, [64, 1000]),
    ];
}
