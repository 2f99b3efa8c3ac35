using BenchmarkDotNet.Attributes;
using Mamba.Core;

namespace Mamba.Benchmarks;

/// <summary>Whole models at 256x256: inference of one image, and a training step (forward, loss, backward, optimizer) of two.</summary>
public class ModelBench : ICounted
{
    private ModelStep? _step;

    [Params("ul-vm-unet", "unet")]
    public string Model { get; set; } = "";

    [Params(1, 2)]
    public int Threads { get; set; }

    [Params(false, true)]
    public bool Training { get; set; }

    double ICounted.Flops => (Training ? 3 : 1) * Step().ForwardFlops;

    [GlobalSetup]
    public void Setup()
    {
        Workers.Count = Threads;
        _step = Step();
    }

    [Benchmark]
    public void Pass()
    {
        if (Training) _step!.Train();
        else _step!.Infer();
    }

    private ModelStep Step() => new(Model, 256, Training ? 2 : 1);
}
