using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Norms of channels, a mean and a variance over the pixels: batch, group and instance norm.</summary>
public class ChannelNormBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        Batch("unet encoder1", 256, 32),
        Batch("unet encoder3", 64, 128),
        Batch("unet bottleneck", 16, 512),
        Batch("unet encoder1, running statistics", 256, 32, training: false),
        Group("ul-vm-unet ebn1", 256, 8),
        Group("ul-vm-unet ebn3", 64, 24),
        Instance("umambabot stage 1", 256, 32),
        Instance("umambabot stage 5", 16, 512),
    ];

    private static OperatorCase Batch(string name, int side, int channels, bool training = true)
    {
        Tensor mean = Tensor.Zeros(channels), variance = Tensor.Full(1f, channels);
        BatchNormOptions options = new() { Training = training };
        return Norm($"{name}: BatchNorm", x => Ops.BatchNorm(x[0], x[1], x[2], mean, variance, options), side, channels);
    }

    private static OperatorCase Group(string name, int side, int channels) =>
        Norm($"{name}: GroupNorm", x => Ops.GroupNorm(x[0], 4, x[1], x[2]), side, channels);

    private static OperatorCase Instance(string name, int side, int channels) =>
        Norm($"{name}: InstanceNorm", x => Ops.InstanceNorm(x[0], x[1], x[2]), side, channels);

    private static OperatorCase Norm(string name, Func<Tensor[], Tensor> norm, int side, int channels) =>
        new($"{name} {side}x{side} x {channels}", norm, [2, side, side, channels], [channels], [channels]);
}
