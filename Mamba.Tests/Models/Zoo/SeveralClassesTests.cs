using Mamba.Core;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Every segmentation model of the zoo with three classes.</summary>
internal sealed class SeveralClassesTests
{
    private const int Classes = 3, Side = 32;

    public static IEnumerable<ModelEntry> Segmenters => Registry.Models.Where(m => m.Task == ModelTask.Segmentation);

    [TestCaseSource(nameof(Segmenters))]
    public void A_model_has_logits_of_each_class_and_learns_from_them(ModelEntry entry)
    {
        VisionModel model = entry.Create(entry.Config with { Classes = Classes }, seed: 4), binary = entry.Create();
        Assert.That(model.Parameters.All.Select(p => p.Name), Is.EqualTo(binary.Parameters.All.Select(p => p.Name)));
        Assert.That(model.Output, Is.EqualTo(ModelOutput.Logits));
        Objective objective = Objective.Of(
            entry, new ObjectiveOptions(ObjectiveOptions.DefaultLoss(entry, Classes)) { Classes = Classes });
        Assert.That(() => objective.ThrowIfUnfit(model.Output), Throws.Nothing);
        Tensor images = Numbers.Uniform(1, 0f, 1f, 2, Side, Side, 3), target = Tensor.Zeros(2, Side, Side, 1);
        for (int i = 0; i < target.Count; i++) target.Span[i] = i % Side / 8 == 3 ? 255 : i % Side / 8;

        model.Parameters.Training = true;
        using Tape tape = new();
        Tensor y = objective.Predict(model, images), loss = objective.Loss(y, model.Output, target, training: true);
        Assert.That(y.Shape, Is.EqualTo(new Shape(2, Side, Side, Classes)));
        Assert.That(loss.Item(), Is.InRange(0.5, 10));
        tape.Backward(loss);
        foreach ((string name, Tensor parameter) in model.Parameters.Parameters)
            if (parameter.Grad is { } gradient) Assert.That(gradient.Span.ToArray(), Is.All.Matches<float>(float.IsFinite), name);
        Assert.That(model.Parameters.Parameters.Count(p => p.Tensor.Grad is { } g && g.Span.ToArray().Any(v => v != 0)), Is.Positive);
    }

    [TestCaseSource(nameof(Segmenters))]
    public void Probabilities_add_up_to_one(ModelEntry entry)
    {
        VisionModel model = entry.Create(entry.Config with { Classes = Classes }, seed: 4);
        Tensor p = model.Probabilities(model.Segment(Numbers.Uniform(1, 0f, 1f, 1, Side - 3, Side, 3)));
        Assert.That(p.Shape, Is.EqualTo(new Shape(1, Side - 3, Side, Classes)));
        float[][] pixels = [.. p.Span.ToArray().Chunk(Classes)];
        Assert.That(pixels.Select(c => c.Sum()), Is.All.EqualTo(1f).Within(1e-5f));
        Assert.That(pixels.SelectMany(c => c).Min(), Is.Positive);
    }

    [Test]
    public void One_class_keeps_the_sigmoid()
    {
        VisionModel light = Registry.Find("ul-vm-unet").Create(), unet = Registry.Find("unet").Create();
        Assert.That((light.Output, unet.Output), Is.EqualTo((ModelOutput.Probabilities, ModelOutput.Logits)));
        Tensor logits = Numbers.Random(3, 1, 4, 4, 1);
        Assert.That(unet.Probabilities(logits).Span.ToArray(), Is.EqualTo(Ops.Sigmoid(logits).Span.ToArray()));
        Assert.That(light.Probabilities(logits), Is.EqualTo(logits), "the result itself");
    }

    [Test]
    public void The_default_loss_follows_the_classes()
    {
        Assert.That(ObjectiveOptions.DefaultLoss(Registry.Find("unet"), 1), Is.EqualTo(LossKind.Dice));
        Assert.That(ObjectiveOptions.DefaultLoss(Registry.Find("unet"), 2), Is.EqualTo(LossKind.CeDice));
        Assert.That(ObjectiveOptions.DefaultLoss(Registry.Find("vit"), 10), Is.EqualTo(LossKind.CrossEntropy));
    }
}
