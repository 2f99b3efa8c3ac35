using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Verification;

// State-space duality, the gated norm, and the Mamba-2 block: they have PyTorch's layout already.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_duality = new()
    {
        ["ssd"] = StateSpaceDuality,
        ["rms_norm_gated"] = c => [RmsNormGated(c)],
        ["mamba2"] = c => [Mamba2Block(c)],
    };

    private static Tensor[] StateSpaceDuality(GoldenCase c)
    {
        _ = c.Int("chunk", 0); // a hint: the result does not depend on it
        DualityOptions options = new()
        {
            D = c.Optional("D"),
            Z = c.Optional("z"),
            DeltaBias = c.Optional("dt_bias"),
            DeltaSoftplus = c.Bool("softplus"),
            DtLimit = Limits(c),
            InitialState = c.Optional("initial_states"),
        };
        (Tensor y, Tensor last) = Ops.StateSpaceDuality(c.In("x"), c.In("dt"), c.In("A"), c.In("B"), c.In("C"), options);
        return [y, last];
    }

    private static (float Low, float High)? Limits(GoldenCase c) => c.Numbers("dt_limit") switch
    {
        null => null,
        [double low, double high] => ((float)low, (float)high),
        _ => throw new UnsupportedCaseException("dt_limit: expected two numbers"),
    };

    private static Tensor RmsNormGated(GoldenCase c) => Ops.RmsNormGated(
        c.In("x"), c.In("weight"), c.Optional("z"), new GatedNormOptions
        {
            Eps = Epsilon(c),
            GroupSize = c.Number("group_size") is { } size ? (int)size : null,
            NormBeforeGate = c.Bool("norm_before_gate"),
        });

    private static Tensor Mamba2Block(GoldenCase c)
    {
        _ = c.Int("chunk_size", 0);
        Mamba2Config config = new(
            c.Int("d_model"), c.Int("d_state", 128), c.Int("d_conv", 4), c.Int("expand", 2), c.Int("headdim", 64), c.Int("ngroups", 1))
        {
            DHasHeadDim = c.Bool("D_has_hdim"),
            RmsNorm = c.Bool("rmsnorm", true),
            NormBeforeGate = c.Bool("norm_before_gate"),
            DtLimit = Limits(c) ?? (0f, float.PositiveInfinity),
            Bias = c.Bool("bias"),
            ConvBias = c.Bool("conv_bias", true),
            Eps = Epsilon(c),
        };
        ParameterStore parameters = new();
        Mamba2Mixer mixer = new(new Scope(parameters), config);
        foreach ((string name, Tensor parameter) in parameters.All) c.Load(name, parameter);
        return mixer.Forward(c.In("x"));
    }
}
