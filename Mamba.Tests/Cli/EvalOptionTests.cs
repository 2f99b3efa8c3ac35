using System.Globalization;
using System.Text.Json;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba eval</c>: which images it measures, at which size, and what it refuses.</summary>
[NonParallelizable]
internal sealed class EvalOptionTests : CliTest
{
    private static readonly string[] s_vit =
        ["train", "--model", "vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8", "--epochs", "1"];

    private string[] Eval => ["eval", "--weights", BestOf("run"), "--json", "--data"];

    [Test, Exercises("eval", "--split", "--data")]
    public void Data_that_lost_or_gained_files_is_refused_with_their_number()
    {
        Train();
        Assert.That(Images(In("data")), Is.EqualTo(2), "the test images");
        foreach (string name in Part("run", "test").Append(Part("run", "train")[0]))
        {
            File.Move(In("data", name + ".png"), In(name + ".png"));
            File.Move(In("data", name + "_mask.png"), In(name + "_mask.png"));
        }
        Result removed = Mamba([.. Eval, In("data")]);
        Assert.That((removed.Code, removed.Out), Is.EqualTo((2, "")));
        Assert.That(removed.Error, Does.Contain(
            "3 files differ from those of the training (3 of 20 gone or changed, 0 of 17 new), and 15 of 17 were trained on; "
                + "--split all measures all of them, --split-file FILE those that a run's split.json lists"));
        Assert.That(Mamba([.. Eval, In("data"), "--split", "test"]), Is.EqualTo(removed), "asking for a part does not make it known");
        Result all = Succeeds([.. Eval, In("data"), "--split", "all"]);
        Assert.That(all.Error, Does.Contain("note: 15 of 17 images were trained on, which flatters the scores"));
        Assert.That(Images(In("data"), "--split", "all"), Is.EqualTo(17));

        WriteLesions(In("data"), 20);
        WriteLesions(In("more"), 1, first: 30);
        File.Move(In("more", "slice0.png"), In("data", "new.png"));
        File.Move(In("more", "slice0_mask.png"), In("data", "new_mask.png"));
        Assert.That(
            Mamba([.. Eval, In("data")]).Error,
            Does.Contain("1 files differ").And.Contain("1 of 21 new").And.Contain("16 of 21 were trained on"));
    }

    [Test, Exercises("eval", "--data", "--split")]
    public void Other_images_are_measured_all_with_a_note_and_a_copy_has_the_same_parts()
    {
        Train();
        foreach (string path in Directory.GetFiles(In("data")))
        {
            Directory.CreateDirectory(In("elsewhere"));
            File.Copy(path, In("elsewhere", Path.GetFileName(path)));
        }
        foreach ((string part, int count) in new[] { ("train", 16), ("val", 2), ("test", 2) })
            Assert.That(Images(In("elsewhere"), "--split", part), Is.EqualTo(count), part);
        JsonElement here = Json([.. Eval, In("data")]), there = Json([.. Eval, In("elsewhere")]);
        Assert.That(there.GetProperty("loss").GetDouble(), Is.EqualTo(here.GetProperty("loss").GetDouble()));

        Directory.CreateDirectory(In("other"));
        WriteLesions(In("source"), 5, first: 25);
        foreach (string path in Directory.GetFiles(In("source"))) File.Move(path, In("other", "other-" + Path.GetFileName(path)));
        Result other = Succeeds([.. Eval, In("other")]);
        Assert.That(other.Error, Does.Contain("note: no image of these names and sizes was trained on; all are measured"));
        Assert.That(Images(In("other")), Is.EqualTo(5));
        Assert.That(
            Succeeds([.. Eval, In("other"), "--split", "all"]).Error, Does.Not.Contain("trained on"), "what was asked for needs no note");
        Assert.That(Mamba([.. Eval, In("other"), "--split", "test"]).Code, Is.EqualTo(2), "there is no test part of other data");
    }

