using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;
using Mamba.Tests.Core;
using static Mamba.Tests.Core.CheckpointsBytes;
using Tensor = Mamba.Core.Tensor;

namespace Mamba.Tests.Cli;

/// <summary>Weights of other programs: <c>--model</c> and the options beside it.</summary>
[NonParallelizable]
internal sealed class ForeignWeightsTests : CliTest
{
    private static readonly ModelEntry s_resnet = Registry.Find("resnet20");
    private static readonly ModelConfig s_small = s_resnet.Config with { Classes = 2, Width = 4, Depth = 3 };
    private static readonly string[] s_foreign = ["--model", "resnet20", "--normalize", "half", "--size", "16"];

    private string Bare => In("bare.safetensors");

    private string Described => In("described.safetensors");

    [Test, Exercises("eval", "--model", "--normalize", "--size", "--labels")]
    public void Eval_measures_them_as_weights_that_describe_themselves()
    {
        WriteResNet();
        WriteClasses(In("data"), 5);
        string[] all = ["eval", "--data", In("data"), "--split", "all", "--json", "--weights"];
        double expected = Loss(Succeeds([.. all, Described]));
        Result measured = Succeeds([.. all, Bare, .. s_foreign]);
        Assert.That(Loss(measured), Is.EqualTo(expected));
        Assert.That(
            measured.Error, Does.Contain("resnet20: 2 classes, 3 channels, width 4, depth 3, 16 x 16, normalization half")
            .And.Contain($"mamba: {Bare}: prefix 'module.' dropped")
            .And.Contain("do not name their classes, which are taken to be those of the data: across, along"));

        // Without --split, all images, because the data has no official split; without --normalize, train's default, and it is said.
        Result plain = Succeeds("eval", "--data", In("data"), "--weights", Bare, "--model", "resnet20");
        Assert.That(plain.Out, Does.Contain("resnet20 on 10 images (all): loss"));
        Assert.That(
            plain.Error, Does.Contain("32 x 32, normalization cifar (the default of train; --normalize for another)")
            .And.Contain("the weights do not say which of these images they were trained on; all are measured"));

        File.WriteAllText(In("names.txt"), "1 along\n0 across\n");
        Result named = Succeeds([.. all, Bare, .. s_foreign, "--labels", In("names.txt")]);
        Assert.That(named.Error, Does.Contain("2 classes (across, along), 3 channels").And.Not.Contain("do not name"));
        Assert.That(Loss(named), Is.EqualTo(expected));
        File.WriteAllText(In("names.txt"), "along\nacross\n");
        Result swapped = Succeeds([.. all, Bare, .. s_foreign, "--labels", In("names.txt")]);
        Assert.That(swapped.Error, Does.Contain(
            "note: the classes of the data are those of the weights in another order, and are matched by name: across, along there, "
                + "along, across in the weights"));
        using JsonDocument first = JsonDocument.Parse(named.Out), other = JsonDocument.Parse(swapped.Out);
        Assert.That(
            other.RootElement.GetProperty("accuracy").GetDouble(),
            Is.EqualTo(1 - first.RootElement.GetProperty("accuracy").GetDouble()).Within(1e-12), "each of two classes is the other one");
        File.WriteAllText(In("names.txt"), "along\nupward\n");
        AssertRefused(
            Mamba([.. all, Bare, .. s_foreign, "--labels", In("names.txt")]), "has the classes across, along", "has along, upward");
    }

    [Test]
    public void Eval_takes_the_official_split_of_the_data_or_refuses()
    {
        WriteResNet();
        WriteClasses(In("plain"), 2);
        foreach (string part in new[] { "train", "test" }) WriteClasses(In("data", part), part == "train" ? 4 : 3);
        string[] eval = ["eval", "--weights", Bare, .. s_foreign, "--data"];
        Result test = Succeeds([.. eval, In("data")]);
        Assert.That(test.Out, Does.Contain("resnet20 on 6 images (test): loss"));
        Assert.That(test.Error, Does.Contain("the official test images are measured"));
        Result typed = Succeeds([.. eval, In("data"), "--split", "test"]);
        Assert.That(typed.Out, Does.Contain("resnet20 on 6 images (test): loss"));
        Assert.That(typed.Error, Does.Not.Contain("official"));
        Assert.That(Succeeds([.. eval, In("data"), "--split", "train"]).Out, Does.Contain("on 8 images (train)"));
        Assert.That(Succeeds([.. eval, In("data"), "--split", "all"]).Out, Does.Contain("on 14 images (all)"));
        AssertRefused(Mamba([.. eval, In("data"), "--split", "val"]), "has no official val images", "--split all");
        AssertRefused(Mamba([.. eval, In("plain"), "--split", "test"]), "has no official test images", "--split-file FILE");
        AssertRefused(Mamba([.. eval, "synthetic", "--split", "test"]), "has no official test images");
    }

