using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

internal sealed class ModelFileTests
{
    private string _path = null!;

    [SetUp]
    public void NewPath() => _path = Path.Combine(Path.GetTempPath(), $"mamba-{Guid.NewGuid():N}.safetensors");

    [TearDown]
    public void Remove() => File.Delete(_path);

    [TestCase("unet", 8, 2, null), TestCase("segformer", 16, null, null), TestCase("resnet18-seg", 16, null, null)]
    [TestCase("resnet50-seg", 8, null, null)]
    [TestCase("umambabot", 8, null, null), TestCase("umambabot-pp", 8, null, null), TestCase("resnet18", 8, null, null)]
    [TestCase("resnet20", 8, 6, null)]
    [TestCase("vim", 24, 2, 8), TestCase("vit", 24, 3, 16), TestCase("performer", 24, 2, 8)]
    [TestCase("mobilenet-v2", 16, null, null), TestCase("efficientnet-b0", 16, null, null)]
    public void Sizes_are_configuration_and_stand_in_the_weight_file(string name, int width, int? depth, int? patch)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = entry.Config with { InputChannels = 1, Classes = 2, Width = width };
        if (depth is not null) config = config with { Depth = depth };
        if (patch is not null) config = config with { Patch = patch };
        if (config.Features is not null) config = config with { Features = 20 };
        VisionModel model = entry.Create(config, seed: 3);
        Assert.That(model.Parameters.ParameterCount, Is.LessThan(entry.Create().Parameters.ParameterCount / 2));
        model.Parameters.Freeze(); // as a loaded one is
        Tensor image = Numbers.Uniform(1, 0f, 1f, 1, 32, 32, 1);
        Tensor expected = model.Forward(image);
        Assert.That(expected.Shape[-1], Is.EqualTo(2));

        ModelFile.Save(
            _path, model,
            new ModelInfo(name, config, ["a", "b"], Normalization.None(1), new RunData(SplitProtocol.Image, 0, null, 32, 32)));
        (VisionModel loaded, ModelInfo info) = ModelFile.Load(_path);
        Assert.That(info.Config with { DropPath = config.DropPath, Dropout = config.Dropout }, Is.EqualTo(config));
        Assert.That(loaded.Forward(image).Span.ToArray(), Is.EqualTo(expected.Span.ToArray()));
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
        foreach ((string name, Tensor tensor) in model.Parameters.All)
            Assert.That(read.Parameters[name].Span.SequenceEqual(tensor.Span), name);
        byte[] first = File.ReadAllBytes(_path);
        ModelFile.Save(_path, read, about);
        Assert.That(File.ReadAllBytes(_path), Is.EqualTo(first), "the same model gives the same bytes");
    }

    /// <summary>The metadata as files of earlier versions have it: keys and words stay, and such files load.</summary>
    [Test]
    public void The_metadata_keep_their_keys_and_words()
    {
        RunData data = new(SplitProtocol.Image, 7, null, 64, 96) { SyntheticImages = 200 };
        ModelConfig config = new(Classes: 2) { Width = 8, Depth = 2 };
        ModelFile.Save(_path, Registry.Find("unet").Create(config), new ModelInfo("unet", config, ["a", "b"], Normalization.None(3), data));
        using (SafetensorsFile file = SafetensorsFile.Open(_path))
            Assert.That(file.Metadata, Is.EquivalentTo(new Dictionary<string, string>
            {
                ["format"] = "pt",
                ["model"] = "unet",
                ["task"] = "segmentation",
                ["config"] = """{"input_channels":3,"classes":2,"width":8,"depth":2}""",
                ["labels"] = """{"labels":["a","b"]}""",
                ["normalization"] = """{"mean":[0,0,0],"std":[1,1,1]}""",
                ["data"] = """{"protocol":"slice","seed":7,"synthetic":200,"height":64,"width":96}""",
            }));
        Assert.That(ModelFile.Load(_path).Info.Data, Is.EqualTo(data));
    }

    [Test]
    public void A_foreign_or_damaged_weight_file_is_refused()
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        Safetensors.Write(_path, model.Parameters.All, new Dictionary<string, string> { ["format"] = "pt" });
        Assert.That(() => ModelFile.Load(_path), Throws.TypeOf<CheckpointException>().With.Message.Contains("lacks 'model'"));

        ModelFile.Save(_path, model, Info("unet"));
        Assert.That(
            () => ModelFile.Load(_path),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("do not fit the model").And.Message.Contains("encoder"));

        ModelFile.Save(_path, model, Info("ul-vm-unet"));
        byte[] bytes = File.ReadAllBytes(_path);
        File.WriteAllBytes(_path, bytes[..^10]);
        Assert.That(() => ModelFile.Load(_path), Throws.TypeOf<CheckpointException>().With.Message.Contains(_path));
    }

    [TestCase("data", """{"protocol":"7","seed":1,"height":64,"width":64}""", "'protocol' is '7'")]
    [TestCase("data", """{"protocol":null,"seed":1,"height":64,"width":64}""", "'protocol' is ''")]
    [TestCase("data", """{"protocol":"slice","seed":1,"height":32768,"width":32}""", "'height' is 32768, expected 1 to 4096")]
    [TestCase("labels", """{"labels":["a","b"]}""", "2 names, expected one for each of 1")]
    [TestCase("labels", """{"labels":[null]}""", "'labels'"), TestCase("labels", """{"labels":[]}""", "0 names")]
    [TestCase("data", """{"protocol":"slice","seed":-1,"height":64,"width":64}""", "does not describe a model")]
    [TestCase("normalization", """{"mean":[1e999,0,0],"std":[1,1,1]}""", "'normalization'")]
    public void Metadata_that_make_no_sense_are_refused(string key, string json, string expected)
    {
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        ModelFile.Save(_path, model, Info("ul-vm-unet"));
        Dictionary<string, string> metadata;
        using (SafetensorsFile file = SafetensorsFile.Open(_path)) metadata = new(file.Metadata) { [key] = json };
        Safetensors.Write(_path, model.Parameters.All, metadata);
        Assert.That(
            () => ModelFile.Load(_path), Throws.TypeOf<CheckpointException>().With.Message.Contains(expected).And.Message.Contains(_path));
    }

    private static ModelInfo Info(string model) =>
        new(
            model, new ModelConfig(), ["lesion"], new Normalization([0.1f, 0.2f, 0.3f], [0.5f, 0.6f, 0.7f]),
            new RunData(SplitProtocol.Patient, 42, 500, 128, 96));
}
