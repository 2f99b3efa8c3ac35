using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>Linear time-invariant systems; A is made stable, whatever the inputs are.</summary>
    public static OperatorCase[] StateSpaces =>
    [
        LtiScan("B L H, H N 2, H N 2, H N 2, H, B H N 2", "B=2 L=150 H=17 N=5", new() { ConjugatePairs = true }),
        LtiScan("B L H, H N 2, H N 2, H N 2", "B=2 L=2 H=2 N=2", default),
        S4dKernel("H, H N, H N 2, H N, H N 2", "H=5 N=3", DiscretizationMethod.ZeroOrderHold, complex: true, length: 70),
        S4dKernel("H, H N, H N", "H=5 N=5", DiscretizationMethod.Bilinear, complex: false, length: 33),
        new("S4Kernel", "H N 2, H N 2, H N 2, H N 2, H", "H=3 N=3", i => [Ops.S4Kernel(System(i), 40)]) { Refused = "N" },
        new("S4Kernel", "H N 2, H N 2, H N 2, H N 2, H", "H=2 N=1", i => [Ops.S4Kernel(System(i) with { StoredLength = 21 }, 17)])
        { Refused = "N", Note = "S4Kernel of stored C" },
        new("DiscretizeDplr", "H N 2, H N 2, H N 2, H", "H=3 N=3", i =>
        {
            (Tensor a, Tensor b) = Ops.DiscretizeDplr(Stable(i[0]), i[1], i[2], i[3]);
            return [a, b];
        }) { Refused = "N" },
        .. Enum.GetValues<DiscretizationMethod>().Select(method => new OperatorCase(
            "DiscretizeDiagonal", method == DiscretizationMethod.Bilinear ? "N 2, N 2, H" : "H N 2, H N 2, H", "H=6 N=3", i =>
            {
                (Tensor a, Tensor b) = Ops.DiscretizeDiagonal(Stable(i[0]), i[1], Ops.Exp(i[2]), method, 0.25f);
                return [a, b];
            })
            { Note = $"DiscretizeDiagonal by {method}" }),
        .. Enum.GetValues<DiscretizationMethod>().Select(method => new OperatorCase(
            "DiscretizeDense", "N N, N P, H", "N=5 P=2 H=3", i =>
            {
                (Tensor a, Tensor b) = Ops.DiscretizeDense(i[0], i[1], Ops.Scale(Ops.Exp(i[2]), 0.1f), method, 0.25f);
                return [a, b];
            })
            { HasOtherWays = true, Note = $"DiscretizeDense by {method}" }),
        new("LtiDense", "B L P, N N, N P, Q N, Q P, B N", "B=2 L=40 P=3 N=5 Q=5", i =>
        {
            (Tensor y, Tensor last) = Ops.LtiDense(i[0], Ops.Scale(i[1], 0.3f), i[2], i[3], i[4], i[5]);
            return [y, last];
        }) { Refused = "L N", HasOtherWays = true },
        new("LegsMemory", "H L", "H=5 L=90", i => [Ops.LegsMemory(i[0], 7)]) { Refused = "L" },
    ];

    private static OperatorCase LtiScan(string shapes, string sizes, LtiScanOptions options) => new("LtiScan", shapes, sizes, i =>
    {
        (Tensor y, Tensor last) = Ops.LtiScan(
            i[0], Ops.Scale(i[1], 0.6f), i[2], i[3], options with { D = Optional(i, 4), State = Optional(i, 5) });
        return [y, last];
    })
    { Refused = "L N" };

    private static OperatorCase S4dKernel(string shapes, string sizes, DiscretizationMethod method, bool complex, int length) => new(
        "S4dKernel", shapes, sizes, i =>
        {
            S4dKernelOptions options = new() { Method = method, ConjugatePairs = complex, AImag = Optional(i, 3), B = Optional(i, 4) };
            return [Ops.S4dKernel(i[0], i[1], i[2], length, options)];
        })
    { Refused = "N" };

    private static S4System System(Tensor[] i) => new(Stable(i[0]), i[1], i[2], i[3], i[4]);

    /// <summary>Complex numbers with negative real parts.</summary>
    private static Tensor Stable(Tensor x) => Ops.Subtract(x, Tensor.From([1.5f, 0f], 2));
}
