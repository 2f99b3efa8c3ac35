using System.Text.Json;
using System.Text.RegularExpressions;
using Mamba.Core.Checkpoints;
using Mamba.Models.Blocks;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba explain</c> on small models with random weights.</summary>
[NonParallelizable]
internal sealed partial class ExplainTests : CliTest
{
    private const int Side = 16;

    [Test, Exercises("explain", "--weights", "--method", "--faithfulness", "--out", "--json", "--threads")]
    public void All_methods_of_a_model_are_written_as_pictures_numbers_and_a_page()
    {
        string[] explain = Explain("vim");
        Save("a.png", Pictures.Random(Side, Side, 3));
        Save("b&c.png", Pictures.Smooth(Side, Side, 3));
        string[] all = [.. explain, In("a.png"), In("b&c.png"), "--method", "all", "--faithfulness", "4"];
        JsonElement json = Json([.. all, "--out", In("one"), "--threads", "1", "--json"]);
        Assert.That(json.ToString(), Is.EqualTo(JsonFile(In("one", "explain.json")).ToString()));
        Assert.That(json.GetProperty("methods").EnumerateArray().Select(m => m.GetProperty("method").GetString()),
            Is.EqualTo(new[] { "influence", "delta" }));
        JsonElement curves = json.GetProperty("methods")[0].GetProperty("faithfulness");
        Assert.That(curves.GetProperty("deletion").GetArrayLength(), Is.EqualTo(5));
        Assert.That(curves.GetProperty("block").GetInt32(), Is.EqualTo(4), "a patch");
        JsonElement[] images = [.. json.GetProperty("images").EnumerateArray()];
        Assert.That(images.Select(i => i.GetProperty("image").GetString()), Is.EqualTo(new[] { "a", "b&c" }));
        foreach (JsonElement image in images)
        {
            Assert.That(image.GetProperty("pixel").ValueKind, Is.EqualTo(JsonValueKind.Null), "seen from the class token");
            JsonElement[] maps = [.. image.GetProperty("maps").EnumerateArray()];
            Assert.That(maps, Has.Length.EqualTo(2 * (1 + 2 * 2)), "two methods: the mean, and two layers in two directions");
            foreach (string file in maps.Append(image).Select(m => m.GetProperty("file").GetString()!))
                Assert.That(ImageFile.Load(In("one", file)).Width, Is.EqualTo(256));
        }
        string page = File.ReadAllText(In("one", "index.html"));
        Assert.That(Images().Count(page), Is.EqualTo(2 * 2 * (1 + 5)), "the picture and the maps of each image and method");
        Assert.That(page, Does.Contain(">b&amp;c<").And.Not.Contain("b&c"));
        Assert.That(page, Does.Not.Match("(?i)<script|<link|@import|https?:|src=\"(?!data:)"), "nothing from elsewhere");
        Assert.That(page, Does.Contain("prefers-color-scheme:dark").And.Contain("width=device-width"));

        Result lines = Succeeds([.. all, "--out", In("two"), "--threads", "2"]);
        Assert.That(lines.Out, Does.Match(
            @"(?s)^a: class \w+, probability 0\.\d\d\nb&c: .*influence: deletion 0\.\d\d \(random 0\.\d\d\), insertion 0\.\d\d "
                + @"\(random 0\.\d\d\): .*random\ndelta: deletion .*\n2 images, page .*index\.html"));
        foreach (string file in Directory.GetFiles(In("one")))
            Assert.That(File.ReadAllBytes(In("two", Path.GetFileName(file))), Is.EqualTo(File.ReadAllBytes(file)), file);
    }

    [Test, Exercises("explain", "--pixel", "--class", "--delta", "--faithfulness")]
    public void A_pixel_a_class_and_the_largest_channel_are_as_asked()
    {
        string[] explain = [.. Explain("vim"), Save("a.png", Pictures.Random(2 * Side, Side, 3)), "--faithfulness", "0", "--json"];
        JsonElement pixel = Json([.. explain, "--pixel", "9,3", "--class", "dog", "--out", In("pixel")]);
        JsonElement image = pixel.GetProperty("images")[0];
        Assert.That(image.GetProperty("target").GetString(), Is.EqualTo("class dog"));
        Assert.That(image.GetProperty("pixel").EnumerateArray().Select(v => v.GetInt32()), Is.EqualTo(new[] { 9, 3 }));
        Assert.That(pixel.GetProperty("methods")[0].GetProperty("method").GetString(), Is.EqualTo("influence"), "the first of the model");
        Assert.That(pixel.GetProperty("methods")[0].GetProperty("faithfulness").ValueKind, Is.EqualTo(JsonValueKind.Null));
        Assert.That(File.ReadAllText(In("pixel", "index.html")), Does.Not.Contain("Faithfulness"));

        double[] means = [.. new[] { "mean", "max" }.Select(channels => Json(
            [.. explain, "--method", "delta", "--delta", channels, "--out", In(channels)])
            .GetProperty("images")[0].GetProperty("maps")[1].GetProperty("mean").GetDouble())];
        Assert.That(means[1], Is.GreaterThan(means[0]));
    }

