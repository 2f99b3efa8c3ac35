using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>Mamba-3: over several chunks with a state, with angles that all heads share, and with inputs of one shape.</summary>
    public static OperatorCase[] Mamba3 =>
    [
        Mamba3Case("all inputs, three chunks", "B L G N, B L G N, B L H P, B L H, B L H, B L H, H N, H N, B L H S, H, B L H P",
            "B=2 L=150 H=4 G=2 N=12 P=5 S=5", state: true, "L H G N P"),
        Mamba3Case("angles shared, no skip, no gate", "B L G N, B L G N, B L H P, B L H, B L H, B L H, H N, H N, B L 1 S",
            "B=2 L=90 H=3 G=1 N=18 P=9 S=9", state: false, "L H G N P"),
        Mamba3Case("equal shapes", "B L G N, B L G N, B L H P, B L H, B L H, B L H, H N, H N, B L H S, H, B L H P",
            "B=1 L=2 H=2 G=2 N=2 P=1 S=1", state: true, "L H G N P"),
        new("Mamba3Rates", "B L H, B L H", "B=2 L=700 H=17",
            i =>
            {
                (Tensor dt, Tensor adt) = Ops.Mamba3Rates(i[0], i[1], 0.6f);
                return [dt, adt];
            }),
    ];

    private static OperatorCase Mamba3Case(string note, string shapes, string sizes, bool state, string refused) =>
        new("Mamba3Scan", state ? shapes + ", B H S, B H N P, B H N, B H P" : shapes, sizes, i =>
        {
            // Steps are made positive and decays negative, so that the recurrence is stable whatever the inputs are.
            Mamba3Inputs inputs = new()
            {
                Q = i[0],
                K = i[1],
                V = i[2],
                Adt = Ops.Scale(Ops.Softplus(i[3]), -1f),
                Dt = Ops.Softplus(i[4]),
                Trap = i[5],
                QBias = i[6],
                KBias = i[7],
                Angles = i[8],
            };
            Mamba3Options options = i.Length == 9 ? default : new() { D = i[9], Z = i[10] };
            if (state) options = options with { Initial = new Mamba3Memory(i[11], i[12], i[13], i[14]) };
            (Tensor y, Mamba3Memory last) = Ops.Mamba3Scan(inputs, options);
            return [y, last.Angles, last.Ssm, last.Key, last.Value];
        })
        { Refused = refused, Note = note, HasOtherWays = true };
}
