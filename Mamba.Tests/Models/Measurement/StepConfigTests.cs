using Mamba.Models.Measurement;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Models;

internal sealed class StepConfigTests
{
    [TestCase("vim", false, 1, 32), TestCase("vim", true, 64, 32), TestCase("unet", true, 2, 256)]
    [TestCase("resnet18", true, 2, 224), TestCase("segformer", false, 1, 224)]
    public void By_default_a_step_has_the_models_size_and_a_batch_that_takes_seconds(string name, bool training, int batch, int size)
    {
        StepConfig step = StepConfig.Of(Registry.Find(name), training);
        Assert.That((step.Batch, step.Height, step.Width), Is.EqualTo((batch, size, size)));
    }

    [TestCase("alexnet", 64, 62, "alexnet takes images from 63x63 on")]
    [TestCase("vim", 32, 48, "square"), TestCase("vit", 30, 30, "multiples of 4; the size is 30x30")]
    public void A_size_that_the_model_does_not_take_is_refused(string name, int height, int width, string problem) =>
        Assert.That(
            () => StepConfig.Of(Registry.Find(name), training: false, (height, width)),
            Throws.ArgumentException.With.Message.Contains(problem));
}
