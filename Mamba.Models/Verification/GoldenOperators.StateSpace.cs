using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Verification;

// The selective scan and the Mamba block.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_stateSpace = new()
    {
        ["selective_scan"] = SelectiveScan,
        ["mamba"] = c => [MambaBlock(c)],
    };

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

    /// <summary>(B, N, L) to (B, L, N), and (B, G, N, L) to (B, L, G, N).</summary>
    private static Tensor TokensFirst(Tensor x) => ChannelsFirst(x);
}
