using System.Globalization;
using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data.Splits;

namespace Mamba.Tests.Cli;

/// <summary>Classification and recipes as a user types them.</summary>
[NonParallelizable]
internal sealed class ClassificationTests : CliTest
{
    private static readonly string[] s_small =
        ["--model", "vit", "--width", "24", "--depth", "1", "--size", "16", "--patch", "8", "--batch", "8"];

    [Test]
    public void Train_eval_and_infer_on_folders_of_classes()
    {
        string data = In("data"), run = In("run");
        WriteClasses(data, 20);
        Result train = Succeeds([
            "train", .. s_small, "--data", data, "--epochs", "8", "--lr", "0.003", "--augment", "none", "--normalize", "half", "--ema",
            "0.9",
            "--label-smoothing", "0.05", "--out", run,
        ]);
        Assert.That(train.Out, Does.Contain("32 training, 4 validation, 4 test images of 16 x 16").And.Contain("macro F1"));
        Assert.That(
            File.ReadLines(In("run", "results.csv")).First(),
            Is.EqualTo("epoch,train_loss,val_loss,macro_f1,accuracy,lr,seconds,images_per_second"));
        Assert.That(File.ReadAllText(In("run", "confusion.svg")), Does.Contain(">across<").And.Contain(">along<"));
        Assert.That(File.ReadAllText(In("run", "summary.md")), Does.Contain("| across |").And.Contain("| along |"));

        string best = In("run", "weights", "best.safetensors");
        Result eval = Succeeds("eval", "--weights", best, "--data", data, "--split", "all", "--json");
        using (JsonDocument json = JsonDocument.Parse(eval.Out))
        {
            string[] names = ["images", "skipped", "loss", "accuracy", "macro_f1", "class_scores", "ms_per_image"];
            Assert.That(json.RootElement.EnumerateObject().Select(p => p.Name), Is.EqualTo(names));
            Assert.That(json.RootElement.GetProperty("images").GetInt32(), Is.EqualTo(40));
            Assert.That(
                json.RootElement.GetProperty("accuracy").GetDouble(), Is.GreaterThan(0.95),
                "stripes across and stripes along are easy to tell");
            JsonElement[] classes = [.. json.RootElement.GetProperty("class_scores").EnumerateArray()];
            Assert.That(classes.Select(k => k.GetProperty("label").GetString()), Is.EqualTo(new[] { "across", "along" }));
            Assert.That(
                classes.Average(k => k.GetProperty("f1").GetDouble()),
                Is.EqualTo(json.RootElement.GetProperty("macro_f1").GetDouble()).Within(1e-12));
            Assert.That(classes.Sum(k => k.GetProperty("images").GetInt64()), Is.EqualTo(40));
        }
        Assert.That(
            Mamba("eval", "--weights", best, "--data", data).Out,
            Does.Match(@"(?m)^class   precision  recall      F1  images\r?$").And.Match(
            @"(?m)^across     [01]\.\d{4}  [01]\.\d{4}  [01]\.\d{4}       \d\r?$"));

        Result infer = Succeeds("infer", "--weights", best, In("data", "along", "3.png"), "--top", "2", "--out", In("out"));
        Assert.That(infer.Out, Does.Match(@"^3: along \d+\.\d %, across \d+\.\d %"));
        string[] table = File.ReadAllLines(In("out", "predictions.csv"));
        Assert.That(table, Has.Length.EqualTo(3));
        Assert.That(table[1], Does.StartWith("3,1,along,"));
        Assert.That(table[1..].Sum(line => double.Parse(line.Split(',')[3], CultureInfo.InvariantCulture)), Is.EqualTo(1).Within(1e-5));
    }

    [Test]
    public void The_arguments_of_a_run_are_a_recipe_and_typed_options_override_it()
    {
        string[] typed =
        [
            "train", .. s_small, "--limit", "40", "--epochs", "1", "--lr", "0.002", "--mixup", "0.2", "--drop-path", "0.1", "--clip-norm",
            "1", "--seed", "5",
        ];
        Succeeds([.. typed, "--out", In("first")]);
        Result again = Succeeds("train", "--recipe", In("first", "args.json"), "--out", In("again"));
        Assert.That(File.ReadAllText(In("again", "args.json")), Is.EqualTo(File.ReadAllText(In("first", "args.json"))));
        Assert.That(
            File.ReadAllBytes(In("again", "weights", "last.safetensors")),
            Is.EqualTo(File.ReadAllBytes(In("first", "weights", "last.safetensors"))));

        Succeeds("train", "--recipe", In("first", "args.json"), "--out", In("other"), "--lr", "0.001");
        using JsonDocument other = JsonDocument.Parse(File.ReadAllText(In("other", "args.json")));
        Assert.That(other.RootElement.GetProperty("lr").GetDouble(), Is.EqualTo(0.001));
        Assert.That(other.RootElement.GetProperty("mixup").GetDouble(), Is.EqualTo(0.2));
    }

