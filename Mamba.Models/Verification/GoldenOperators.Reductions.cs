using Mamba.Core;

namespace Mamba.Models.Verification;

// Reductions and order along axes. Axes are those of PyTorch, whose layout stays.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_reductions = new()
    {
        ["sum"] = c => [Ops.Sum(c.In("x"), c.Integers("dims"), c.Bool("keepdim"))],
        ["mean"] = c => [Ops.Mean(c.In("x"), c.Integers("dims"), c.Bool("keepdim"))],
        ["max"] = c => [Ops.Max(c.In("x"), c.Integers("dims"), c.Bool("keepdim"))],
        ["min"] = c => [Ops.Min(c.In("x"), c.Integers("dims"), c.Bool("keepdim"))],
        ["prod"] = c => [Ops.Prod(c.In("x"), c.Integers("dims"), c.Bool("keepdim"))],
        ["var"] = c => [Ops.Var(c.In("x"), c.Integers("dims"), c.Bool("keepdim"), c.Bool("unbiased", true))],
        ["std"] = c => [Ops.Std(c.In("x"), c.Integers("dims"), c.Bool("keepdim"), c.Bool("unbiased", true))],
        ["logsumexp"] = c => [Ops.LogSumExp(c.In("x"), c.Integers("dims"), c.Bool("keepdim"))],
        ["norm"] = c => [Ops.Norm(c.In("x"), c.Float("p", 2f), c.Integers("dims"), c.Bool("keepdim"))],
        ["normalize"] = c => [Ops.Normalize(c.In("x"), c.Int("dim", -1), c.Float("eps", 1e-12f))],
        ["argmax"] = c => [Ops.ArgMax(c.In("x"), c.Int("dim", -1))],
        ["argmin"] = c => [Ops.ArgMin(c.In("x"), c.Int("dim", -1))],
        ["topk"] = c => Both(Ops.TopK(c.In("x"), c.Int("k"), c.Int("dim", -1), c.Bool("largest", true))),
        ["sort"] = c => Both(Ops.Sort(c.In("x"), c.Int("dim", -1), c.Bool("descending"))),
        ["cumsum"] = c => [Ops.CumSum(c.In("x"), c.Int("dim", -1), c.Bool("reverse"))],
        ["cosine_similarity"] = c => [CosineSimilarity(c)],
    };

    private static Tensor[] Both((Tensor Values, Tensor Indices) result) => [result.Values, result.Indices];

    private static Tensor CosineSimilarity(GoldenCase c)
    {
        Tensor a = c.In("a"), b = c.In("b");
        if (c.Name.StartsWith("pairs", StringComparison.Ordinal)) // all pairs of rows: a[:, None] and b[None]
            (a, b) = (a.Reshape(a.Shape[0], 1, a.Shape[1]), b.Reshape(1, b.Shape[0], b.Shape[1]));
        return Ops.CosineSimilarity(a, b, c.Int("dim", -1), c.Float("eps", 1e-8f));
    }
}