    [Test, Exercises("eval", "--metrics-at", "--split")]
    public void Masks_are_compared_at_the_size_of_the_images_or_of_the_model()
    {
        Train();
        JsonElement model = Json([.. Eval, In("data"), "--split", "val", "--metrics-at", "model"]),
            image = Json([.. Eval, In("data"), "--split", "val", "--metrics-at", "image"]),
            none = Json([.. Eval, In("data"), "--split", "val"]);
        double[] scores = Results("run", "dice_global");
        Assert.That(Dice(model), Is.EqualTo(scores.Max()).Within(1e-6), "training measures at the model's size");
        Assert.That(Dice(image), Is.Not.EqualTo(Dice(model)).And.EqualTo(Dice(none)));
        Assert.That(image.GetProperty("loss").GetDouble(), Is.EqualTo(model.GetProperty("loss").GetDouble()), "the loss is the model's");
        long pixels = Part("run", "val").Sum(name => (long)ImageFile.Load(In("data", name + "_mask.png")).Pixels.Count(p => p == 255));
        Assert.That(Truth(image), Is.EqualTo(pixels));
        Assert.That(Truth(model), Is.LessThan(pixels), "40 columns are 32");

        static double Dice(JsonElement json) => json.GetProperty("dice").GetProperty("global").GetDouble();
        static long Truth(JsonElement json) => json.GetProperty("classes")[0].GetProperty("truth_pixels").GetInt64();
    }

    [Test, Exercises("eval", "--per-image", "--split")]
    public void A_table_has_the_scores_of_each_image()
    {
        Train();
        JsonElement all = Json([.. Eval, In("data"), "--split", "all", "--per-image", In("rows.csv")]);
        string[] lines = File.ReadAllLines(In("rows.csv"));
        Assert.That(lines[0], Is.EqualTo(PerImageScores.Header));
        string[][] rows = [.. lines[1..].Select(line => line.Split(','))];
        Assert.That(rows.Select(row => row[0]).Order(), Is.EqualTo(Enumerable.Range(0, 20).Select(i => $"slice{i}").Order()));
        Assert.That(rows.Select(row => row[2]), Is.All.EqualTo("lesion"));
        Assert.That(rows.Select(row => row[11]), Is.All.EqualTo("1280"), "40 x 32 pixels");
        double truth = Sum(9), predicted = Sum(10), both = rows.Sum(row => Number(row[3]) * (Number(row[9]) + Number(row[10])) / 2);
        JsonElement lesion = all.GetProperty("classes")[0];
        Assert.That(truth, Is.EqualTo(lesion.GetProperty("truth_pixels").GetInt64()));
        Assert.That(predicted, Is.EqualTo(lesion.GetProperty("predicted_pixels").GetInt64()));
        Assert.That(2 * both / (truth + predicted), Is.EqualTo(lesion.GetProperty("dice").GetDouble()).Within(1e-4), "all pixels pooled");

        Succeeds([.. s_vit, "--limit", "20", "--out", In("classes")]);
        Result classes = Mamba("eval", "--weights", BestOf("classes"), "--data", "synthetic", "--per-image", In("no.csv"));
        Assert.That(classes.Code, Is.EqualTo(2));
        Assert.That(classes.Error, Does.Contain("--per-image is for segmentation; vit is for classification"));
        Assert.That(In("no.csv"), Does.Not.Exist);

        double Sum(int column) => rows.Sum(row => Number(row[column]));
        static double Number(string text) => text.Length == 0 ? 0 : double.Parse(text, CultureInfo.InvariantCulture);
    }

    [Test, Exercises("train", "--labels"), Exercises("eval", "--data")]
    public void Values_of_masks_mean_what_they_meant_in_the_training()
    {
        // 0 is the lesion, which nothing but the labels file of the training says.
        WriteLesions(In("data"), 20);
        foreach (string path in Directory.GetFiles(In("data"), "*_mask.png"))
        {
            Image mask = ImageFile.Load(path);
            ImageFile.SavePng(path, new Image(mask.Width, mask.Height, 1, Array.ConvertAll(mask.Pixels, p => (byte)(255 - p))));
        }
        File.WriteAllText(In("labels.txt"), "255 background\n0 lesion\n");
        Succeeds(
            "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "1", "--labels", In("labels.txt"),
            "--data", In("data"), "--out", In("run"));
        JsonElement all = Json([.. Eval, In("data"), "--split", "all"]);
        long zeros = Directory.GetFiles(In("data"), "*_mask.png").Sum(path => (long)ImageFile.Load(path).Pixels.Count(p => p == 0));
        Assert.That(all.GetProperty("classes")[0].GetProperty("truth_pixels").GetInt64(), Is.EqualTo(zeros));
    }

