using BenchmarkDotNet.Attributes;
using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Norms: bound by memory, so that the time is the figure.</summary>
public class NormBench : OperatorBench
{
    [Params("batch", "group", "layer")]
    public string Norm { get; set; } = "";

    // Side of the image, channels.
    [Params("256 8", "64 24", "256 32")]
    public string Size { get; set; } = "1 1";

    protected override double ForwardFlops => 0;

    [GlobalSetup]
    public void Setup()
    {
        (int side, int channels) = (int.Parse(Size.Split(' ')[0]), int.Parse(Size.Split(' ')[1]));
        Tensor mean = Tensor.Zeros(channels), variance = Tensor.Full(1f, channels);
        Func<Tensor[], Tensor> norm = Norm switch
        {
            "batch" => x => Ops.BatchNorm(x[0], x[1], x[2], mean, variance, training: true),
            "group" => x => Ops.GroupNorm(x[0], 4, x[1], x[2]),
            _ => x => Ops.LayerNorm(x[0], x[1], x[2]),
        };
        Prepare(norm, Noise(1, side, side, channels), Noise(channels), Noise(channels));
    }
}
