using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>A classifier against the model that it holds, run by hand on the picture as training would see it.</summary>
internal sealed class ClassifierTests
{
    private const int Height = 16, Width = 24;
    private const double Rounding = 1e-5;

    private static readonly Normalization s_normalization = new([0.4f, 0.5f, 0.6f], [0.2f, 0.25f, 0.3f]);
    private static readonly string[] s_labels = ["cat", "dog", "frog"];

    [Test]
    public void The_classes_are_the_models_softmax_in_descending_order()
    {
        Image image = Pictures.Random(Width, Height, 3);
        float[] expected = Expected(Input(image));
        using Classifier classifier = new(Model(), Info());
        Classification result = classifier.Classify(image);
        Assert.That(result.Classes.Select(c => c.Label), Is.EquivalentTo(s_labels));
        Assert.That(result.Classes.Select(c => c.Probability), Is.Ordered.Descending);
        foreach ((string label, float probability) in result.Classes)
            Assert.That(probability, Is.EqualTo(expected[Array.IndexOf(s_labels, label)]).Within(Rounding), label);
        Assert.That(result.Classes.Sum(c => (double)c.Probability), Is.EqualTo(1).Within(Rounding));
        Assert.That(expected.Max() - expected.Min(), Is.GreaterThan(0.01), "the classes can be told apart");
        Assert.That(result.Milliseconds, Is.GreaterThan(0));
    }

    [TestCase(7, 40), TestCase(60, 5)]
    public void A_picture_of_another_size_is_resized_as_the_operator_does(int height, int width)
    {
        Image image = Pictures.Smooth(width, height, 3);
        Tensor resized = Ops.ResizeBilinear(Input(image), (Height, Width), alignCorners: false);
        AssertClasses(image, Expected(resized));
    }

    [Test]
    public void A_gray_picture_is_repeated_for_a_model_of_colors()
    {
        Image gray = Pictures.Smooth(Width, Height, 1), color = new(Width, Height, 3, [.. gray.Pixels.SelectMany(v => new[] { v, v, v })]);
        AssertClasses(gray, Expected(Input(color)));
    }

    [Test]
    public void A_loaded_classifier_says_what_the_saved_model_says()
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "weights.safetensors");
        ModelFile.Save(path, Model(), Info());
        Image image = Pictures.Random(Width, Height, 3);
        using Classifier saved = new(Model(), Info()), loaded = Classifier.Load(path);
        Assert.That(loaded.Info.Labels, Is.EqualTo(s_labels));
        Assert.That(loaded.Classify(image).Classes, Is.EqualTo(saved.Classify(image).Classes));
    }

    [Test]
    public void A_model_for_segmentation_is_refused()
    {
        ModelEntry unet = Registry.Find("unet");
        ModelConfig small = unet.Config with { Width = 4, Depth = 1 };
        ModelInfo info = new("unet", small, ["lesion"], s_normalization, Info().Data);
        Assert.That(
            () => new Classifier(unet.Create(small), info),
            Throws.ArgumentException.With.Message.Contains("unet").And.Message.Contains("Segmentation"));
    }

    [Test]
    public void Checked_numerics_name_the_operator_that_gives_NaN()
    {
        VisionModel model = Model();
        model.Parameters["linear.weight"].Span[5] = float.NaN;
        Image image = Pictures.Random(Width, Height, 3);
        using Classifier classifier = new(model, Info()) { CheckNumerics = true };
        Assert.That(() => classifier.Classify(image), Throws.TypeOf<NonFiniteException>().With.Message.Contains("'linear.weight' is NaN"));
    }

    private static void AssertClasses(Image image, float[] expected)
    {
        using Classifier classifier = new(Model(), Info());
        float[] probabilities = new float[s_labels.Length];
        classifier.Classify(image, probabilities);
        Assert.That(probabilities, Is.EqualTo(expected).Within(Rounding));
    }

    private static float[] Expected(Tensor input)
    {
        using VisionModel model = Model();
        model.Parameters.Freeze();
        return Ops.Softmax(model.Forward(input)).Span.ToArray();
    }

    /// <summary>(1, H, W, 3) of (x / 255 - mean) / std.</summary>
    private static Tensor Input(Image image) => Tensor.From(
        [.. image.Pixels.Select((v, i) => (v / 255f - s_normalization.Mean[i % 3]) / s_normalization.Std[i % 3])], 1, image.Height,
        image.Width, 3);

    private static VisionModel Model() => Registry.Find("resnet20").Create(Info().Config, seed: 2);

    private static ModelInfo Info() => new(
        "resnet20", Registry.Find("resnet20").Config with { Classes = 3, Width = 8, Depth = 3 }, s_labels, s_normalization,
        new RunData(SplitProtocol.Image, 0, null, Height, Width));
}
