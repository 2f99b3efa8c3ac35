using Mamba.Core;

namespace Mamba.Models.Verification;

// Lookup, scatter and rearrangement along axes. Axes are those of PyTorch, whose layout stays.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_indexing = new()
    {
        ["embedding"] = c =>
            [Ops.Embedding(c.In("weight"), c.In("indices"), c.Number("padding_idx") is null ? null : c.Int("padding_idx"))],
        ["gather"] = c => [Ops.Gather(c.In("x"), c.Int("dim"), c.In("index"))],
        ["index_select"] = c => [Ops.IndexSelect(c.In("x"), c.Int("dim"), Array.ConvertAll(c.In("index").Span.ToArray(), i => (int)i))],
        ["scatter_add"] = c => [Ops.ScatterAdd(c.In("x"), c.Int("dim"), c.In("index"), c.In("src"))],
        ["roll"] = c => [Ops.Roll(c.In("x"), c.Integers("shifts"), c.Integers("dims"))],
        ["flip"] = c => [c.Integers("dims").Aggregate(c.In("x"), Ops.Flip)],
        ["repeat_interleave"] = c => [Ops.RepeatInterleave(c.In("x"), c.Int("repeats"), c.Int("dim"))],
    };
}
