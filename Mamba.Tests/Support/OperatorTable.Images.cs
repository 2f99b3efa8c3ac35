using Mamba.Core;

namespace Mamba.Tests.Support;

internal static partial class OperatorTable
{
    /// <summary>Pools, resizes, borders and windows.</summary>
    public static OperatorCase[] Images =>
    [
        Image("MaxPool2d", "B=2 H=20 W=19 C=17", x => Ops.MaxPool2d(x, 2)),
        Image("MaxPool2d", "B=2 H=20 W=19 C=33", x => Ops.MaxPool2d(x, (3, 2), new() { Stride = (1, 2), Dilation = 2, Padding = (2, 1) })),
        Image("MaxPool2d", "B=2 H=12 W=13 C=5", x => Ops.MaxPool2d(x, 3, new() { Stride = 2, CeilMode = true })),
        Image("AvgPool2d", "B=2 H=20 W=19 C=17", x => Ops.AvgPool2d(x, 2)),
        Image("AvgPool2d", "B=2 H=20 W=19 C=33", x => Ops.AvgPool2d(x, (5, 3), new() { Stride = 2, Padding = new(2, 1, 1, 0) })),
        Image("AvgPool2d", "B=2 H=12 W=13 C=5",
            x => Ops.AvgPool2d(x, 3, new() { Stride = 2, Padding = 1, CeilMode = true, CountIncludePad = false })),
        Line("MaxPool1d", "B=2 L=150 C=17", x => Ops.MaxPool1d(x, 3, new() { Stride = 2, Padding = 1, Dilation = 2 })),
        Line("AvgPool1d", "B=2 L=150 C=17", x => Ops.AvgPool1d(x, 4, new() { Stride = 3, Padding = 2, CeilMode = true })),
        Image("AdaptiveMaxPool2d", "B=2 H=20 W=19 C=17", x => Ops.AdaptiveMaxPool2d(x, (7, 5))),
        Image("AdaptiveMaxPool2d", "B=2 H=4 W=3 C=33", x => Ops.AdaptiveMaxPool2d(x, (9, 5))),
        Image("ResizeBilinear", "B=2 H=20 W=19 C=17", x => Ops.ResizeBilinear(x, (9, 31), alignCorners: true)),
        Image("ResizeBilinear", "B=2 H=20 W=19 C=1", x => Ops.ResizeBilinear(x, (41, 7), alignCorners: false)),
        Image("ResizeBicubic", "B=2 H=10 W=11 C=17", x => Ops.ResizeBicubic(x, (20, 7), alignCorners: true)),
        Image("ResizeBicubic", "B=2 H=3 W=2 C=3", x => Ops.ResizeBicubic(x, (7, 9), alignCorners: false)),
        Image("ResizeNearest", "B=2 H=20 W=19 C=17", x => Ops.ResizeNearest(x, (33, 8))),
        new("Pad", "B H W C", "B=2 H=12 W=9 C=17", i => [Ops.Pad(i[0], new(1, 2, 3, 0), PadMode.Constant, 0.5f)]) { ValueOfEmpty = 0.5f },
        new("Pad", "B L C", "B=2 L=90 C=17", i => [Ops.Pad(i[0], new(9, 2, 9, 1))]),
        Image("Pad", "B=2 H=12 W=9 C=17", x => Ops.Pad(x, new(-2, -1, -3, 4), PadMode.Replicate)),
        Image("Pad", "B=2 H=12 W=9 C=17", x => Ops.Pad(x, (3, 8), PadMode.Reflect)),
        new("Pad", "B H W C", "B=2 H=12 W=9 C=17", i => [Ops.Pad(i[0], new(12, 0, 1, 9), PadMode.Circular)]) { Refused = "H W" },
        Line("Pad", "B=2 L=90 C=17", x => Ops.Pad(x, (0, 40), PadMode.Reflect)),
        new("PixelShuffle", "B H W C", "B=2 H=9 W=7 C=36", i => [Ops.PixelShuffle(i[0], 3)]),
        new("PixelUnshuffle", "B H W C", "B=2 H=9 W=12 C=17", i => [Ops.PixelUnshuffle(i[0], 3)]),
        Image("Unfold", "B=2 H=12 W=9 C=17", x => Ops.Unfold(x, (3, 2), new() { Padding = 1, Stride = (2, 1), Dilation = 2 })),
        Image("Unfold", "B=2 H=12 W=9 C=1", x => Ops.Unfold(x, 1)),
        new("Fold", "B N D", "B=2 N=80 D=51", i => [Ops.Fold(i[0], (10, 8), (1, 3), new() { Padding = (0, 1) })]) { Refused = "N D" },
        new("Fold", "B N D", "B=2 N=20 D=68", i => [Ops.Fold(i[0], (10, 8), 2, new() { Stride = 2 })]) { Refused = "N D" },
        new("Fold", "B N D", "B=2 N=80 D=17", i => [Ops.Fold(i[0], (10, 8), 1)]) { Refused = "N D" },
        new("LocalResponseNorm", "B H W C", "B=2 H=9 W=7 C=37", i => [Ops.LocalResponseNorm(i[0], 5, 0.1f)]),
        new("LocalResponseNorm", "B C", "B=20 C=3", i => [Ops.LocalResponseNorm(i[0], 9, 1f, 0.5f, 2f)]),
    ];

    /// <summary>An operator over images, of which the batch alone may be empty.</summary>
    private static OperatorCase Image(string name, string sizes, Func<Tensor, Tensor> call) =>
        new(name, "B H W C", sizes, i => [call(i[0])]) { Refused = "H W C" };

    /// <summary>An operator over sequences, of which the batch alone may be empty.</summary>
    private static OperatorCase Line(string name, string sizes, Func<Tensor, Tensor> call) =>
        new(name, "B L C", sizes, i => [call(i[0])]) { Refused = "L C" };
}
