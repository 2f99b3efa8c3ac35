using BenchmarkDotNet.Attributes;
using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Convolutions of U-Net (3x3, many channels) and of ul-vm-unet (few channels on large images, 7x7 with dilation 3, 1x1).</summary>
public class ConvBench : OperatorBench
{
    // Side of the image, channels in and out, side of the kernel, dilation.
    [Params("256 3 8 3 1", "128 8 16 3 1", "64 16 24 3 1", "128 2 1 7 3", "128 8 1 1 1", "256 32 32 3 1", "128 64 64 3 1", "64 128 128 3 1", "32 256 256 3 1", "16 512 512 3 1")]
    public string Layer { get; set; } = "1 1 1 1 1";

    protected override double ForwardFlops => 2.0 * Side * Side * Inputs * Outputs * Kernel * Kernel;

    private int Side => Number(0);

    private int Inputs => Number(1);

    private int Outputs => Number(2);

    private int Kernel => Number(3);

    private int Dilation => Number(4);

    [GlobalSetup]
    public void Setup()
    {
        int dilation = Dilation, padding = dilation * (Kernel - 1) / 2;
        Prepare(
            x => Ops.Conv2d(x[0], x[1], x[2], padding: padding, dilation: dilation), Noise(1, Side, Side, Inputs), Noise(Outputs, Inputs, Kernel, Kernel), Noise(Outputs));
    }

    private int Number(int i) => int.Parse(Layer.Split(' ')[i]);
}