    [Test, Exercises("explain", "--layer", "--limit", "--overwrite", "--out")]
    public void A_layer_is_chosen_and_some_of_many_images_are_taken()
    {
        string[] explain = [.. Explain("resnet8"), In("images"), "--faithfulness", "2", "--out", In("out")];
        Directory.CreateDirectory(In("images"));
        for (int i = 0; i < 6; i++) Save(Path.Combine("images", $"{i}.png"), Pictures.Random(Side, Side, 3));
        Result result = Succeeds([.. explain, "--layer", "stack1", "--limit", "3"]);
        Assert.That(result.Error, Does.Contain("note: 3 of 6 images are explained; --limit 6 takes all"));
        Assert.That(result.Out, Does.Match("(?s)^0: .*\n2: .*\n4: .*\ngradcam: .*\n3 images"));
        JsonElement map = JsonFile(In("out", "explain.json")).GetProperty("images")[0].GetProperty("maps")[0];
        Assert.That(map.GetProperty("layer").GetString(), Is.EqualTo("stack1"));
        Assert.That(File.ReadAllText(In("out", "index.html")), Does.Contain("feature map stack1"));

        Result again = Mamba(explain);
        Assert.That(again.Code, Is.EqualTo(2));
        Assert.That(again.Error, Does.Contain($"{In("out", "index.html")}: is there already; --overwrite replaces it"));
        Succeeds([.. explain, "--overwrite"]);
        Assert.That(File.ReadAllText(In("out", "index.html")), Does.Contain("feature map stack3"), "of the second run");
    }

    [TestCase(8f), TestCase(-8f)]
    public void A_segmentation_is_explained_by_its_lesion_and_measured_where_there_is_one(float bias)
    {
        string[] explain = [.. Explain("ul-vm-unet", 32, bias: bias), Save("a.png", Pictures.Disc(48, 48)), "--faithfulness", "2"];
        Result result = Succeeds([.. explain, "--method", "all", "--out", In("out")]);
        Assert.That(In("out", "a_influence_decoder1.0.mamba-forward.png"), Does.Exist);
        if (bias > 0)
        {
            Assert.That(result.Out, Does.StartWith("a: lesion, 1,024 of 1,024 pixels, probability 1.00, seen from pixel "));
            Assert.That(result.Out, Does.Contain("influence: ").And.Contain("delta: ").And.Contain("gradcam: "));
            return;
        }
        Assert.That(
            result.Out, Does.StartWith("a: no lesion is predicted; lesion at the middle pixel, probability 0.00, seen from pixel 24,24"));
        Assert.That(result.Out, Does.Not.Contain("deletion"));
        Assert.That(
            result.Error, Does.Contain("note: 1 of 1 images have no prediction to explain, and are left out of the curves"));
    }

    [Test]
    public void Every_mixer_is_explained_and_one_without_selection_says_so(
        [Values("vim", "ul-vm-unet")] string model, [Values(MixerKind.Mamba2, MixerKind.Mamba3, MixerKind.S4d)] MixerKind mixer)
    {
        bool invariant = mixer == MixerKind.S4d;
        string[] explain = Explain(model, 64, c => c with { Mixer = mixer }, bias: model == "vim" ? 0 : 8);
        string image = Save("a.png", Pictures.Random(64, 64, 3));
        JsonElement json = Json([.. explain, image, "--method", "all", "--faithfulness", "2", "--out", In("out"), "--json"]);
        foreach (JsonElement method in json.GetProperty("methods").EnumerateArray())
        {
            string name = method.GetProperty("method").GetString()!;
            Assert.That(method.GetProperty("time_invariant").GetBoolean(), Is.EqualTo(invariant && name != "gradcam"), name);
            JsonValueKind measured = invariant && name == "delta" ? JsonValueKind.Null : JsonValueKind.Object;
            Assert.That(method.GetProperty("faithfulness").ValueKind, Is.EqualTo(measured), name);
        }
        JsonElement[] maps = [.. json.GetProperty("images")[0].GetProperty("maps").EnumerateArray()];
        foreach (string method in new[] { "influence", "delta" })
        {
            JsonElement[] layers = [.. maps.Where(m => m.GetProperty("method").GetString() == method).Skip(1)];
            string[] directions = [.. layers.Select(m => m.GetProperty("direction").GetString()!)];
            Assert.That(directions, Is.All.EqualTo("forward").Or.EqualTo("backward").And.Some.EqualTo("forward"));
            Assert.That(directions.Contains("backward"), Is.EqualTo(model == "vim"));
            foreach (JsonElement map in layers)
            {
                double least = map.GetProperty("min").GetDouble(), most = map.GetProperty("max").GetDouble();
                Assert.That(most, Is.GreaterThan(0), map.ToString());
                Assert.That(least == most, Is.EqualTo(invariant && method == "delta"), map.ToString());
                Assert.That(In("out", map.GetProperty("file").GetString()!), Does.Exist);
            }
        }
        string page = File.ReadAllText(In("out", "index.html"));
        Assert.That(page.Contains("S4D has no selection"), Is.EqualTo(invariant));
        if (!invariant) return;
        Result delta = Succeeds([.. explain, image, "--method", "delta", "--faithfulness", "2", "--out", In("delta")]);
        Assert.That(delta.Out, Does.Not.Contain("deletion"), "nothing to measure");
        Assert.That(delta.Error, Does.Not.Contain("have no prediction"));
    }

