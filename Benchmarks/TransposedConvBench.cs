using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Transposed convolutions: U-Net's and UMambaBot's 2x2, the 4x4 of the ResNet segmenters.</summary>
public class TransposedConvBench : OperatorBench
{
    public override IEnumerable<OperatorPass> Passes => [OperatorPass.Forward, OperatorPass.InputGradient, OperatorPass.WeightGradient];

    public override IEnumerable<OperatorCase> Cases =>
    [
        Case2("unet upconv4", 16, 512, 256),
        Case2("unet upconv3", 32, 256, 128),
        Case2("unet upconv2", 64, 128, 64),
        Case2("unet upconv1", 128, 64, 32),
        Case4("resnet18-seg decoder.0", 8, 512, 256),
        Case4("resnet18-seg decoder.2", 16, 256, 128),
        Case4("resnet18-seg decoder.6", 64, 64, 1),
    ];

    private static OperatorCase Case2(string name, int side, int inputs, int outputs) => new(
        $"{name}: {side}x{side} {inputs} -> {outputs}, 2x2 stride 2", x => Ops.ConvTranspose2d(x[0], x[1], stride: 2), [1, side, side, inputs], [inputs, outputs, 2, 2]);

    private static OperatorCase Case4(string name, int side, int inputs, int outputs) => new(
        $"{name}: {side}x{side} {inputs} -> {outputs}, 4x4 stride 2", x => Ops.ConvTranspose2d(x[0], x[1], stride: 2, padding: 1), [1, side, side, inputs], [inputs, outputs, 4, 4]);
}
