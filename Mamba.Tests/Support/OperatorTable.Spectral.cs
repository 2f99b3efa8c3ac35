using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>Transforms of good lengths, of odd and prime ones, and in two passes; convolutions of both kinds.</summary>
    public static OperatorCase[] Spectral =>
    [
        new("Rfft", "B N C", "B=2 N=30 C=17", i => [Ops.Rfft(i[0])]) { Refused = "N" },
        new("Rfft", "B N C", "B=2 N=300 C=3", i => [Ops.Rfft(i[0])]) { Refused = "N" },
        new("Rfft", "B N C", "B=2 N=45 C=5", i => [Ops.Rfft(i[0])]) { Refused = "N" },
        new("Rfft", "B N C", "B=1 N=34 C=5", i => [Ops.Rfft(i[0])]) { Refused = "N" },
        new("Irfft", "B F 2 C", "B=2 F=16 C=17", i => [Ops.Irfft(i[0], 30)]) { Refused = "F" },
        new("Irfft", "B F 2 C", "B=2 F=151 C=3", i => [Ops.Irfft(i[0], 300)]) { Refused = "F" },
        new("Irfft", "B F 2 C", "B=1 F=7 C=5", i => [Ops.Irfft(i[0], 13)]) { Refused = "F" },
        new("Fft", "B N 2 C", "B=2 N=40 C=17", i => [Ops.Fft(i[0])]) { Refused = "N" },
        new("Fft", "B N 2 C", "B=2 N=150 C=3", i => [Ops.Fft(i[0], inverse: true)]) { Refused = "N" },
        new("Fft", "B N 2 C", "B=1 N=7 C=5", i => [Ops.Fft(i[0], inverse: true)]) { Refused = "N" },
        new("LongConv", "B L H, H K", "B=3 L=90 H=17 K=9", i => [Ops.LongConv(i[0], i[1])]),
        new("LongConv", "B L H, H L", "B=3 L=200 H=17", i => [Ops.LongConv(i[0], i[1])]),
        new("LongConv", "B L H, H L", "B=1 L=80 H=5", i => [Ops.LongConv(i[0], i[1])]),
        Convolution("B=2 L=20 H=5 K=7"),
        Convolution("B=2 L=150 H=20 K=160"),
    ];

    private static OperatorCase Convolution(string sizes) => new(
        "LongConv", "B L H, H K, H, H K", sizes, i => [Ops.LongConv(i[0], i[1], new() { D = i[2], Backward = i[3] })])
    {
        HasOtherWays = true,
    };
}