    [TestCase("{\"lr\": -1}", "--lr is '-1'"), TestCase("{\"learning\": 1}", "unknown option 'learning'"),
        TestCase("{\"lr\": [1]}", "'lr' is Array")]
    [TestCase("{\"lr\": 1, \"lr\": 2}", "is repeated"), TestCase("[]", "JSON object"), TestCase("{", "no recipe")]
    [TestCase("{\"resume\": \"run\"}", "'resume' cannot stand in a recipe; type --resume")]
    [TestCase("{\"recipe\": \"vit\"}", "'recipe' cannot stand in a recipe; type --recipe"), TestCase("{\"lr\": []}", "true, false or null")]
    public void A_malformed_recipe_is_refused_by_name(string json, string message)
    {
        File.WriteAllText(In("recipe.json"), json);
        Result train = Mamba("train", "--recipe", In("recipe.json"), "--out", In("run"));
        Assert.That(train.Code, Is.EqualTo(2));
        Assert.That(train.Error, Does.Contain("recipe.json").And.Contain(message));
        Assert.That(In("run"), Does.Not.Exist);
    }

    [Test]
    public void An_official_split_is_refused_where_the_data_has_none()
    {
        Result train = Mamba(
            "train", "--recipe", "vit", "--limit", "30", "--epochs", "1", "--depth", "1", "--width", "8", "--protocol", "official", "--out",
            In("run"));
        Assert.That(train.Code, Is.EqualTo(2), "synthetic images have no official split");
        Assert.That(train.Error, Does.Contain("official").And.Contain("or slice, which splits at random"));
        Assert.That(In("run"), Does.Not.Exist);
    }

    [Test]
    public void Initial_weights_are_loaded_as_far_as_they_fit()
    {
        string data = In("data");
        WriteClasses(data, 6);
        Succeeds(["train", .. s_small, "--limit", "20", "--epochs", "1", "--out", In("first")]);
        string weights = In("first", "weights", "last.safetensors");
        Result train =
            Succeeds(["train", .. s_small, "--data", data, "--epochs", "1", "--lr", "1e-12", "--init", weights, "--out", In("second")]);
        Assert.That(train.Out, Does.Contain("misshapen: mlp_head").And.Not.Contain("missing"), "ten synthetic classes before, two now");
        using SafetensorsFile first = SafetensorsFile.Open(weights),
            second = SafetensorsFile.Open(In("second", "weights", "last.safetensors"));
        Assert.That(second.ReadFloats("pos_embedding"), Is.EqualTo(first.ReadFloats("pos_embedding")).Within(1e-6f));
    }

    [TestCase("loss dice", "--model", "vit", "--loss", "dice"), TestCase("is for segmentation", "--mixup", "0.2")]
    [TestCase("--patch cannot be chosen", "--patch", "4"), TestCase("--drop-path cannot be chosen", "--drop-path", "0.1"),
        TestCase("--mixer cannot be chosen", "--model", "vit", "--mixer", "mamba2")]
    [TestCase("square", "--model", "vit", "--size", "32x64"), TestCase("is for classification", "--augment", "randaugment"),
        TestCase("0 to 1", "--ema", "2")]
    [TestCase("no such file", "--init", "none.pth"), TestCase("no multiple of patch", "--model", "vit", "--size", "30")]
    public void Options_that_do_not_fit_are_refused(string message, params string[] options)
    {
        Result train = Mamba(["train", "--limit", "20", "--epochs", "1", "--out", In("run"), .. options]);
        Assert.That(train.Code, Is.EqualTo(2));
        Assert.That(train.Error, Does.Contain(message));
        Assert.That(In("run"), Does.Not.Exist);
    }
}