    [Test, Exercises("convert", "--model", "--normalize", "--size", "--labels", "--key")]
    public void Convert_writes_what_was_said_into_the_new_file()
    {
        WriteResNet();
        WriteClasses(In("data"), 5);
        WriteCheckpoint();
        File.WriteAllText(In("names.txt"), "across\nalong\n");
        Result converted = Succeeds([
            "convert", In("two.pth"), In("new.safetensors"), "--key", "nets.ema", .. s_foreign, "--labels", In("names.txt"),
        ]);
        Assert.That(converted.Out, Does.Contain("new.safetensors: ").And.Contain("from torch zip"));
        Assert.That(
            converted.Error,
            Does.Contain("resnet20: 2 classes (across, along), 3 channels, width 4, depth 3, 16 x 16, normalization half"));
        using (WeightFile from = WeightFile.Open(In("two.pth"), "nets.ema"), to = WeightFile.Open(In("new.safetensors")))
        {
            Assert.That(to.Names, Is.EqualTo(from.Names));
            Assert.That(to.Names.Select(to.DType), Is.EqualTo(from.Names.Select(from.DType)));
            Assert.That(to.Metadata["labels"], Is.EqualTo("""{"labels":["across","along"]}"""));
        }

        string[] all = ["eval", "--data", In("data"), "--json", "--weights"];
        Result alone = Succeeds([.. all, In("new.safetensors")]);
        Assert.That(Loss(alone), Is.EqualTo(Loss(Succeeds([.. all, Described, "--split", "all"]))));
        Assert.That(alone.Error, Does.Contain("do not say which of these images they were trained on; all are measured"));
        Assert.That(alone.Error, Does.Not.Contain("normalization"), "the file says it now");
    }

    [Test, Exercises("infer", "--model", "--normalize", "--size", "--labels", "--key")]
    public void Infer_runs_them_as_weights_that_describe_themselves()
    {
        WriteResNet();
        WriteClasses(In("data"), 2);
        WriteCheckpoint();
        File.WriteAllText(In("names.txt"), "across\nalong\n");
        Succeeds("infer", "--weights", Described, In("data"), "--out", In("own"));
        Result foreign = Succeeds([
            "infer", "--weights", In("two.pth"), "--key", "nets.ema", .. s_foreign, "--labels", In("names.txt"), In("data"), "--out",
                In("theirs"),
        ]);
        Assert.That(foreign.Error, Does.Contain("resnet20: 2 classes (across, along), 3 channels"));
        Assert.That(File.ReadAllText(In("theirs", "predictions.csv")), Is.EqualTo(File.ReadAllText(In("own", "predictions.csv"))));
    }

    [Test, Exercises("eval", "--key")]
    public void A_key_finds_them_in_a_checkpoint()
    {
        WriteResNet();
        WriteClasses(In("data"), 3);
        WriteCheckpoint();
        string[] eval = ["eval", "--data", In("data"), "--split", "all", "--json", "--weights"];
        double expected = Loss(Succeeds([.. eval, Described]));
        Assert.That(Loss(Succeeds([.. eval, In("two.pth"), "--key", "nets.ema", .. s_foreign])), Is.EqualTo(expected));
        Assert.That(Loss(Succeeds([.. eval, In("two.pth"), "--key", "nets.raw", .. s_foreign])), Is.Not.EqualTo(expected));
        AssertRefused(Mamba([.. eval, In("two.pth"), .. s_foreign]), "--key");
    }

    /// <summary>What a file says of itself is neither overruled, nor is what was typed passed over.</summary>
    [Test]
    public void Options_beside_weights_that_describe_themselves_must_agree()
    {
        WriteResNet();
        WriteClasses(In("data"), 2);
        File.WriteAllText(In("names.txt"), "across\nalong");
        File.WriteAllText(In("others.txt"), "along\nacross");
        string[] eval = ["eval", "--data", In("data"), "--split", "all", "--weights", Described];
        Succeeds([.. eval, .. s_foreign, "--labels", In("names.txt")]);
        AssertRefused(Mamba([.. eval, "--model", "resnet18"]), "--model is resnet18", "says resnet20");
        AssertRefused(Mamba([.. eval, "--model", "resnet2"]), "unknown model 'resnet2'");
        AssertRefused(Mamba([.. eval, "--normalize", "cifar"]), "--normalize is cifar", "says mean 0.5 0.5 0.5");
        AssertRefused(Mamba([.. eval, "--size", "32"]), "--size is 32x32", "says 16x16");
        AssertRefused(Mamba([.. eval, "--labels", In("others.txt")]), "--labels has the classes along, across", "says across, along");
        AssertRefused(Mamba([.. eval, "--key", "model"]), "it has no dictionary 'model'");
        AssertRefused(Mamba("convert", Described, In("new"), "--normalize", "cifar"), "says mean 0.5");
        Assert.That(File.Exists(In("new")), Is.False);
        Succeeds("convert", Described, In("new"), "--model", "resnet20");
        using WeightFile old = WeightFile.Open(Described), copy = WeightFile.Open(In("new"));
        Assert.That(copy.Metadata, Is.EquivalentTo(old.Metadata));
    }

