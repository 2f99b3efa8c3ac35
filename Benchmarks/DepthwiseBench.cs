using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Convolutions whose channels do not mix: SegFormer's depthwise ones, the causal ones of Mamba blocks.</summary>
public class DepthwiseBench : OperatorBench
{
    public override IEnumerable<OperatorPass> Passes => [OperatorPass.Forward, OperatorPass.InputGradient, OperatorPass.WeightGradient];

    public override IEnumerable<OperatorCase> Cases =>
    [
        Depthwise("segformer stage 1", 56, 64, 256),
        Depthwise("segformer stage 3", 14, 256, 1024),
        Depthwise("segformer stage 4", 7, 512, 2048),
        Causal("ul-vm-unet", 4, 1024, 12),
        Causal("umambabot", 1, 256, 1024),
        Causal("vim", 1, 65, 336),
        Causal("vim backwards, 64 images", 64, 65, 336, reverse: true),
    ];

    private static OperatorCase Depthwise(string name, int side, int inputs, int outputs)
    {
        ConvOptions options = new() { Padding = 1, Groups = inputs };
        return new OperatorCase(
            $"{name}: {side}x{side} {inputs} -> {outputs}, 3x3", x => Ops.Conv2d(x[0], x[1], options: options), [1, side, side, inputs],
                [outputs, 1, 3, 3]);
    }

    private static OperatorCase Causal(string name, int batch, int length, int channels, bool reverse = false) => new(
        $"{name}: causal {batch} x {length} x {channels}, 4 taps, SiLU", x => Ops.CausalConv1d(x[0], x[1], x[2], Activation.Silu, reverse),
        [batch, length, channels], [channels, 1, 4], [channels]);
}
