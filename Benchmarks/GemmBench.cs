using BenchmarkDotNet.Attributes;
using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Linear layers: the narrow ones of ul-vm-unet's Mamba blocks, and square ones.</summary>
public class GemmBench : OperatorBench
{
    [Params("4096x6x24", "4096x12x33", "1024x24x32", "256x256x256", "1024x1024x1024")]
    public string Size { get; set; } = "1x1x1"; // rows x inputs x outputs

    protected override double ForwardFlops => 2.0 * Sizes[0] * Sizes[1] * Sizes[2];

    private int[] Sizes => Array.ConvertAll(Size.Split('x'), int.Parse);

    [GlobalSetup]
    public void Setup() => Prepare(x => Ops.Linear(x[0], x[1], x[2]), Noise(Sizes[0], Sizes[1]), Noise(Sizes[2], Sizes[1]), Noise(Sizes[2]));
}
