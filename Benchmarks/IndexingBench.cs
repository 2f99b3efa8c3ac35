using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Rows and numbers by their places, and choices between two.</summary>
public class IndexingBench : OperatorBench
{
    private static readonly int[] s_places = [.. Enumerable.Range(0, 4096).Select(i => i * 7919 % 8192)];

    public override IEnumerable<OperatorCase> Cases =>
    [
        new("Embedding of 4096 tokens, 8192 x 256", x => Ops.Embedding(x[0], s_places), [8192, 256]),
        new("Gather 4096 x 64 of 4096 x 256", x => Ops.Gather(x[0], 1, Tensor.Full(17f, 4096, 64)), [4096, 256]),
        new("Where 256x256 x 64", x => Ops.Where(Tensor.Full(1f, 256, 1, 64), x[0], x[1]), [256, 256, 64], [256, 256, 64]),
        new("SwiGlu 4096 x 1024", x => Ops.SwiGlu(x[0]), [4096, 1024]),
        new("Divide 256x256 x 64 by rows' numbers", x => x[0] / x[1], [256, 256, 64], [256, 256, 1]),
    ];
}
