using System.Runtime.InteropServices;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Verification;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Weights that say nothing of themselves: their tensors tell the sizes of a zoo model.</summary>
internal sealed class ForeignModelTests
{
    private string _path = null!;

    [SetUp]
    public void NewPath() => _path = Path.Combine(Path.GetTempPath(), $"mamba-{Guid.NewGuid():N}");

    [TearDown]
    public void Remove() => File.Delete(_path);

    [TestCase("ul-vm-unet", null, null, null, 2, 1), TestCase("ul-vm-unet-v1", null, null, null, 1, 3)]
    [TestCase("ul-vm-unet-v4", null, null, null, 3, 3), TestCase("ul-vm-unet-v6", null, null, null, 1, 2)]
    [TestCase("unet", 6, 2, null, 1, 1), TestCase("unet", 4, 5, null, 7, 3), TestCase("unet", 1, 1, null, 2, 2)]
    [TestCase("resnet18-seg", 8, null, null, 3, 1), TestCase("resnet50-seg", 8, null, null, 1, 3)]
    [TestCase("segformer", 16, null, null, 4, 3), TestCase("umambabot", 6, null, null, 2, 3), TestCase("umambabot-pp", 8, null, null, 1, 1)]
    [TestCase("resnet18", 12, null, null, 1000, 3), TestCase("resnet50", 5, null, null, 2, 1)]
    [TestCase("resnet20", 8, 9, null, 100, 3), TestCase("resnet20", 4, 27, null, 1, 1), TestCase("resnet20", 16, 3, null, 11, 3)]
    [TestCase("vim", 24, 3, 4, 10, 3), TestCase("vim", 20, 1, 8, 3, 1), TestCase("vim-patch8-1000", 24, 2, 8, 1000, 4)]
    [TestCase("alexnet", 4, null, null, 5, 1), TestCase("vgg11", 3, null, null, 2, 3), TestCase("mobilenet-v2", 8, null, null, 3, 1)]
    [TestCase("efficientnet-b0", 8, null, null, 4, 3), TestCase("googlenet", null, null, null, 7, 1)]
    [TestCase("regnet-x-400mf", null, null, null, 2, 3), TestCase("regnet-y-400mf", null, null, null, 1000, 1)]
    [TestCase("performer", 24, 2, 8, 10, 3), TestCase("performer-relu", 20, 1, 4, 3, 1)]
    [TestCase("vit", 24, 3, 4, 10, 3), TestCase("vit", 17, 2, 8, 5, 1), TestCase("vit-patch8", 24, 1, 16, 4, 3)]
    public void The_tensors_tell_the_sizes(string name, int? width, int? depth, int? patch, int classes, int channels)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig config = entry.Config with { InputChannels = channels, Classes = classes };
        config = config with { Width = width ?? config.Width, Depth = depth ?? config.Depth, Patch = patch ?? config.Patch };
        if (patch is not null) config = config with { ImageSize = 3 * patch };
        if (config.Features is not null) config = config with { Features = 40 };
        using VisionModel model = entry.Create(config, seed: 3);
        model.Parameters.Freeze();
        WriteBare(model, "module.");

