using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Data;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ZooTests
{
    private string _path = null!;

    public static IEnumerable<ModelEntry> Segmenters => Registry.Models.Where(m => m.Task == ModelTask.Segmentation);

    [SetUp]
    public void NewPath() => _path = Path.Combine(Path.GetTempPath(), $"mamba-{Guid.NewGuid():N}.safetensors");

    [TearDown]
    public void Remove() => File.Delete(_path);

    [TestCase("ul-vm-unet", 49_457), TestCase("ul-vm-unet-v1", 217_165), TestCase("ul-vm-unet-v2", 42_737), TestCase("ul-vm-unet-v3", 176_453)]
    [TestCase("ul-vm-unet-v4", 1_135_309), TestCase("ul-vm-unet-v5", 703_885), TestCase("ul-vm-unet-v6", 769_677), TestCase("unet", 7_765_985)]
    [TestCase("vim", 1_791_226), TestCase("vim-patch8-1000", 1_974_664), TestCase("vit", 1_751_186), TestCase("vit-patch8", 1_767_602)]
    [TestCase("resnet18-seg", 13_930_497), TestCase("resnet50-seg", 42_909_633), TestCase("segformer", 17_782_913)]
    [TestCase("umambabot", 9_813_700), TestCase("umambabot-pp", 10_076_356)]
    [TestCase("resnet18", 11_689_512), TestCase("resnet50", 25_557_032), TestCase("resnet20", 269_722)]
    public void Has_as_many_parameters_as_the_paper_states(string name, long parameters) =>
        Assert.That(Registry.Find(name).Create().Parameters.ParameterCount, Is.EqualTo(parameters));

    [TestCaseSource(nameof(Segmenters))]
    public void Any_size_is_padded_and_cropped_back(ModelEntry entry)
    {
        VisionModel model = entry.Create();
        int multiple = model.SizeMultiple;
        Tensor image = Numbers.Uniform(1, 0f, 1f, 1, multiple - 3, multiple + 5, 3);
        Tensor result = model.Segment(image);
        Assert.That(result.Shape, Is.EqualTo(new Shape(1, multiple - 3, multiple + 5, 1)));

        // The same picture with the zeros written by hand.
        Tensor padded = Tensor.Zeros(1, multiple, 2 * multiple, 3);
        for (int y = 0; y < multiple - 3; y++)
            image.Span.Slice(y * (multiple + 5) * 3, (multiple + 5) * 3).CopyTo(padded.Span[(y * 2 * multiple * 3)..]);
        Tensor expected = model.Forward(padded);
        if (expected.Shape != new Shape(1, multiple, 2 * multiple, 1)) expected = Ops.ResizeBilinear(expected, (multiple, 2 * multiple),
            alignCorners: false);
        Assert.That(result.Span[multiple + 4], Is.EqualTo(expected.Span[multiple + 4]));
        Assert.That(result.Span[^1], Is.EqualTo(expected.Span[(multiple - 4) * 2 * multiple + multiple + 4]));
    }

    [TestCase("unet", 8, 2, null), TestCase("segformer", 16, null, null), TestCase("resnet18-seg", 16, null, null), TestCase("resnet50-seg", 8, null, null)]
    [TestCase("umambabot", 8, null, null), TestCase("umambabot-pp", 8, null, null), TestCase("resnet18", 8, null, null), TestCase("resnet20", 8, 6, null)]
    [TestCase("vim", 24, 2, 8), TestCase("vit", 24, 3, 16)]
    public void Sizes_are_configuration_and_stand_in_the_weight_file(string name, int width, int? depth, int? patch)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = entry.Config with { InputChannels = 1, Classes = 2, Width = width };
        if (depth is not null) config = config with { Depth = depth };
        if (patch is not null) config = config with { Patch = patch };
        VisionModel model = entry.Create(config, seed: 3);
        Assert.That(model.Parameters.ParameterCount, Is.LessThan(entry.Create().Parameters.ParameterCount / 2));
        model.Parameters.Freeze(); // as a loaded one is
        Tensor image = Numbers.Uniform(1, 0f, 1f, 1, 32, 32, 1);
        Tensor expected = model.Forward(image);
        Assert.That(expected.Shape[-1], Is.EqualTo(2));

        ModelFile.Save(_path, model, new ModelInfo(name, config, ["a", "b"], Normalization.None(1), new RunData(SplitProtocol.Slice, 0, null, 32, 32)));
        (VisionModel loaded, ModelInfo info) = ModelFile.Load(_path);
        Assert.That(info.Config with { DropPath = config.DropPath }, Is.EqualTo(config));
        Assert.That(loaded.Forward(image).Span.ToArray(), Is.EqualTo(expected.Span.ToArray()));
    }

    [Test]
    public void A_residual_network_classifies_images_of_any_size([Values("resnet18", "resnet50", "resnet20")] string name, [Values(1, 28, 32, 45)] int size)
    {
        ModelEntry entry = Registry.Find(name);
        Tensor logits = entry.Create(entry.Config with { InputChannels = 1, Classes = 7 }).Forward(Numbers.Uniform(1, 0f, 1f, 2, size, size, 1));
        Assert.That(logits.Shape, Is.EqualTo(new Shape(2, 7)));
        Assert.That(logits.Span.ToArray(), Is.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void Width_and_depth_scale_a_model()
    {
        // ResNet-56 for CIFAR and ResNet-18 of half the width, counted by hand.
        ModelEntry cifar = Registry.Find("resnet20"), imageNet = Registry.Find("resnet18");
        Assert.That(cifar.Create(cifar.Config with { Depth = 27 }).Parameters.ParameterCount, Is.EqualTo(853_018));
        Assert.That(imageNet.Create(imageNet.Config with { Width = 32 }).Parameters.ParameterCount, Is.EqualTo(3_055_880));
        Assert.That(() => cifar.Create(cifar.Config with { Depth = 10 }), Throws.ArgumentException.With.Message.Contains("depth 10"));
        ModelEntry mamba = Registry.Find("umambabot");
        Assert.That(mamba.Create(mamba.Config with { Width = 16 }).Parameters["mamba.D"].Shape, Is.EqualTo(new Shape(512)));
    }

    [Test]
    public void A_shortcut_without_parameters_halves_the_image_and_pads_the_channels()
    {
        // Convolutions of zero: the block passes its shortcut alone, through ReLU.
        ParameterStore store = new();
        ResNetEncoder encoder = new(new Scope(store), new ResNetEncoderConfig(Inputs: 4, Width: 4, Blocks: [0, 1]) { Cifar = true });
        store.Reinitialize((name, shape) => shape.Rank == 4 ? Init.Zeros : null);
        for (int c = 0; c < 4; c++) store["conv1.weight"].Span[((c * 4 + c) * 9) + 4] = 1f; // the stem hands its input on
        Tensor x = Numbers.Uniform(1, 0f, 1f, 1, 3, 5, 4), y = encoder.Forward(x);
        Assert.That(y.Shape, Is.EqualTo(new Shape(1, 2, 3, 8)));
        for (int i = 0; i < y.Count; i++)
        {
            int c = (i % 8) - 2, column = i / 8 % 3, row = i / 24;
            float expected = c is < 0 or > 3 ? 0f : x.Span[((2 * row * 5) + (2 * column)) * 4 + c];
            Assert.That(y.Span[i], Is.EqualTo(expected).Within(1e-5f), $"{row}, {column}, {c}");
        }
    }

    [Test]
    public void What_does_not_fit_is_refused_by_name()
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        Assert.That(() => model.Forward(Tensor.Zeros(1, 33, 32, 3)), Throws.TypeOf<ShapeException>().With.Message.Contains("multiples of 32").And.Message.Contains("(1, 33, 32, 3)"));
        Assert.That(() => model.Segment(Tensor.Zeros(1, 32, 32, 1)), Throws.TypeOf<ShapeException>());
        Assert.That(() => model.Segment(Tensor.Zeros(32, 32, 3)), Throws.TypeOf<ShapeException>());
        Assert.That(() => Registry.Find("ul-vm-unte"), Throws.ArgumentException.With.Message.Contains("did you mean 'ul-vm-unet'"));
    }

    [Test]
    public void Initial_weights_follow_the_seed_alone()
    {
        float[] Weights(ulong seed) => Registry.Find("ul-vm-unet").Create(seed: seed).Parameters["encoder5.0.mamba.in_proj.weight"].Span.ToArray();
        float[] first = Weights(3), second = Weights(3);
        Assert.That(second, Is.EqualTo(first));
        Assert.That(Weights(4), Is.Not.EqualTo(first));
    }

    [Test]
    public void A_weight_file_holds_all_that_describes_the_model()
    {
        ModelInfo info = Info("unet");
        VisionModel model = Registry.Find("unet").Create(seed: 5);
        ModelFile.Save(_path, model, info);
        (VisionModel read, ModelInfo about) = ModelFile.Load(_path);
        Assert.That(about.Data, Is.EqualTo(info.Data));
        Assert.That(about.Config, Is.EqualTo(info.Config));
        Assert.That(about.Labels, Is.EqualTo(info.Labels));
        Assert.That(about.Normalization.Mean, Is.EqualTo(info.Normalization.Mean));
        Assert.That(about.Normalization.Std, Is.EqualTo(info.Normalization.Std));
        foreach ((string name, Tensor tensor) in model.Parameters.All) Assert.That(read.Parameters[name].Span.SequenceEqual(tensor.Span), name);
        byte[] first = File.ReadAllBytes(_path);
        ModelFile.Save(_path, read, about);
        Assert.That(File.ReadAllBytes(_path), Is.EqualTo(first), "the same model gives the same bytes");
    }

    [Test]
    public void A_foreign_or_damaged_weight_file_is_refused()
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        Safetensors.Write(_path, model.Parameters.All, new Dictionary<string, string> { ["format"] = "pt" });
        Assert.That(() => ModelFile.Load(_path), Throws.TypeOf<CheckpointException>().With.Message.Contains("lacks 'model'"));

        ModelFile.Save(_path, model, Info("unet"));
        Assert.That(() => ModelFile.Load(_path), Throws.TypeOf<CheckpointException>().With.Message.Contains("do not fit the model").And.Message.Contains("encoder"));

        ModelFile.Save(_path, model, Info("ul-vm-unet"));
        byte[] bytes = File.ReadAllBytes(_path);
        File.WriteAllBytes(_path, bytes[..^10]);
        Assert.That(() => ModelFile.Load(_path), Throws.TypeOf<CheckpointException>().With.Message.Contains(_path));
    }

    [TestCase("data", """{"protocol":"7","seed":1,"height":64,"width":64}""", "'protocol' is '7'")]
    [TestCase("data", """{"protocol":null,"seed":1,"height":64,"width":64}""", "'protocol' is ''")]
    [TestCase("data", """{"protocol":"slice","seed":1,"height":32768,"width":32}""", "'height' is 32768, expected 1 to 4096")]
    [TestCase("labels", """{"labels":["a","b"]}""", "2 names, expected one for each of 1"), TestCase("labels", """{"labels":[null]}""", "'labels'"), TestCase("labels", """{"labels":[]}""", "0 names")]
    [TestCase("data", """{"protocol":"slice","seed":-1,"height":64,"width":64}""", "does not describe a model")]
    [TestCase("normalization", """{"mean":[1e999,0,0],"std":[1,1,1]}""", "'normalization'")]
    public void Metadata_that_make_no_sense_are_refused(string key, string json, string expected)
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        ModelFile.Save(_path, model, Info("ul-vm-unet"));
        Dictionary<string, string> metadata;
        using (SafetensorsFile file = SafetensorsFile.Open(_path)) metadata = new(file.Metadata) { [key] = json };
        Safetensors.Write(_path, model.Parameters.All, metadata);
        Assert.That(() => ModelFile.Load(_path), Throws.TypeOf<CheckpointException>().With.Message.Contains(expected).And.Message.Contains(_path));
    }

    private static ModelInfo Info(string model) =>
        new(model, new ModelConfig(), ["lesion"], new Normalization([0.1f, 0.2f, 0.3f], [0.5f, 0.6f, 0.7f]), new RunData(SplitProtocol.Patient, 42, 500, 128, 96));
}
