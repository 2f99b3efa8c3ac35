using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Zoo;
using Mamba.Tests.Cli;
using Mamba.Tests.Support;

namespace Mamba.Tests.Robustness;

/// <summary>
/// Malformed data sets, weights and recipes, as a user meets them: one line that says what is wrong, or the reaction that was asked for.
/// </summary>
[NonParallelizable]
internal sealed class DataSetTests : CliTest
{
    private string Best => Path.Combine(In("run"), "weights", "best.safetensors");

    [Test, Exercises("eval", "--on-bad-image", "--split", "--json")]
    public void Bad_images_end_training_or_are_skipped_and_counted()
    {
        Write(30);
        Spoil("slice3.png");
        ImageFile.SavePng(Path.Combine(In("data"), "slice8_mask.png"), new Image(3, 4, 1));
        AssertRefused(Train(), "slice3.png: PNG");
        Result skips = Train("--on-bad-image", "skip");
        Assert.That(skips.Code, Is.Zero, skips.Error);
        Assert.That(skips.Out, Does.Contain("skipped 2 of 30 images").And.Contain("slice3.png").And.Contain("slice8_mask.png 3 x 4"));
        Assert.That(File.ReadAllText(Path.Combine(In("run"), "args.json")), Does.Contain("\"on-bad-image\": \"skip\""));

        Result eval = Mamba("eval", "--weights", Best, "--data", In("data"), "--split", "all", "--json");
        Assert.That((eval.Code, eval.Out), Is.EqualTo((2, "")), "no number of a part of the images passes for that of all");
        eval = Mamba("eval", "--weights", Best, "--data", In("data"), "--split", "all", "--json", "--on-bad-image", "skip");
        Assert.That(eval.Code, Is.Zero, eval.Error);
        using JsonDocument json = JsonDocument.Parse(eval.Out);
        Assert.That(
            (json.RootElement.GetProperty("images").GetInt32(), json.RootElement.GetProperty("skipped").GetInt32()), Is.EqualTo((28, 2)));
        Assert.That(eval.Error, Does.Contain("skipped 2 of 30 images"));
    }

    [Test]
    public void Skipped_images_leave_the_split_of_the_others_alone()
    {
        Write(20);
        SegmentationFolder data = new(In("data"));
        Split whole = Split.Of(data, new SplitOptions { Protocol = SplitProtocol.Image, Seed = 3 }),
            rest = whole.Without([whole.Train[0], whole.Train[5]]);
        Assert.That(rest.Train, Is.EqualTo(whole.Train.Where((_, i) => i is not (0 or 5))));
        Assert.That((rest.Val, rest.Test), Is.EqualTo((whole.Val, whole.Test)));
        Assert.That(() => whole.Without(whole.Val), Throws.TypeOf<DatasetException>().With.Message.Contains("0 for validation"));
    }

    [Test]
    public void A_data_set_of_nothing_but_bad_images_is_refused()
    {
        Write(5);
        for (int i = 0; i < 5; i++) Spoil($"slice{i}.png");
        AssertRefused(Train("--on-bad-image", "skip"), "none of 5 images can be read");
    }

    [TestCase(1), TestCase(3)]
    public void Images_have_color_if_any_of_them_has(int color)
    {
        for (int i = 0; i < 30; i++)
        {
            string folder = Path.Combine(In("data"), i < 15 ? "a" : "b");
            Directory.CreateDirectory(folder);
            ImageFile.SavePng(Path.Combine(folder, $"{i}.png"), Pictures.Marked(32, 32, i == 29 ? color : 1, i));
        }
        Spoil("a/0.png");
        string[] arguments =
        [
            "train", "--model", "resnet20", "--width", "4", "--depth", "3", "--data", In("data"), "--normalize", "half", "--augment",
            "none", "--epochs", "1", "--out", In("run"),
        ];
        AssertRefused(Mamba(arguments), "0.png: PNG");
        Result skips = Mamba([.. arguments, "--on-bad-image", "skip"]);
        Assert.That(skips.Code, Is.Zero, skips.Error);
        Assert.That(ModelFile.Load(Best).Info.Config.InputChannels, Is.EqualTo(color));
    }

