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
        Sliding("densenet transition", 56, 128, 2, 2, 0),
        Sliding("inception branch", 35, 192, 3, 1, 1),
    ];

    private static OperatorCase Max(string name, int side, int channels, int kernel, int stride, int padding) =>
        Window($"{name}: MaxPool2d", Ops.MaxPool2d, side, channels, kernel, stride, padding);

    private static OperatorCase Sliding(string name, int side, int channels, int kernel, int stride, int padding) =>
        Window($"{name}: AvgPool2d", Ops.AvgPool2d, side, channels, kernel, stride, padding);

    private static OperatorCase Window(
        string name, Func<Tensor, Size2d, PoolOptions?, Tensor> pool, int side, int channels, int kernel, int stride, int padding)
    {
        PoolOptions options = new() { Stride = stride, Padding = padding };
        return new OperatorCase(
            $"{name} {side}x{side} x {channels}, {kernel}x{kernel} stride {stride}", x => pool(x[0], kernel, options), [1, side, side,
                channels]);
    }

    private static OperatorCase Average(string name, int side, int channels, int result) =>
        new($"{name}: AdaptiveAvgPool2d {side}x{side} x {channels} to {result}x{result}", x => Ops.AdaptiveAvgPool2d(x[0], result), [1,
            side, side, channels]);
}
