using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>
/// Convolutions of every kind in the zoo: large images with few channels, small ones with many, strided, dilated, pointwise.
/// </summary>
public class ConvBench : OperatorBench
{
    public override IEnumerable<OperatorPass> Passes => [OperatorPass.Forward, OperatorPass.InputGradient, OperatorPass.WeightGradient];

    public override IEnumerable<OperatorCase> Cases =>
    [
        Conv("ul-vm-unet encoder1", 256, 3, 8, 3),
        Conv("ul-vm-unet encoder2", 128, 8, 16, 3),
        Conv("ul-vm-unet encoder3", 64, 16, 24, 3),
        Conv("ul-vm-unet bridge", 128, 2, 1, 7, dilation: 3),
        Conv("ul-vm-unet final", 128, 8, 1, 1),
        Conv("unet encoder1", 256, 3, 32, 3),
        Conv("unet encoder1", 256, 32, 32, 3),
        Conv("unet decoder1", 256, 64, 32, 3),
        Conv("unet conv", 256, 32, 1, 1),
        Conv("unet encoder2", 128, 64, 64, 3),
        Conv("unet encoder3", 64, 128, 128, 3),
        Conv("unet encoder4", 32, 256, 256, 3),
        Conv("unet bottleneck", 16, 512, 512, 3),
        Conv("umambabot stage 2", 256, 32, 64, 3, stride: 2),
        Conv("resnet stem", 256, 3, 64, 7, stride: 2),
        Conv("resnet18 layer1", 64, 64, 64, 3),
        Conv("resnet18 layer2", 64, 64, 128, 3, stride: 2),
        Conv("resnet18 shortcut", 64, 64, 128, 1, stride: 2),
        Conv("resnet18 layer4", 8, 512, 512, 3),
        Conv("resnet50 layer1", 64, 256, 64, 1),
        Conv("resnet20, 64 images", 32, 16, 16, 3, batch: 64),
        Conv("resnet20 layer3, 64 images", 8, 64, 64, 3, batch: 64),
        Conv("segformer stage 1", 224, 3, 64, 7, stride: 4),
        Conv("segformer reducer", 56, 64, 64, 8, stride: 8, padding: 0),
        Conv("segformer fuse", 56, 1024, 256, 1),
        Conv("vim patches, 64 images", 32, 3, 168, 4, stride: 4, padding: 0, batch: 64),
    ];

    private static OperatorCase Conv(
        string name, int side, int inputs, int outputs, int kernel, int stride = 1, int dilation = 1, int? padding = null, int batch = 1)
    {
        ConvOptions options = new() { Stride = stride, Padding = padding ?? dilation * (kernel - 1) / 2, Dilation = dilation };
        return new OperatorCase(
            $"{name}: {side}x{side} {inputs} -> {outputs}, {kernel}x{kernel}"
            + $"{(stride > 1 ? $" stride {stride}" : "")}{(dilation > 1 ? $" dilation {dilation}" : "")}",
            x => Ops.Conv2d(x[0], x[1], options: options), [batch, side, side, inputs], [outputs, inputs, kernel, kernel]);
    }
}