    [Test]
    public void What_cannot_be_explained_is_refused_and_leaves_nothing_behind()
    {
        string image = Save("a.png", Pictures.Random(Side, Side, 3));
        string[] vim = [.. Explain("vim"), image, "--out", In("out")], resnet = [.. Explain("resnet8"), image, "--out", In("out")];
        Refuses("--method rollout does not apply to vim; expected influence, delta or all", [.. vim, "--method", "rollout"]);
        Refuses("--layer is for --method gradcam", [.. vim, "--layer", "layers.0"]);
        Refuses(
            "--layer stack9: resnet8 has no such feature map; expected one of stack1, stack2, stack3", [.. resnet, "--layer", "stack9"]);
        Refuses("--delta is for --method delta", [.. resnet, "--delta", "max"]);
        Refuses("resnet8 has no class 'cow'; expected one of cat, dog", [.. resnet, "--class", "cow"]);
        Refuses("pixel 16,3 is outside of a picture of 16 x 16", [.. resnet, "--pixel", "16,3"]);
        Refuses("--pixel is '4'; expected column and row from the top left, as 120,84", [.. resnet, "--pixel", "4"]);
        Refuses("--method is 'shap'; expected delta or influence or rollout or gradcam or all", [.. resnet, "--method", "shap"]);
        Refuses("--faithfulness is '-1'; expected a whole number from 0 to 1000", [.. resnet, "--faithfulness", "-1"]);
        Refuses("no such file or folder", [.. Explain("vim"), In("b.png"), "--out", In("out")]);
        File.WriteAllBytes(In("c.png"), [1, 2, 3]);
        Refuses("c.png", [.. Explain("vim"), image, In("c.png"), "--out", In("out")]);
        Refuses(
            "alexnet cannot be explained; expected a model whose blocks report what they compute, such as vim, vit or resnet20",
            [.. Explain("alexnet", 64), image, "--out", In("out")]);
        using (WeightFile file = WeightFile.Open(In("vim.safetensors")))
            Safetensors.Write(In("bare.safetensors"), file, new Dictionary<string, string>());
        Refuses("'mamba convert", ["explain", image, "--weights", In("bare.safetensors"), "--out", In("out")]);

        void Refuses(string message, string[] arguments)
        {
            Result result = Mamba(arguments);
            Assert.That(result.Code, Is.EqualTo(2), message);
            Assert.That(result.Error, Does.Contain(message));
            Assert.That(In("out"), Does.Not.Exist);
        }
    }

    [Test]
    public void Volumes_are_refused()
    {
        File.WriteAllBytes(In("scan.nii"), new byte[400]);
        Result result = Mamba([.. Explain("vim"), In("scan.nii"), "--out", In("out")]);
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error, Does.Contain("scan.nii: is a volume; expected pictures"));
        Assert.That(In("out"), Does.Not.Exist);
    }

    /// <summary>Saves a small model with random weights, and begins a command that explains it.</summary>
    private string[] Explain(string name, int side = Side, Func<ModelConfig, ModelConfig>? change = null, float bias = 0)
    {
        ModelEntry entry = Registry.Find(name);
        bool classifier = entry.Task == ModelTask.Classification;
        ModelConfig config = entry.Config with { Classes = classifier ? 2 : 1 };
        if (name == "vim") config = config with { ImageSize = side, Width = 8, Depth = 2 };
        if (name == "alexnet") config = config with { Width = 8 };
        if (change is not null) config = change(config);
        ModelInfo info = new(
            name, config, classifier ? ["cat", "dog"] : ["lesion"], Normalization.None(3),
            new RunData(SplitProtocol.Image, 0, null, side, side));
        using VisionModel model = entry.Create(config, seed: 3);
        if (bias != 0) model.Parameters["final.bias"].Span.Fill(bias);
        ModelFile.Save(In($"{name}.safetensors"), model, info);
        return ["explain", "--weights", In($"{name}.safetensors")];
    }

    private string Save(string name, Image image)
    {
        ImageFile.SavePng(In(name), image);
        return In(name);
    }

    [GeneratedRegex("<img alt=\"[^\"]*\" src=\"data:image/png;base64,")]
    private static partial Regex Images();
}
