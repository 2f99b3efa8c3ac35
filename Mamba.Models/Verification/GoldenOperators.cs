using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Verification;

/// <summary>
/// The operators by the names that golden files use. Inputs come, and results go, in PyTorch's layout; what lies between is channels last, and the
/// exchange is a recorded <see cref="Ops.Permute"/>, so that gradients come back in PyTorch's layout by themselves.
/// </summary>
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_base = new()
    {
        ["activation"] = c => [Activation(c)(c.In("x"))],
        ["softmax"] = c => [AlongLast(c, Ops.Softmax)],
        ["log_softmax"] = c => [AlongLast(c, Ops.LogSoftmax)],
        ["linear"] = c => [Ops.Linear(c.In("x"), c.In("weight"), c.Optional("bias"))],
        ["matmul"] = c => [Ops.MatMul(c.In("a"), c.In("b"))],
        ["rms_norm"] = c => [Ops.RmsNorm(c.In("x"), c.Optional("weight") ?? Ones(c.In("x").Shape[-1]), c.Float("eps", 1e-5f))],
        ["loss"] = c => [Loss(c)],
        ["cross_entropy"] = c => [CrossEntropy(c)],
        ["multihead_attention"] = c => [MultiheadAttention(c)],
        ["selective_scan"] = SelectiveScan,
        ["mamba"] = c => [MambaBlock(c)],
    };

    private static readonly Dictionary<string, Func<Tensor, Tensor>> s_activations = new()
    {
        ["exp"] = Ops.Exp,
        ["gelu"] = Ops.Gelu,
        ["gelu_tanh"] = Ops.GeluTanh,
        ["leaky_relu"] = Ops.LeakyRelu,
        ["relu"] = Ops.Relu,
        ["sigmoid"] = Ops.Sigmoid,
        ["silu"] = Ops.Silu,
        ["softplus"] = Ops.Softplus,
        ["tanh"] = Ops.Tanh,
    };

    private static readonly Dictionary<string, Func<GoldenCase, Tensor, Tensor, Tensor>> s_maskLosses = new()
    {
        ["bce"] = (c, prediction, target) =>
        {
            c.Only("input", "\"probabilities\"");
            return Ops.BinaryCrossEntropy(prediction, target);
        },
        ["bce_with_logits"] = (c, prediction, target) =>
        {
            c.Only("input", "\"logits\"");
            return Ops.BinaryCrossEntropyWithLogits(prediction, target);
        },
        ["dice"] = (c, prediction, target) =>
        {
            c.Only("input", "\"logits\"");
            c.Only("pooled", "\"batch\"");
            return Ops.DiceWithLogits(prediction, target, c.Float("smooth", 100f));
        },
        ["bce_dice"] = (c, prediction, target) =>
        {
            c.Only("input", "\"probabilities\"");
            c.Only("pooled", "\"image\"");
            return Ops.BceDice(prediction, target, c.Float("smooth", 1f), c.Float("bce_weight", 1f), c.Float("dice_weight", 1f));
        },
    };

    /// <summary>Runs the operator of a case.</summary>
    /// <returns>out.0, out.1, ... in PyTorch's layout.</returns>
    /// <exception cref="UnsupportedCaseException">The operator, or something asked of it, is not implemented.</exception>
    /// <exception cref="ShapeException">The operator refuses its inputs.</exception>
    public static Tensor[] Run(GoldenCase c)
    {
        Func<GoldenCase, Tensor[]> run = Find(c.Operator) ?? throw new UnsupportedOperatorException(c.Operator);
        Tensor[] outputs = run(c);
        c.RequireAllRead();
        return outputs;
    }

    private static Func<GoldenCase, Tensor[]>? Find(string name)
    {
        foreach (Dictionary<string, Func<GoldenCase, Tensor[]>> family in (ReadOnlySpan<Dictionary<string, Func<GoldenCase, Tensor[]>>>)
            [s_images, s_elementwise, s_reductions, s_products, s_losses, s_training, s_base])
            if (family.TryGetValue(name, out Func<GoldenCase, Tensor[]>? run)) return run;
        return null;
    }

    private static Func<Tensor, Tensor> Activation(GoldenCase c)
    {
        string name = c.Text("activation") ?? c.Text("name") ?? c.StartOfName(s_activations.Keys);
        if (name == "gelu" && c.Text("approximate") == "tanh") name = "gelu_tanh";
        c.Only("negative_slope", "0.01");
        return s_activations.TryGetValue(name, out Func<Tensor, Tensor>? activation) ? activation : throw new UnsupportedCaseException($"unknown activation '{name}'");
    }

    private static Tensor AlongLast(GoldenCase c, Func<Tensor, Tensor> op)
    {
        Tensor x = c.In("x");
        int rank = x.Shape.Rank, dimension = c.Int("dim", -1);
        if (dimension < 0) dimension += rank;
        if ((uint)dimension >= (uint)rank) throw new UnsupportedCaseException($"{c.Operator}: dim {c.Int("dim", -1)} of {x.Shape}");
        if (dimension == rank - 1) return op(x);
        int[] exchange = [.. Enumerable.Range(0, rank)]; // its own inverse
        (exchange[dimension], exchange[^1]) = (rank - 1, dimension);
        return Ops.Permute(op(Ops.Permute(x, exchange)), exchange);
    }

    private static Tensor Loss(GoldenCase c) => s_maskLosses[c.StartOfName(s_maskLosses.Keys)](c, c.In("pred"), c.In("target"));

    private static Tensor CrossEntropy(GoldenCase c)
    {
        c.Only("reduction", "\"mean\"");
        Tensor logits = ChannelsLast(c.In("logits")); // (B, Classes) or (B, ..., Classes)
        int[] target = Array.ConvertAll(c.In("target").Span.ToArray(), t => (int)t);
        return Ops.CrossEntropy(logits.Reshape(-1, logits.Shape[-1]), target, c.Float("label_smoothing", 0f));
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

    private static Tensor[] SelectiveScan(GoldenCase c)
    {
        Tensor b = c.In("B"), matrix = c.In("C");
        int groups = c.Int("groups", 0); // 0: one for all channels, without a dimension of its own
        if (groups != (b.Shape.Rank == 4 ? b.Shape[1] : 0)) throw new UnsupportedCaseException($"selective_scan: groups = {groups} with B {b.Shape}");
        Tensor? z = c.Optional("z");
        (Tensor y, Tensor state) = Ops.SelectiveScan(
            ChannelsLast(c.In("u")), ChannelsLast(c.In("delta")), c.In("A"), TokensFirst(b), TokensFirst(matrix), c.Optional("D"),
            z is { } gate ? ChannelsLast(gate) : null, c.Optional("delta_bias"), c.Bool("delta_softplus"), c.Optional("initial_state"));
        return [ChannelsFirst(y), state];
    }

    private static Tensor MambaBlock(GoldenCase c)
    {
        MambaConfig config = new(c.Int("d_model"), c.Int("d_state", 16), c.Int("d_conv", 4), c.Int("expand", 2))
        {
            Bidirectional = c.Bool("bidirectional"),
            DivideOut = c.Bool("divide_out"),
        };
        ParameterStore parameters = new();
        MambaMixer mixer = new(new Scope(parameters), config);
        foreach ((string name, Tensor parameter) in parameters.All) c.Load(name, parameter);
        return mixer.Forward(c.In("x"));
    }

    private static Tensor Ones(int count) => Tensor.Full(1f, count);

    /// <summary>An operator of the input x, (B, C, ...), that works channels last.</summary>
    private static Tensor Image(GoldenCase c, Func<Tensor, Tensor> op) => ChannelsFirst(op(ChannelsLast(c.In("x"))));

    /// <summary>(B, C, ...) to (B, ..., C).</summary>
    private static Tensor ChannelsLast(Tensor x) => x.Shape.Rank < 3 ? x : Ops.Permute(x, [0, .. Enumerable.Range(2, x.Shape.Rank - 2), 1]);

    /// <summary>(B, ..., C) to (B, C, ...).</summary>
    private static Tensor ChannelsFirst(Tensor x) => x.Shape.Rank < 3 ? x : Ops.Permute(x, [0, x.Shape.Rank - 1, .. Enumerable.Range(1, x.Shape.Rank - 2)]);

    /// <summary>(B, N, L) to (B, L, N), and (B, G, N, L) to (B, L, G, N).</summary>
    private static Tensor TokensFirst(Tensor x) => ChannelsFirst(x);
}