    /// <summary>Torchvision's files of the Inception networks hold heads for training alone.</summary>
    [Test]
    public void Heads_that_a_model_goes_without_are_left_out_and_named()
    {
        ModelEntry entry = Registry.Find("googlenet");
        using VisionModel model = entry.Create(entry.Config with { Classes = 2 }, seed: 2);
        Safetensors.Write(
            Bare, model.Parameters.All.Append(("aux1.fc2.weight", Tensor.Zeros(2, 3))).Append(("aux2.fc2.bias", Tensor.Zeros(2))),
            new Dictionary<string, string>());
        WriteClasses(In("data"), 5);
        string[] foreign = ["--model", "googlenet", "--normalize", "half", "--size", "16"];
        string note = "left out 2 tensors that the model goes without: aux1.*, aux2.*";
        Result converted = Succeeds(["convert", Bare, In("new.safetensors"), .. foreign]);
        Assert.That(converted.Error, Does.Contain($"mamba: {Bare}: {note}").And.Contain("googlenet: 2 classes, 3 channels, 16 x 16"));
        string[] all = ["eval", "--data", In("data"), "--split", "all", "--json", "--weights"];
        Result measured = Succeeds([.. all, Bare, .. foreign]);
        Result alone = Succeeds([.. all, In("new.safetensors")]); // its tensors keep their names
        Assert.That(Loss(alone), Is.EqualTo(Loss(measured)));
        Assert.That(alone.Error, Does.Contain(note));
        AssertRefused(Mamba("train", "--model", "alexnet", "--size", "32"), "size 32x32: alexnet takes images from 63x63 on");
        AssertRefused(Mamba("bench", "--model", "alexnet", "--size", "62"), "size 62x62: alexnet takes images from 63x63 on");
        Result train = Succeeds([
            "train", "--model", "googlenet", "--init", Bare, "--data", In("data"), "--size", "48", "--epochs", "1", "--batch", "2",
            "--out", In("run"),
        ]);
        Assert.That(train.Out, Does.Contain(note));
    }

    [Test]
    public void Weights_that_nothing_is_said_of_are_refused()
    {
        WriteResNet();
        WriteClasses(In("data"), 2);
        string[] eval = ["eval", "--data", In("data"), "--weights", Bare];
        AssertRefused(Mamba(eval), "metadata lacks 'model'", "--model NAME");
        AssertRefused(Mamba([.. eval, "--normalize", "half"]), "--model NAME");
        AssertRefused(Mamba("convert", Bare, In("new"), "--size", "16"), "--model NAME");
        AssertRefused(Mamba("convert", Bare, In("new"), "--labels", In("data")), "--model NAME");
        AssertRefused(Mamba([.. eval, "--model", "vit"]), "do not fit the model", "the nearest are '");
        AssertRefused(Mamba("convert", Bare, In("new"), "--model", "vit"), "do not fit the model", "the nearest are '");
        File.WriteAllText(In("names.txt"), "a\nb\nc");
        AssertRefused(
            Mamba([.. eval, .. s_foreign, "--labels", In("names.txt")]), "have 2 classes, and 3 are named; expected a name for each");
        Assert.That(File.Exists(In("new")), Is.False);
        Assert.That(Succeeds("convert", Bare, In("new")).Error, Is.Empty, "as before: a file that says nothing of its model");
    }

    [Test]
    public void A_model_of_four_channels_takes_no_pictures_and_leaves_no_folder()
    {
        WriteLesions(In("data"), 1);
        ModelEntry unet = Registry.Find("unet");
        using (VisionModel model = unet.Create(unet.Config with { InputChannels = 4, Width = 4, Depth = 2 }, seed: 1))
            Safetensors.Write(Bare, model.Parameters.All, new Dictionary<string, string>());
        string[] foreign = ["--weights", Bare, "--model", "unet", "--size", "32"];
        AssertRefused(
            Mamba(["infer", In("data", "slice0.png"), .. foreign, "--out", In("out")]),
            "The model takes 4 channels, and pictures have 1 or 3");
        Assert.That(In("out"), Does.Not.Exist);
        AssertRefused(
            Mamba(["infer", In("data", "slice0.png"), .. foreign, "--out", In("out"), "--part", "1/2"]), "The model takes 4 channels");
        Assert.That(Directory.GetFiles(In("out")), Is.Empty, "the part is free again");
        AssertRefused(Mamba(["eval", "--data", In("data"), .. foreign]), "The model takes 4 channels");
    }