        using WeightFile file = WeightFile.Open(_path);
        (VisionModel loaded, ModelInfo info) = ModelFile.LoadForeign(file, new ForeignModel(entry, NormalizationKind.Half));
        Assert.That(info.Config, Is.EqualTo(config));
        Assert.That((info.Model, info.NamePrefix, info.Data.IsForeign), Is.EqualTo((name, "prefix 'module.' dropped", true)));
        int side = config.ImageSize ?? entry.ImageSize;
        Assert.That((info.Data.Height, info.Data.Width), Is.EqualTo((side, side)));
        Assert.That(info.Normalization.Mean, Is.EqualTo(Enumerable.Repeat(0.5f, channels)));
        int tried = config.ImageSize ?? Math.Max(32, entry.SmallestSide);
        Tensor image = Numbers.Uniform(1, 0f, 1f, 1, tried, tried, channels);
        Assert.That(loaded.Forward(image).Span.ToArray(), Is.EqualTo(model.Forward(image).Span.ToArray()));
    }

    /// <summary>
    /// A file as torchvision saves it, with the counters of its norms and the heads for training alone: all tensors load by name, and the
    /// heads are left out.
    /// </summary>
    [TestCase("googlenet", "aux1 aux2"), TestCase("mobilenet_v2", ""), TestCase("efficientnet_b0", ""), TestCase("regnet_y_400mf", "")]
    public void Torchvisions_files_load_by_name(string name, string heads)
    {
        ModelGoldenFile golden = ModelGoldenFile.Open(ReferenceData.Path($"goldens2/models/{name}.json"));
        List<StoredTensor> stored = [];
        foreach (FilledTensor tensor in golden.Tensors)
        {
            stored.Add(Store(tensor.Name, tensor.Make()));
            if (tensor.Name.EndsWith("running_var", StringComparison.Ordinal))
                stored.Add(new StoredTensor(tensor.Name.Replace("running_var", "num_batches_tracked"), "I64", [], new byte[8]));
        }
        string[] places = heads.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        foreach (string head in places)
            stored.AddRange([Store($"{head}.fc2.weight", Tensor.Zeros(1000, 4)), Store($"{head}.conv.bn.bias", Tensor.Zeros(4))]);
        Safetensors.Write(_path, stored, new Dictionary<string, string>());

        ModelEntry entry = Registry.Find(name.Replace('_', '-'));
        using WeightFile file = WeightFile.Open(_path);
        (VisionModel model, ModelInfo info) = ModelFile.LoadForeign(file, new ForeignModel(entry, NormalizationKind.ImageNet));
        Assert.That((info.Config, info.Labels.Count, info.Data.Height), Is.EqualTo((entry.Config, 1000, 224)));
        Assert.That(info.LeftOut, Is.EqualTo(
            places.Length == 0 ? "" : "left out 4 tensors that the model goes without: aux1.*, aux2.*"));
        foreach (FilledTensor tensor in golden.Tensors)
            Assert.That(model.Parameters[tensor.Name].Span.SequenceEqual(tensor.Make().Span), tensor.Name);

        static StoredTensor Store(string name, Tensor tensor) =>
            new(name, "F32", tensor.Shape.ToArray(), MemoryMarshal.AsBytes(tensor.Span).ToArray());
    }

    [Test]
    public void A_second_name_of_a_layer_tells_as_much()
    {
        ModelEntry entry = Registry.Find("resnet18-seg");
        ModelConfig config = entry.Config with { InputChannels = 1, Classes = 2, Width = 8 };
        using VisionModel model = entry.Create(config);
        string[] parts = ["conv1", "bn1", "", "", "layer1", "layer2", "layer3", "layer4"];
        Write(model.Parameters.All.Select(p =>
            (p.Name.StartsWith("encoder.", StringComparison.Ordinal) ? $"{parts[p.Name[8] - '0']}{p.Name[9..]}" : p.Name, p.Tensor)));
        Assert.That(LoadForeign(entry).Config, Is.EqualTo(config));
    }

    [Test]
    public void Classes_have_the_given_names_or_numbers()
    {
        using VisionModel model = Save("resnet20", new ModelConfig(Classes: 3) { Width = 4, Depth = 3 });
        ForeignModel given = new(Registry.Find("resnet20"), NormalizationKind.Cifar);
        Assert.That(Load(given).Labels, Is.EqualTo(new[] { "0", "1", "2" }));
        Assert.That(Load(given with { Labels = ["a", "b", "c"] }).Labels, Is.EqualTo(new[] { "a", "b", "c" }));
        Assert.That(
            () => Load(given with { Labels = ["a", "b"] }),
            Throws.ArgumentException.With.Message.Contains("have 3 classes, and 2 are named").And.Message.Contains(_path));
        Assert.That(ForeignModel.DefaultLabels(ModelTask.Segmentation, 1), Is.EqualTo(new[] { "lesion" }));
        Assert.That(ForeignModel.DefaultLabels(ModelTask.Segmentation, 2), Is.EqualTo(new[] { "0", "1" }));
        Assert.That(ForeignModel.DefaultLabels(ModelTask.Classification, 1), Is.EqualTo(new[] { "0" }));
    }

    [Test]
    public void A_size_is_taken_where_the_model_can()
    {
        ModelEntry unet = Registry.Find("unet"), vit = Registry.Find("vit");
        using (Save("unet", new ModelConfig { Width = 4, Depth = 2 }))
        {
            ModelInfo info = Load(new ForeignModel(unet, NormalizationKind.None) { Size = (64, 96) });
            Assert.That((info.Data.Height, info.Data.Width, info.Config.ImageSize), Is.EqualTo((64, 96, (int?)null)));
        }
        using VisionModel tokens = Save("vit", new ModelConfig(Classes: 2) { Width = 8, Depth = 1, Patch = 4, ImageSize = 16 });
        ForeignModel given = new(vit, NormalizationKind.None);
        Assert.That(Load(given).Config.ImageSize, Is.EqualTo(16), "as the position table says");
        ModelInfo larger = Load(given with { Size = (24, 24) }); // the table is resampled
        Assert.That((larger.Data.Height, larger.Config.ImageSize), Is.EqualTo((24, (int?)24)));
        Assert.That(() => Load(given with { Size = (16, 24) }), Throws.ArgumentException.With.Message.Contains("takes square images"));
        Assert.That(() => Load(given with { Size = (18, 18) }), Throws.ArgumentException.With.Message.Contains("patches of 4"));
        ModelEntry alexnet = Registry.Find("alexnet");
        using VisionModel images = Save("alexnet", alexnet.Config with { Width = 2 });
        ForeignModel small = new(alexnet, NormalizationKind.ImageNet) { Size = (96, 62) };
        Assert.That(() => Load(small), Throws.ArgumentException.With.Message.Contains("size 96x62: alexnet takes images from 63x63 on"));
        Assert.That(Load(small with { Size = (96, 63) }).Data.Width, Is.EqualTo(63));
    }

    [Test]
    public void Weights_of_another_model_are_refused_with_names()
    {
        using VisionModel unet = Save("unet", new ModelConfig { Width = 4, Depth = 2 });
        Assert.That(
            () => LoadForeign(Registry.Find("vit")),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("do not fit the model").And.Message.Contains("the nearest are '"));
        Assert.That(
            () => LoadForeign(Registry.Find("resnet50-seg")),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("do not fit the model").And.Message.Contains("the nearest are '"));
    }

    [Test]
    public void A_tensor_that_is_missing_or_of_another_shape_is_named()
    {
        using VisionModel model = Registry.Find("resnet20").Create(new ModelConfig(Classes: 3) { Width = 4, Depth = 3 });
        Write(model.Parameters.All.Where(p => p.Name != "linear.bias"));
        Assert.That(
            () => LoadForeign(Registry.Find("resnet20")),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("missing: linear.bias"));
        Write(model.Parameters.All.Select(p => p.Name == "linear.bias" ? (p.Name, Tensor.Zeros(4)) : p));
        Assert.That(
            () => LoadForeign(Registry.Find("resnet20")),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("linear.bias is (4), expected (3)"));
        Write(model.Parameters.All.Append(("extra", Tensor.Zeros(1))));
        Assert.That(
            () => LoadForeign(Registry.Find("resnet20")), Throws.TypeOf<CheckpointException>().With.Message.Contains("unexpected: extra"));
    }

    /// <summary>A few bytes that claim a head of many classes must not fill memory.</summary>
    [Test]
    public void A_small_file_asks_for_no_large_model()
    {
        byte[] header = """{"fc.weight":{"dtype":"F32","shape":[60000,0],"data_offsets":[0,0]}}"""u8.ToArray();
        File.WriteAllBytes(_path, [.. BitConverter.GetBytes((ulong)header.Length), .. header]);
        Assert.That(
            () => LoadForeign(Registry.Find("resnet50")),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("fc.weight is (60000, 0), expected (1000, 2048)"));
    }

    [Test]
    public void A_converted_file_describes_its_model_and_keeps_names_and_types()
    {
        string converted = _path + ".out";
        using VisionModel model = Registry.Find("resnet20").Create(new ModelConfig(Classes: 3) { Width = 4, Depth = 3 });
        WriteBare(model, "module.");
        ModelInfo info;
        using (WeightFile source = WeightFile.Open(_path))
        {
            Assert.That(ModelFile.IsDescribed(source), Is.False);
            info = ModelFile.LoadForeign(source, new ForeignModel(Registry.Find("resnet20"), NormalizationKind.ImageNet)).Info;
            ModelFile.Convert(converted, source, info);
        }
        try
        {
            using WeightFile file = WeightFile.Open(converted), source = WeightFile.Open(_path);
            Assert.That(ModelFile.IsDescribed(file));
            Assert.That(file.Names, Is.EqualTo(source.Names));
            Assert.That(file.Metadata["epoch"], Is.EqualTo("7"), "what else there was is kept");
            Assert.That(file.Metadata["data"], Is.EqualTo("""{"protocol":"official","seed":0,"height":32,"width":32,"foreign":true}"""));
            ModelInfo read = ModelFile.Load(file).Info;
            Assert.That((read.Model, read.Config, read.Data), Is.EqualTo((info.Model, info.Config, info.Data)));
            Assert.That(read.Labels, Is.EqualTo(info.Labels));
            Assert.That(read.Normalization.Mean, Is.EqualTo(info.Normalization.Mean));
        }
        finally
        {
            File.Delete(converted);
        }
    }

    [TestCase("cat\n\n polar bear \r\ndog", "cat|polar bear|dog")]
    [TestCase("2 dog\n0 cat\n1\tpolar bear\n", "cat|polar bear|dog")]
    [TestCase("0 cat\npolar bear", "0 cat|polar bear"), TestCase("7\n8", "7|8"), TestCase("crane\ncrane", "crane|crane")]
    public void Names_are_read_line_by_line_or_by_index(string text, string names)
    {
        File.WriteAllText(_path, text);
        Assert.That(string.Join('|', ClassNames.Read(_path)), Is.EqualTo(names));
    }

    [TestCase("", "no names"), TestCase(" \n\n", "no names"), TestCase("0 a\n0 b", "index 0 of 'b' is there twice")]
    [TestCase("1 a\n2 b", "index 2 of 'b' is too large for 2 lines; expected each from 0 to 1 once")]
    public void A_file_of_names_that_is_none_is_refused(string text, string expected)
    {
        File.WriteAllText(_path, text);
        Assert.That(
            () => ClassNames.Read(_path), Throws.TypeOf<DatasetException>().With.Message.Contains(expected).And.Message.Contains(_path));
        Assert.That(() => ClassNames.Read(_path + "x"), Throws.TypeOf<DatasetException>().With.Message.Contains("cannot be read"));
    }

    private VisionModel Save(string name, ModelConfig config)
    {
        VisionModel model = Registry.Find(name).Create(config);
        WriteBare(model, "");
        return model;
    }

    private void WriteBare(VisionModel model, string prefix) => Write(model.Parameters.All.Select(p => (prefix + p.Name, p.Tensor)));

    private void Write(IEnumerable<(string Name, Tensor Tensor)> tensors) =>
        Safetensors.Write(_path, tensors, new Dictionary<string, string> { ["epoch"] = "7" });

    private ModelInfo LoadForeign(ModelEntry entry) => Load(new ForeignModel(entry, NormalizationKind.None));

    private ModelInfo Load(ForeignModel given)
    {
        using WeightFile file = WeightFile.Open(_path);
        (VisionModel model, ModelInfo info) = ModelFile.LoadForeign(file, given);
        model.Dispose();
        return info;
    }
}