    [TestCase("slice2_mask.png", "images without a mask: slice2.png"), TestCase("slice2.png", "masks without an image: slice2_mask.png")]
    public void An_image_or_a_mask_alone_is_named(string missing, string problem)
    {
        Write(5);
        File.Delete(Path.Combine(In("data"), missing));
        AssertRefused(Train(), problem);
    }

    [Test]
    public void Folders_without_images_are_refused()
    {
        Directory.CreateDirectory(Path.Combine(In("data"), "empty", "deeper"));
        AssertRefused(Train(), "0 pictures");
        AssertRefused(Mamba("train", "--data", In("data"), "--model", "resnet20", "--out", In("run")), "0 pictures");
        File.WriteAllText(Path.Combine(In("data"), "notes.txt"), "no pictures either");
        AssertRefused(Train(), "0 pictures");
    }

    [Test]
    public void Images_of_mixed_size_and_kind_are_resized()
    {
        Write(6);
        for (int i = 0; i < 3; i++)
        {
            ImageFile.SavePng(Path.Combine(In("data"), $"slice{i}.png"), Pictures.Smooth(20 + 30 * i, 70 - 20 * i, i == 1 ? 1 : 3));
            ImageFile.SavePng(Path.Combine(In("data"), $"slice{i}_mask.png"), new Image(20 + 30 * i, 70 - 20 * i, 1));
        }
        Result train = Train();
        Assert.That(train.Code, Is.Zero, train.Error);
    }

    [Test]
    public void Weights_that_do_not_fit_are_refused()
    {
        Write(5);
        Assert.That(Train().Code, Is.Zero);
        string[] eval = ["eval", "--data", In("data"), "--weights"];
        AssertRefused(Mamba([.. eval, Path.Combine(In("data"), "slice0.png")]), "neither safetensors nor a PyTorch checkpoint");
        File.WriteAllBytes(In("plain.pth"), Core.CheckpointsBytes.Zip("}"));
        AssertRefused(Mamba([.. eval, In("plain.pth")]), "metadata lacks 'model'");
        (VisionModel model, ModelInfo info) = ModelFile.Load(Best);
        ModelFile.Save(In("other.safetensors"), model, info with { Model = "unet", Config = Registry.Find("unet").Config });
        AssertRefused(Mamba([.. eval, In("other.safetensors")]), "do not fit the model");
        AssertRefused(
            Mamba("train", "--data", In("data"), "--init", In("plain.pth"), "--size", "32", "--out", In("again")),
            "no tensor fits the model");
    }

