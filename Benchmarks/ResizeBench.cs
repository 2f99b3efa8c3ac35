using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Bilinear resizing.</summary>
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
    ];

    private static OperatorCase Resize(string name, int from, int channels, int to, bool alignCorners) =>
        new($"{name}: {from}x{from} to {to}x{to}, x {channels}", x => Ops.ResizeBilinear(x[0], to, to, alignCorners), [1, from, from, channels]);
}
