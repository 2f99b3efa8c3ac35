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
        ["scaled_dot_product_attention"] = c => [ByHeads(
            c, (q, k, v, heads) => Ops.Attention(q, k, v, heads, new AttentionOptions { Causal = c.Bool("causal"), Scale = Scale(c) },
                c.Optional("mask")))],
        ["favor_attention"] = c => [ByHeads(c, (q, k, v, heads) => Ops.FavorAttention(q, k, v, c.In("projection"), heads, Favor(c)))],
        ["rotary_embedding"] = c => [Rotary(c)],
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
        AttentionOptions options = new() { Causal = c.Bool("causal") };
        Tensor y = Ops.Attention(Project(query, 0), Project(key, 1), Project(value, 2), c.Int("heads"), options);
        return Ops.Linear(y, c.In("out_weight"), c.Optional("out_bias"));

        Tensor Source(string name) => c.Optional(name) ?? c.Optional("kv") ?? query;
        Tensor Project(Tensor x, int part) =>
            Ops.Linear(x, Ops.Slice(weight, 0, part * width, width), bias is { } all ? Ops.Slice(all, 0, part * width, width) : null);
    }

    private static float? Scale(GoldenCase c) => c.Float("scale", float.NaN) is var scale && float.IsNaN(scale) ? null : scale;

    private static FavorOptions Favor(GoldenCase c) => new()
    {
        Kernel = c.Text("kernel") switch
        {
            "softmax" or null => FavorKernel.Softmax,
            "relu" => FavorKernel.Relu,
            string other => throw new UnsupportedCaseException($"favor_attention: kernel = {other}"),
        },
        Causal = c.Bool("causal"),
        Epsilon = c.Float("eps", float.NaN) is var eps && float.IsNaN(eps) ? null : eps,
        NormEpsilon = c.Float("norm_eps", 1e-6f),
    };

    /// <summary>An attention of q, k and v by heads, (B, Heads, L, D), which the operators have side by side, (B, L, Heads D).</summary>
    private static Tensor ByHeads(GoldenCase c, Func<Tensor, Tensor, Tensor, int, Tensor> attention)
    {
        int heads = c.In("q").Shape[1], width = c.In("v").Shape[3];
        Tensor y = attention(Joined("q"), Joined("k"), Joined("v"), heads);
        return Ops.Permute(y.Reshape(y.Shape[0], y.Shape[1], heads, width), 0, 2, 1, 3);

        Tensor Joined(string name)
        {
            Tensor x = Ops.Permute(c.In(name), 0, 2, 1, 3);
            return x.Reshape(x.Shape[0], x.Shape[1], x.Shape[2] * x.Shape[3]);
        }
    }

    private static Tensor Rotary(GoldenCase c)
    {
        Tensor x = c.In("x"); // (..., L, D): the heads of images are sequences of their own
        RotaryOptions options = new() { Interleaved = c.Bool("interleaved"), Base = c.Float("base", 10_000f) };
        return Ops.RotaryEmbedding(x.Reshape(-1, x.Shape[-2], x.Shape[-1]), 1, options).Reshape(x.Shape);
    }
}
