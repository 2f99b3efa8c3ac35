using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Pooling over windows, over whole images and over channels.</summary>
public class PoolBench : OperatorBench
{
    public override IEnumerable<OperatorCase> Cases =>
    [
        Max("ul-vm-unet", 256, 8, 2, 2, 0),
        Max("unet", 256, 32, 2, 2, 0),
        Max("unet", 64, 128, 2, 2, 0),
        Max("resnet", 128, 64, 3, 2, 1),
        Average("ul-vm-unet bridge", 128, 8, 1),
        Average("resnet18", 8, 512, 1),
        Average("pyramid", 16, 512, 6),
    ];

    private static OperatorCase Max(string name, int side, int channels, int kernel, int stride, int padding) => new(
        $"{name}: MaxPool2d {side}x{side} x {channels}, {kernel}x{kernel} stride {stride}", x => Ops.MaxPool2d(x[0], kernel, stride, padding), [1, side, side, channels]);

    private static OperatorCase Average(string name, int side, int channels, int result) =>
        new($"{name}: AdaptiveAvgPool2d {side}x{side} x {channels} to {result}x{result}", x => Ops.AdaptiveAvgPool2d(x[0], result, result), [1, side, side, channels]);
}
