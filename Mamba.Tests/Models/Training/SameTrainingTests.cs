using Mamba.Core.Simd;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>One width, one result: training gives the same weights on x64 and on ARM64, bit by bit.</summary>
[NonParallelizable]
[TestFixture(VectorWidth.Scalar)]
[TestFixture(VectorWidth.V128)]
internal sealed class SameTrainingTests(VectorWidth width) : WidthFixture(width)
{
    private static readonly BitRecord s_record = new("training");

    private readonly VectorWidth _width = width;

    [TestCase("ul-vm-unet"), TestCase("unet"), TestCase("resnet20"), TestCase("vim"), TestCase("vit")]
    public void Two_steps_of_training_leave_the_bits_on_record(string model) =>
        s_record.Holds(_width, model, SmallTraining.Run(Registry.Find(model), threads: 2));
}
