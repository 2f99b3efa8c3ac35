using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Resizing and padding.</summary>
public class ResizeBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        Resize("ul-vm-unet decoder5", 64, 8, 128, true),
        Resize("ul-vm-unet final", 128, 1, 256, true),
        Resize("segformer level 4", 7, 256, 56, true),
        Resize("segformer level 2", 28, 256, 56, true),
        Resize("segformer mask", 56, 1, 224, false),
        Resize("resnet18-seg mask", 128, 1, 256, false),
        Resize("pyramid", 6, 64, 16, true),
        new("decoder: nearest 64x64 to 128x128, x 64", x => Ops.ResizeNearest(x[0], 128), [1, 64, 64, 64]),
        new("image: bicubic 256x256 to 224x224, x 3", x => Ops.ResizeBicubic(x[0], 224, alignCorners: false), [1, 256, 256, 3]),
        new("decoder: Pad reflect 128x128 x 32", x => Ops.Pad(x[0], 1, PadMode.Reflect), [1, 128, 128, 32]),
        new("image: Pad 224x224 x 3", x => Ops.Pad(x[0], 3), [1, 224, 224, 3]),
    ];

    private static OperatorCase Resize(string name, int from, int channels, int to, bool alignCorners) =>
        new(
            $"{name}: {from}x{from} to {to}x{to}, x {channels}", x => Ops.ResizeBilinear(x[0], to, alignCorners), [1, from, from,
                channels]);
}
