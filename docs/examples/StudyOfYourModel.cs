using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Recipes;
using Mamba.Models.Studies;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Examples;

/// <summary>Two convolutions: a model to be compared with those of the zoo.</summary>
public sealed class TwoConvolutions(Scope root, ModelConfig config) : VisionModel(root.Store, config)
{
    private readonly Conv2d _first = new(root / "first", new ConvConfig(config.InputChannels, 8, 3) { Padding = 1 });
    private readonly Conv2d _second = new(root / "second", new ConvConfig(8, config.Classes, 3) { Padding = 1 });

    public override ModelOutput Output => ModelOutput.Logits;

    public override int SizeMultiple => 1;

    protected override Tensor Run(Tensor images) // (B, H, W, channels)
    {
        using MemoryScope memory = new();
        return memory.Return(_second.Forward(Ops.Relu(_first.Forward(images)))); // (B, H, W, classes)
    }
}

public static class StudyOfYourModel
{
    private static readonly ModelEntry s_entry =
        new("two-convolutions", ModelTask.Segmentation, TrainingRecipe.UNet, (scope, config) => new TwoConvolutions(scope, config));

    public static StudyResults Run(IImageData data, string folder, CancellationToken stop = default)
    {
        Registry.Add(s_entry);
        Study study = new(
            "mine", "my images", new StudyBudget { Epochs = 2 }, [SplitProtocol.Patient],
            [new StudyModel("two-convolutions"), new StudyModel("ul-vm-unet")])
        {
            Title = "Two convolutions against UL-VM-UNet",
            Seeds = [0, 1],
        };
        StudyTrainer trainer = new(data)
        {
            Configure = (run, arguments) => arguments with { Height = 32, Width = 32, Batch = 8, LearningRate = 2e-3 },
        };
        return new StudyRunner(study, trainer, folder).Run(stop);
    }
}
