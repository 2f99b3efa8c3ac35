using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Verification;

// Mamba-3, one input and one output a head: the scan and the block.
internal static partial class GoldenOperators
{
    private static readonly Dictionary<string, Func<GoldenCase, Tensor[]>> s_mamba3 = new()
    {
        ["mamba3_siso"] = Mamba3Scan,
        ["mamba3.block"] = Mamba3Block,
    };

    private static Tensor[] Mamba3Scan(GoldenCase c)
    {
        c.Int("chunk", 0); // the result does not depend on it
        Mamba3Inputs inputs = new()
        {
            Q = c.In("Q"),
            K = c.In("K"),
            V = c.In("V"),
            Adt = TimeFirst(c.In("ADT")),
            Dt = TimeFirst(c.In("DT")),
            Trap = TimeFirst(c.In("Trap")),
            QBias = c.In("Q_bias"),
            KBias = c.In("K_bias"),
            Angles = c.In("Angles"),
        };
        Mamba3Memory? initial = c.Has("SSM_State")
            ? new Mamba3Memory(c.In("Angle_State"), SwapStates(c.In("SSM_State")), c.In("K_State"), c.In("V_State"))
            : null;
        (Tensor y, Mamba3Memory last) = Ops.Mamba3Scan(inputs, new() { D = c.Optional("D"), Z = c.Optional("Z"), Initial = initial });
        return [y, last.Angles, SwapStates(last.Ssm), last.Key, last.Value];
    }

    private static Tensor[] Mamba3Block(GoldenCase c)
    {
        c.Only("is_mimo", "false");
        c.Int("chunk_size", 0); // the result does not depend on it
        Mamba3Config config = new(
            c.Int("d_model"), c.Int("d_state", 128), c.Int("expand", 2), c.Int("headdim", 64), c.Int("ngroups", 1))
        {
            RopeFraction = c.Number("rope_fraction") ?? 0.5,
            AFloor = c.Number("A_floor") ?? 1e-4,
            IsOutprojNorm = c.Bool("is_outproj_norm"),
            Eps = c.Number("eps") ?? 1e-5,
        };
        ParameterStore parameters = new();
        Mamba3Mixer mixer = new(new Scope(parameters), config);
        foreach ((string name, Tensor parameter) in parameters.All) c.Load(name, parameter);
        string states = c.Text("states") ?? "none";
        if (states is not ("none" or "out" or "in and out")) throw new UnsupportedCaseException($"{c.Operator}: states '{states}'");
        if (states == "none") return [mixer.Forward(c.In("x"))];
        Mamba3Memory? initial = null;
        if (states == "in and out")
        {
            Tensor key = c.In("k_state");
            initial = new Mamba3Memory(
                c.In("angle_state"), SwapStates(c.In("ssm_state")), key.Reshape(key.Shape[0], key.Shape[2], key.Shape[3]), c.In("v_state"));
        }
        (Tensor y, Mamba3Memory last) = mixer.ForwardFrom(c.In("x"), initial);
        Shape keys = last.Key.Shape;
        return [y, last.Angles, SwapStates(last.Ssm), last.Key.Reshape(keys[0], 1, keys[1], keys[2]), last.Value];
    }

    /// <summary>(B, H, L) to (B, L, H).</summary>
    private static Tensor TimeFirst(Tensor x) => Ops.Permute(x, 0, 2, 1);

    /// <summary>(B, H, P, N) to (B, H, N, P), and back.</summary>
    private static Tensor SwapStates(Tensor x) => Ops.Permute(x, 0, 1, 3, 2);
}
