using BenchmarkDotNet.Attributes;
using Mamba.Core.Simd;
using Mamba.Models.Measurement;
using Mamba.Models.Zoo;

namespace Mamba.Benchmarks;

/// <summary>
/// Whole models at their own sizes: inference of one image, and a training step of two images, or of 64 small ones. The width is that of
/// the process (MAMBA_ISA), since U-Net takes seconds without vectors.
/// </summary>
public class ModelBench : KernelBench
{
    /// <summary>The models of the project's table.</summary>
    public static readonly string[] Headline =
        ["ul-vm-unet", "unet", "resnet18-seg", "umambabot", "umambabot-pp", "segformer", "vim", "vit"];

    public override IEnumerable<VectorWidth> Widths => [Isa.Current];

    public IEnumerable<string> Models => Headline;

    [ParamsSource(nameof(Models))]
    public string Model { get; set; } = "";

    [Params(false, true)]
    public bool Training { get; set; }

    internal override string Label => $"{Model}, {(Training ? "training" : "inference")}";

    protected override Work Prepare()
    {
        ModelStep step = new(StepConfig.Of(Registry.Find(Model), Training));
        return new Work(step.Run, step.Operations, 0);
    }
}