    [TestCase("unet", 1 << 15, 1 << 10), TestCase("vim", 1 << 15, 1 << 10), TestCase("vit", 1 << 15, 1), TestCase("resnet20", 1 << 15, 3)]
    [TestCase("segformer", 1 << 15, null), TestCase("umambabot", 1 << 15, null)]
    public void A_small_file_makes_no_large_model(string name, int width, int? depth)
    {
        ModelEntry entry = Registry.Find(name);
        ModelConfig huge = entry.Config with { Width = width, Depth = depth };
        Safetensors.Write(In("huge.safetensors"), [("a", global::Mamba.Core.Tensor.Zeros(10))], Metadata(entry, huge));
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(() => ModelFile.Load(In("huge.safetensors")), Throws.TypeOf<CheckpointException>().With.Message.Contains("at most 10"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(4 << 20));
    }

    [TestCase("""{"data": "@secret"}""", "@secret: no such folder"), TestCase("""{"model": "--help"}""", "unknown model '--help'")]
    [TestCase("""{"model": "\ud800"}""", "no recipe")]
    [TestCase("""{"note": [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]}""", "no recipe")]
    [TestCase("""{"epochs": 1e99}""", "--epochs is '1e99'")]
    public void A_hostile_recipe_is_refused(string json, string problem)
    {
        File.WriteAllText(In("secret"), "what stands in another file");
        File.WriteAllText(In("recipe.json"), json.Replace("@secret", "@" + In("secret").Replace("\\", "\\\\")));
        AssertRefused(Mamba("train", "--recipe", In("recipe.json"), "--out", In("run")), problem.Replace("@secret", "@" + In("secret")));
    }

    [Test]
    public void A_recipes_note_cannot_steer_the_terminal()
    {
        File.WriteAllText(In("recipe.json"), """{"note": "\u001b[2Jgone", "size": "32", "limit": 10, "epochs": 1}""");
        Result train = Mamba("train", "--recipe", In("recipe.json"), "--out", In("run"));
        Assert.That(train.Code, Is.Zero, train.Error);
        Assert.That(train.Out, Does.Contain("note: ?[2Jgone").And.Not.Contain("\u001b"));
    }

    [TestCase("ul-vm-unet", "encoder1.0.weight", "convolution"), TestCase("vit", "transformer.layers.0.1.net.1.weight", "Linear")]
    public void Weights_that_are_no_numbers_are_found_by_check_numerics(string name, string weight, string operation)
    {
        ModelEntry entry = Registry.Find(name);
        IImageData data = name == "vit" ? new SyntheticShapes(0, 20, 32, 32) : new SyntheticLesions(0, 20, 32, 32);
        ModelConfig config = name == "vit" ? entry.Config with { Width = 24, Depth = 1, Classes = data.Labels.Count } : entry.Config;
        VisionModel model = entry.Create(config);
        model.Parameters[weight].Span[3] = float.NaN;
        ModelInfo info = new(
            name, config, data.Labels, Normalization.None(3), new RunData(SplitProtocol.Image, 0, null, 32, 32) { SyntheticImages = 20 });
        ModelFile.Save(In("corrupted"), model, info);
        ImageFile.SavePng(In("picture.png"), Pictures.Smooth(32, 32, 3));
        foreach (string[] command in new string[][] { ["eval", "--data", "synthetic"], ["infer", In("picture.png"), "--out", In("masks")] })
        {
            string[] arguments = [.. command, "--weights", In("corrupted")];
            Assert.That(Mamba(arguments).Code, Is.Zero, "nobody looks unless asked to");
            AssertRefused(Mamba([.. arguments, "--check-numerics"]), $"the result of {operation} with '{weight}' is NaN");
        }
    }

    private static Dictionary<string, string> Metadata(ModelEntry entry, ModelConfig config)
    {
        string path = Path.GetTempFileName();
        try
        {
            ModelConfig small = entry.Config with
            {
                Width = entry.Name == "segformer" ? 32 : 8,
                Depth = config.Depth is null ? null : entry.Name == "resnet20" ? 3 : 1,
                Classes = 1,
            };
            ModelFile.Save(
                path, entry.Create(small),
                new ModelInfo(
                    entry.Name, config with { Classes = 1 }, ["a"], Normalization.None(3),
                    new RunData(SplitProtocol.Image, 0, null, 32, 32)));
            using WeightFile file = WeightFile.Open(path);
            return new Dictionary<string, string>(file.Metadata);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private static void AssertRefused(Result result, string problem)
    {
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error.Trim().Split('\n'), Has.Length.EqualTo(1), result.Error);
        Assert.That(result.Error, Does.StartWith("mamba: ").And.Contain(problem));
    }

    private Result Train(params string[] more) =>
        Mamba(["train", "--data", In("data"), "--size", "32", "--epochs", "1", "--out", In("run"), .. more]);

    private void Write(int count)
    {
        Directory.CreateDirectory(In("data"));
        for (int i = 0; i < count; i++)
        {
            ImageFile.SavePng(Path.Combine(In("data"), $"slice{i}.png"), Pictures.Marked(40, 32, 3, i));
            ImageFile.SavePng(Path.Combine(In("data"), $"slice{i}_mask.png"), Pictures.Disc(40, 32));
        }
    }

    private void Spoil(string name)
    {
        string path = Path.Combine(In("data"), name);
        File.WriteAllBytes(path, File.ReadAllBytes(path)[..60]);
    }
}
