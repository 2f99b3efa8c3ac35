using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>State-space duality in both forms, over several chunks and groups; and the gated norm.</summary>
    public static OperatorCase[] Dualities =>
    [
        Duality("recurrent, D by channel", "B=2 L=5 H=4 P=6 G=2 N=7", "H P"),
        Duality("chunked, groups", "B=2 L=61 H=6 P=5 G=3 N=9", "H"),
        Duality("chunked, D by channel", "B=1 L=110 H=2 P=18 G=1 N=20", "H P"),
        Duality("x as large as z, B, C and the initial state", "B=1 L=16 H=4 P=8 G=2 N=16", "H"),
        new("StateSpaceDuality", "B L H P, B L H, H, B L G N, B L G N", "B=2 L=50 H=3 P=4 G=1 N=5", i =>
        {
            (Tensor y, Tensor last) = Ops.StateSpaceDuality(
                i[0], i[1], Ops.Scale(Ops.Exp(i[2]), -1f), i[3], i[4], new() { DtLimit = (-0.5f, 0.75f) });
            return [y, last];
        })
        { Refused = "L G N", Note = "limits alone" },
        GatedNorm("B=3 L=70 C=18", null, before: false),
        GatedNorm("B=3 L=70 C=18", 6, before: false),
        GatedNorm("B=3 L=70 C=18", 9, before: true),
        new("RmsNormGated", "B L C, C", "B=3 L=70 C=18", i => [Ops.RmsNormGated(i[0], i[1])]),
    ];

    private static OperatorCase Duality(string note, string sizes, string skip) =>
        new("StateSpaceDuality", $"B L H P, B L H, H, B L G N, B L G N, {skip}, B L H P, H, B H P N", sizes, i =>
        {
            // A is made negative, so that the recurrence is stable whatever the inputs are.
            (Tensor y, Tensor last) = Ops.StateSpaceDuality(
                i[0], i[1], Ops.Scale(Ops.Exp(i[2]), -1f), i[3], i[4],
                new DualityOptions { D = i[5], Z = i[6], DeltaBias = i[7], DeltaSoftplus = true, InitialState = i[8] });
            return [y, last];
        })
        { Refused = "L G N", Note = note };

    private static OperatorCase GatedNorm(string sizes, int? group, bool before) => new(
        "RmsNormGated", "B L C, C, B L C", sizes,
        i => [Ops.RmsNormGated(i[0], i[1], i[2], new() { GroupSize = group, NormBeforeGate = before })])
    {
        Note = $"groups of {group}, norm {(before ? "before" : "after")} the gate",
    };
}
