using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>
    /// Attentions with masks, causal order and scales, over several blocks of queries and over tensors seen as other shapes.
    /// </summary>
    public static OperatorCase[] AttentionForms =>
    [
        Attention("B Q E, B K E, B K V", "B=2 Q=150 K=150 E=34 V=34", new() { Causal = true }),
        Attention("B Q E, B K E, B K V", "B=2 Q=70 K=90 E=6 V=4", new() { Causal = true, Scale = -0.3f }),
        Attention("B Q E, B K E, B K V", "B=2 Q=90 K=70 E=6 V=6", new() { Causal = true, Scale = 0.5f }),
        Attention("B Q E, B K E, B K V", "B=2 Q=6 K=4 E=4 V=6", AttentionOptions.Default),
        Attention("B Q E, B K E, B K V", "B=2 Q=4 K=6 E=6 V=4", new() { Causal = true }),
        Attention("B Q E, B K E, B K V", "B=1 Q=300 K=200 E=4 V=6", AttentionOptions.Default),
        Attention("B Q E, B K E, B K V, Q K", "B=2 Q=9 K=9 E=18 V=18", new() { Causal = true }),
        Attention("B Q E, B K E, B K V, 2 Q K", "B=2 Q=20 K=20 E=20 V=20", AttentionOptions.Default),
        Attention("B Q E, B K E, B K V, B 2 Q K", "B=2 Q=280 K=33 E=6 V=6", new() { Scale = 2f }),
        Attention("B Q E, B K E, B K V, B 1 1 K", "B=2 Q=7 K=33 E=6 V=6", AttentionOptions.Default),
        Attention("B Q E, B K E, B K V, Q 1", "B=2 Q=7 K=33 E=6 V=6", AttentionOptions.Default),
        SelfAttention("B L 12", "B=2 L=150", AttentionOptions.CausalMask, mask: false),
        SelfAttention("B L 12", "B=2 L=280", new() { Scale = 0.7f }, mask: false),
        SelfAttention("B L 12, L L", "B=2 L=70", new() { Causal = true }, mask: true),
        SelfAttention("B L 12, B 2 L L", "B=2 L=6", AttentionOptions.Default, mask: true),
        new("RotaryEmbedding", "B L E", "B=2 L=90 E=68", i => [Ops.RotaryEmbedding(i[0], 2)]),
        new("RotaryEmbedding", "B L E", "B=2 L=90 E=68",
            i => [Ops.RotaryEmbedding(i[0], 2, new() { Interleaved = true, Base = 100, Offset = 7 })]),
        Favor("B Q E, B K E, B K V, F 17", "B=2 Q=90 K=90 E=34 V=34 F=33", FavorOptions.Default),
        Favor("B Q E, B K E, B K V, F 17", "B=2 Q=150 K=150 E=34 V=20 F=9", new() { Kernel = FavorKernel.Relu, Epsilon = 0.1f }),
        Favor("B Q E, B K E, B K V, F 3", "B=2 Q=150 K=150 E=6 V=6 F=9", new() { Causal = true }, causal: true),
        Favor("B Q E, B K E, B K V, F 2", "B=2 Q=6 K=4 E=4 V=6 F=5", new() { Kernel = FavorKernel.Relu, Epsilon = 0.1f }),
    ];

    private static OperatorCase Attention(string shapes, string sizes, AttentionOptions options) => new(
        "Attention", shapes, sizes, i => [Ops.Attention(i[0], i[1], i[2], 2, options, Optional(i, 3))])
    {
        Refused = "E",
        Note = $"{shapes}; {sizes}; {options}",
    };

    private static OperatorCase SelfAttention(string shapes, string sizes, AttentionOptions options, bool mask) => new(
        "SelfAttention", shapes, sizes, i => [Ops.SelfAttention(i[0], 2, options, mask ? i[1] : null)])
    {
        Note = $"{shapes}; {sizes}; {options}",
    };

    /// <summary>A causal one needs as many keys as queries.</summary>
    private static OperatorCase Favor(string shapes, string sizes, FavorOptions options, bool causal = false) => new(
        "FavorAttention", shapes, sizes, i => [Ops.FavorAttention(i[0], i[1], i[2], i[3], 2, options)])
    {
        Frozen = [3],
        Refused = causal ? "Q K E F" : "K E F",
        Note = $"{shapes}; {sizes}; {options}",
    };
}
