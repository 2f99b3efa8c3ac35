using BenchmarkDotNet.Attributes;
using Mamba.Core;
using Mamba.Core.Optim;

namespace Mamba.Benchmarks;

/// <summary>A step of the optimizers over one tensor, as large as ul-vm-unet, ViM and U-Net are.</summary>
public class OptimizerBench : KernelBench
{
    [Params("Adam", "AdamW", "Sgd")]
    public string Optimizer { get; set; } = "";

    [Params(50_000, 1_800_000, 7_800_000)]
    public int Parameters { get; set; }

    internal override string Label => $"{Optimizer}, {Parameters} parameters";

    protected override Work Prepare()
    {
        Tensor weights = Tensor.Zeros(Parameters);
        weights.RequiresGrad = true;
        weights.OpenGrad().Span.Fill(0.1f);
        (string Name, Tensor Tensor)[] all = [("weights", weights)];
        Optimizer optimizer = Optimizer switch
        {
            "Adam" => new Adam(all),
            "AdamW" => new AdamW(all),
            _ => new Sgd(all, learningRate: 1e-3),
        };
        // Weights and state are read and written, the gradient is read.
        int streams = optimizer is Sgd ? 5 : 7;
        return new Work(optimizer.Step, 0, (double)streams * sizeof(float) * Parameters);
    }
}