    [Test, Exercises("eval", "--data")]
    public void Images_of_other_bits_than_those_of_the_training_are_told()
    {
        Train();
        Assert.That(Succeeds([.. Eval, In("data")]).Error, Does.Not.Contain("bits"));
        Directory.CreateDirectory(In("wide"));
        for (int i = 0; i < 3; i++)
        {
            Image image = ImageFile.Load(In("data", $"slice{i}.png"));
            ushort[] samples = Array.ConvertAll(image.Pixels, p => (ushort)(p * 16)); // 12 bits in a file of 16
            ImageFile.SavePng(In("wide", $"new{i}.png"), new Image(image.Width, image.Height, 3, samples));
            File.Copy(In("data", $"slice{i}_mask.png"), In("wide", $"new{i}_mask.png"));
        }
        Assert.That(Succeeds([.. Eval, In("wide")]).Error, Does.Contain(
            "note: new0: 12 bits in a file of 16, and the weights were trained on whole ranges; expected images of the same bits"));
    }

    [Test]
    public void Classes_in_another_order_are_matched_by_name()
    {
        WriteShapes(In("data"), 12);
        (string Value, string Name)[] names = [("0", "background"), ("1", "disc"), ("2", "square")];
        File.WriteAllLines(In("labels.txt"), names.Select(name => $"{name.Value} {name.Name}"));
        File.WriteAllLines(In("others.txt"), new[] { "0 background", "1 square", "2 disc" });
        Succeeds(
            "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "4", "--lr", "0.01", "--data",
            In("data"), "--labels", In("labels.txt"), "--out", In("run"));
        WriteShapes(In("swapped"), 12);
        foreach (string path in Directory.GetFiles(In("swapped"), "*_mask.png"))
        {
            Image mask = ImageFile.Load(path);
            for (int p = 0; p < mask.Pixels.Length; p++) mask.Pixels[p] = (byte)((3 - mask.Pixels[p]) % 3);
            ImageFile.SavePng(path, mask);
        }
        string[] eval = ["eval", "--weights", BestOf("run"), "--split", "all", "--json", "--data"];
        Result same = Succeeds([.. eval, In("data")]), other = Succeeds([.. eval, In("swapped"), "--labels", In("others.txt")]);
        Assert.That(other.Error, Does.Contain("in another order, and are matched by name: background, square, disc there, background, "));
        Assert.That(Scores(other.Out), Is.EqualTo(Scores(same.Out)));

        (VisionModel model, ModelInfo info) = ModelFile.Load(BestOf("run"));
        ModelFile.Save(In("turned.safetensors"), model, info with { Labels = [info.Labels[0], info.Labels[2], info.Labels[1]] });
        Result both = Mamba("eval", "--weights", BestOf("run"), In("turned.safetensors"), "--data", In("data"), "--split", "test");
        Assert.That(both.Error, Does.Contain("the same ones in another order; measure each run alone"));

        static string Scores(string json)
        {
            using JsonDocument document = JsonDocument.Parse(json);
            return string.Join('\n', document.RootElement.EnumerateObject().Where(p => p.Name != "ms_per_image").Select(p => $"{p}"));
        }
    }

    [Test]
    public void Data_of_other_classes_is_refused_by_name()
    {
        WriteClasses(In("data"), 10);
        Succeeds([.. s_vit, "--data", In("data"), "--out", In("run")]);
        Directory.CreateDirectory(In("other"));
        Directory.Move(In("data", "across"), In("other", "upward"));
        Directory.Move(In("data", "along"), In("other", "along"));
        Result other = Mamba([.. Eval, In("other"), "--split", "all"]);
        Assert.That(other.Code, Is.EqualTo(2));
        Assert.That(other.Error, Does.Contain($"{In("other")} has the classes along, upward; {BestOf("run")} was trained on across, along")
            .Or.Contain($"{In("other")} has the classes along, upward; {BestOf("run")} was trained on along, across"));
    }

    [Test, Exercises("train", "--data")]
    public void Folders_of_classes_may_lack_a_class_in_a_part()
    {
        WriteClasses(In("data", "train"), 10);
        WriteClasses(In("data", "val"), 3, first: 10);
        WriteClasses(In("data", "test"), 3, first: 13);
        Directory.Delete(In("data", "val", "along"), recursive: true);
        Result run = Succeeds([.. s_vit, "--data", In("data"), "--out", In("run")]);
        Assert.That(run.Out, Does.Contain("note: ").And.Contain("along").And.Contain("20 training, 3 validation, 6 test images"));
        Assert.That(Images(In("data")), Is.EqualTo(6));
    }

    private void Train()
    {
        WriteLesions(In("data"), 20);
        Succeeds(
            "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "3", "--lr", "0.01",
            "--data", In("data"), "--out", In("run"));
    }

    private int Images(string data, params string[] options) => Json([.. Eval, data, .. options]).GetProperty("images").GetInt32();
}
