using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Inference;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>A segmenter against the model that it holds, run by hand on the picture as training would see it.</summary>
internal sealed class SegmenterTests
{
    // No multiple of the model's own: the picture is padded and the mask cropped back.
    private const int Height = 30, Width = 27;

    private static readonly Normalization s_normalization = new([0.4f, 0.5f, 0.6f], [0.2f, 0.25f, 0.3f]);

    [TestCase(Height, Width), TestCase(17, 50), TestCase(64, 9)]
    public void The_mask_is_where_the_models_probability_is_at_least_one_half(int height, int width)
    {
        Image image = Pictures.Smooth(width, height, 3);
        (float[] probabilities, VisionModel model) = Expected(image);
        using Segmenter segmenter = new(model, Info());
        Segmentation result = segmenter.Segment(image);
        Assert.That((result.Mask.Width, result.Mask.Height, result.Mask.Channels), Is.EqualTo((width, height, 1)));
        for (int i = 0; i < probabilities.Length; i++)
            if (Math.Abs(probabilities[i] - 0.5f) > 1e-4) // the bytes of a picture come to the same numbers another way, up to rounding
                Assert.That(result.Mask.Pixels[i], Is.EqualTo(probabilities[i] >= 0.5f ? 255 : 0), $"pixel {i}");
        int area = result.Mask.Pixels.Count(v => v == 255);
        Assert.That(result.Area, Is.EqualTo(area).And.InRange(height * width / 4, height * width * 3 / 4), "the mask has both values");
        Assert.That(result.Mask.Pixels, Is.All.AnyOf((byte)0, (byte)255));
        Assert.That(result.Milliseconds, Is.GreaterThan(0));
    }

    [Test]
    public void A_loaded_segmenter_gives_the_mask_of_the_saved_model()
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "weights.safetensors");
        Image image = Pictures.Smooth(Width, Height, 3);
        ModelFile.Save(path, Expected(image).Model, Info());
        using Segmenter saved = new(Expected(image).Model, Info()), loaded = Segmenter.Load(path);
        Assert.That(loaded.Segment(image).Mask.Pixels, Is.EqualTo(saved.Segment(image).Mask.Pixels));
        Assert.That(() => loaded.Segment(null!), Throws.ArgumentNullException);
    }

    [Test]
    public void A_classifier_and_more_classes_than_a_byte_tells_are_refused()
    {
        ModelEntry resnet = Registry.Find("resnet20");
        ModelConfig small = resnet.Config with { Classes = 1, Width = 8, Depth = 3 }, many = Info().Config with { Classes = 256 };
        Assert.That(
            () => new Segmenter(resnet.Create(small), Info() with { Model = "resnet20", Config = small }),
            Throws.ArgumentException.With.Message.Contains("resnet20").And.Message.Contains("Classification"));
        Assert.That(
            () => new Segmenter(Registry.Find("unet").Create(many), Info() with { Config = many }),
            Throws.ArgumentException.With.Message.Contains("256 classes"));
    }

    /// <summary>The probabilities of a model at the picture's size, and the model, whose bias makes the median of them one half.</summary>
    private static (float[] Probabilities, VisionModel Model) Expected(Image image)
    {
        VisionModel model = Registry.Find("unet").Create(Info().Config, seed: 2);
        Tensor input = Tensor.From(
            [.. image.Pixels.Select((v, i) => (v / 255f - s_normalization.Mean[i % 3]) / s_normalization.Std[i % 3])], 1, image.Height,
            image.Width, 3);
        input = Ops.ResizeBilinear(input, (Height, Width), alignCorners: false);
        model.Parameters["conv.bias"].Span[0] -= model.Segment(input).Span.ToArray().Order().ElementAt(Height * Width / 2);
        model.Parameters.Freeze();
        Tensor probabilities = Ops.Sigmoid(model.Segment(input));
        return (Ops.ResizeBilinear(probabilities, (image.Height, image.Width), alignCorners: false).Span.ToArray(), model);
    }

    private static ModelInfo Info() => new(
        "unet", Registry.Find("unet").Config with { Width = 4, Depth = 2 }, ["lesion"], s_normalization,
        new RunData(SplitProtocol.Image, 0, null, Height, Width));
}
