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
        Case3("grouped decoder", 32, 128, 128, groups: 4),
        Case3("depthwise decoder", 64, 64, 64, groups: 64),
    ];

    private static OperatorCase Case2(string name, int side, int inputs, int outputs) =>
        Transposed(name, side, inputs, outputs, 2, new ConvOptions { Stride = 2 });

    private static OperatorCase Case4(string name, int side, int inputs, int outputs) =>
        Transposed(name, side, inputs, outputs, 4, new ConvOptions { Stride = 2, Padding = 1 });

    private static OperatorCase Case3(string name, int side, int inputs, int outputs, int groups) =>
        Transposed(name, side, inputs, outputs, 3, new ConvOptions { Stride = 2, Padding = 1, OutputPadding = 1, Groups = groups });

    private static OperatorCase Transposed(string name, int side, int inputs, int outputs, int kernel, ConvOptions options) => new(
        $"{name}: {side}x{side} {inputs} -> {outputs}, {kernel}x{kernel} stride 2"
            + (options.Groups > 1 ? $", {options.Groups} groups" : ""),
        x => Ops.ConvTranspose2d(x[0], x[1], options: options),
        [1, side, side, inputs], [inputs, outputs / options.Groups, kernel, kernel]);
}