    [Test]
    public void Masks_name_the_classes_of_a_segmentation_model()
    {
        ModelEntry unet = Registry.Find("unet");
        ModelConfig config = unet.Config with { Width = 4, Depth = 2 };
        using VisionModel model = unet.Create(config, seed: 4);
        Safetensors.Write(Bare, model.Parameters.All, new Dictionary<string, string>());
        ModelInfo info = new("unet", config, ["lesion"], Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, 32, 32));
        ModelFile.Save(Described, model, info);
        WriteLesions(In("data"), 4);
        string[] eval = ["eval", "--data", In("data"), "--split", "all", "--json", "--weights"];
        Result measured = Succeeds([.. eval, Bare, "--model", "unet", "--size", "32"]);
        Assert.That(Loss(measured), Is.EqualTo(Loss(Succeeds([.. eval, Described]))));
        Assert.That(measured.Error, Does.Contain("unet: 1 class, 3 channels, width 4, depth 2, 32 x 32, normalization none (the default"));

        using VisionModel three = unet.Create(config with { Classes = 3 }, seed: 4);
        Safetensors.Write(Bare, three.Parameters.All, new Dictionary<string, string>());
        AssertRefused(Mamba([.. eval, Bare, "--model", "unet", "--size", "32"]), "has the classes lesion", "has 0, 1, 2");
        for (int i = 0; i < 4; i++)
        {
            Image mask = new(40, 32, 1);
            for (int p = 0; p < mask.Pixels.Length; p++) mask.Pixels[p] = (byte)(p / 400 % 3);
            ImageFile.SavePng(In("data", $"slice{i}_mask.png"), mask);
        }
        File.WriteAllText(In("values.txt"), "0 background\n1 disc\n2 square\n");
        Result classes = Succeeds([.. eval, Bare, "--model", "unet", "--size", "32", "--labels", In("values.txt")]);
        Assert.That(classes.Error, Does.Contain("unet: 3 classes, ").And.Contain("those of the data: background, disc, square"));
    }

    private static double Loss(Result result)
    {
        using JsonDocument json = JsonDocument.Parse(result.Out);
        return json.RootElement.GetProperty("loss").GetDouble();
    }

    private static void AssertRefused(Result result, params string[] parts)
    {
        Assert.That(result.Code, Is.EqualTo(2), result.Out + result.Error);
        foreach (string part in parts) Assert.That(result.Error, Does.Contain(part));
    }

    /// <summary>The same weights with a description, and without one under DataParallel's names.</summary>
    private void WriteResNet()
    {
        using VisionModel model = s_resnet.Create(s_small, seed: 2);
        Safetensors.Write(Bare, model.Parameters.All.Select(p => ($"module.{p.Name}", p.Tensor)), new Dictionary<string, string>());
        ModelFile.Save(
            Described, model,
            new ModelInfo(
                "resnet20", s_small, ["across", "along"], Normalization.Of(NormalizationKind.Half, 3),
                new RunData(SplitProtocol.Image, 0, null, 16, 16)));
    }

    /// <summary>A checkpoint with the same weights under nets.ema, and others under nets.raw.</summary>
    private void WriteCheckpoint()
    {
        List<(string Key, byte[] Bytes)> storages = [];
        using VisionModel ema = s_resnet.Create(s_small, seed: 2), raw = s_resnet.Create(s_small, seed: 3);
        File.WriteAllBytes(In("two.pth"), Zip(
            Pairs(Dictionary, ("nets", Pairs(Dictionary, ("raw", StateDict(raw)), ("ema", StateDict(ema))))), [.. storages]));

        string StateDict(VisionModel model) => Pairs(OrderedDictionary, [.. model.Parameters.All.Select(p => (p.Name, Store(p.Tensor)))]);

        string Store(Tensor tensor)
        {
            string key = $"{storages.Count}";
            storages.Add((key, Bytes(tensor.Span.ToArray())));
            long[] shape = [.. tensor.Shape.ToArray().Select(n => (long)n)];
            long[] strides = [.. shape.Select((_, i) => shape.Skip(i + 1).Aggregate(1L, (a, b) => a * b))];
            return CheckpointsBytes.Tensor("FloatStorage", key, tensor.Count, 0, shape, strides);
        }
    }
}
