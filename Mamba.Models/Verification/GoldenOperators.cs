using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Verification;

/// <summary>
/// The operators by the names that golden files use. Inputs come, and results go, in PyTorch's layout; what lies between is channels last,
/// and the exchange is a recorded <see cref="Ops.Permute"/>, so that gradients come back in PyTorch's layout by themselves.
/// </summary>
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_base = new()
    {
        ["rms_norm"] = c => [Ops.RmsNorm(c.In("x"), c.Optional("weight") ?? Ones(c.In("x").Shape[-1]), c.Float("eps", 1e-5f))],
        ["selective_scan"] = SelectiveScan,
        ["mamba"] = c => [MambaBlock(c)],
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

    private static Tensor[] SelectiveScan(GoldenCase c)
    {
        Tensor b = c.In("B"), matrix = c.In("C");
        int groups = c.Int("groups", 0); // 0: one for all channels, without a dimension of its own
        if (groups != (b.Shape.Rank == 4 ? b.Shape[1] : 0))
            throw new UnsupportedCaseException($"selective_scan: groups = {groups} with B {b.Shape}");
        ScanOptions options = new()
        {
            D = c.Optional("D"),
            Z = c.Optional("z") is { } gate ? ChannelsLast(gate) : null,
            DeltaBias = c.Optional("delta_bias"),
            DeltaSoftplus = c.Bool("delta_softplus"),
            InitialState = c.Optional("initial_state"),
        };
        (Tensor y, Tensor state) = Ops.SelectiveScan(
            ChannelsLast(c.In("u")), ChannelsLast(c.In("delta")), c.In("A"), TokensFirst(b), TokensFirst(matrix), options);
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
    private static Tensor ChannelsFirst(Tensor x) =>
        x.Shape.Rank < 3 ? x : Ops.Permute(x, [0, x.Shape.Rank - 1, .. Enumerable.Range(1, x.Shape.Rank - 2)]);

    /// <summary>(B, N, L) to (B, L, N), and (B, G, N, L) to (B, L, G, N).</summary>
    private static Tensor TokensFirst(Tensor x) => ChannelsFirst(x);
}
