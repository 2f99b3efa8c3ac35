using Mamba.Core;

namespace Mamba.Models.Verification;

// Products of matrices and attention.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_products = new()
    {
        ["linear"] = c => [Ops.Linear(c.In("x"), c.In("weight"), c.Optional("bias"))],
        ["matmul"] = c => [Ops.MatMul(c.In("a"), c.In("b"))],
        ["einsum"] = c => [Einsum(c)],
        ["multihead_attention"] = c => [MultiheadAttention(c)],
    };

    private static Tensor Einsum(GoldenCase c)
    {
        string equation = c.Text("equation") ?? throw new UnsupportedCaseException("einsum: attribute 'equation' is missing");
        return c.Has("b") ? Ops.Einsum(equation, c.In("a"), c.In("b")) : Ops.Einsum(equation, c.In("a"));
    }

    private static Tensor MultiheadAttention(GoldenCase c)
    {
        Tensor weight = c.In("in_proj_weight"); // (3 E, E)
        Tensor? bias = c.Optional("in_proj_bias");
        int width = weight.Shape[0] / 3;
        Tensor query = c.In(c.Has("q") ? "q" : "x"), key = Source("k"), value = Source("v");
        Tensor y = Ops.Attention(Project(query, 0), Project(key, 1), Project(value, 2), c.Int("heads"));
        return Ops.Linear(y, c.In("out_weight"), c.Optional("out_bias"));

        Tensor Source(string name) => c.Optional(name) ?? c.Optional("kv") ?? query;
        Tensor Project(Tensor x, int part) =>
            Ops.Linear(x, Ops.Slice(weight, 0, part * width, width), bias is { } all ? Ops.Slice(all, 0, part * width, width) : null);
    }
}
