using System.Globalization;
using System.Text.Json;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba eval</c> of several weights: folds of a cross-validation, or runs on the same images.</summary>
[NonParallelizable]
internal sealed class EvalFoldsTests : CliTest
{
    private string[] TrainUnet =>
    [
        "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "32", "--epochs", "6", "--batch", "2", "--lr", "0.01",
        "--data", In("data"),
    ];

    [Test, Exercises("eval", "--weights", "--data", "--json", "--per-image")]
    public void Folds_are_measured_each_on_its_own_images_with_mean_and_deviation()
    {
        WriteLesions(In("data"), 12);
        for (int k = 1; k <= 3; k++) Train($"f{k}", "--fold", $"{k}/3");
        string[] eval = ["eval", "--weights", In("f1"), In("f2"), BestOf("f3"), "--data", In("data")];
        JsonElement folds = Json([.. eval, "--json", "--per-image", In("rows.csv")]);
        JsonElement[] runs = [.. folds.GetProperty("runs").EnumerateArray()];
        Assert.That(folds.GetProperty("same_images").GetBoolean(), Is.False);
        Assert.That(runs.Select(run => run.GetProperty("fold").GetString()), Is.EqualTo(new[] { "1/3", "2/3", "3/3" }));
        double[] dice = new double[3];
        for (int k = 0; k < 3; k++)
        {
            JsonElement alone = Json("eval", "--weights", In($"f{k + 1}"), "--data", In("data"), "--json");
            dice[k] = alone.GetProperty("dice").GetProperty("global").GetDouble();
            Assert.That(runs[k].GetProperty("dice").GetProperty("global").GetDouble(), Is.EqualTo(dice[k]));
            Assert.That(runs[k].GetProperty("images").GetInt32(), Is.EqualTo(4));
            Assert.That(runs[k].GetProperty("weights").GetString(), Is.EqualTo(BestOf($"f{k + 1}")));
        }
        Assert.That(dice, Is.Unique);
        double mean = dice.Average(), deviation = Math.Sqrt(dice.Sum(d => (d - mean) * (d - mean)) / 2);
        Assert.That(folds.GetProperty("mean").GetProperty("dice_global").GetDouble(), Is.EqualTo(mean).Within(1e-12));
        Assert.That(folds.GetProperty("deviation").GetProperty("dice_global").GetDouble(), Is.EqualTo(deviation).Within(1e-12));
        Assert.That(
            File.ReadAllLines(In("rows.csv"))[1..].Select(line => line.Split(',')[0]).Order(),
            Is.EqualTo(Enumerable.Range(0, 12).Select(i => $"slice{i}").Order()), "each image once");

        Result table = Succeeds(eval);
        Assert.That(table.Error, Does.Contain("note: 3 runs on images of their own, which they did not train on; all 3 folds"));
        string four = mean.ToString("F4", CultureInfo.InvariantCulture), spread = deviation.ToString("F4", CultureInfo.InvariantCulture);
        Assert.That(table.Out, Does.Match(@"fold +images +dice global").And.Match(@"\n1/3 +4 ").And.Match($@"\nmean +{four}")
            .And.Match($@"\ndeviation +{spread}").And.Contain("standard deviation (n - 1) over 3 runs"));
        Assert.That(table.Out.Split('\n').Select(line => line.Length), Is.All.LessThan(80));
        Assert.That(
            Succeeds(["eval", "--weights", In("f1"), In("f3"), "--data", In("data")]).Error, Does.Contain("; missing folds: 2/3"));
    }

    [Test]
    public void Folds_that_lack_a_class_have_no_mean_over_classes()
    {
        WriteClasses(In("data"), 9);
        Directory.CreateDirectory(In("data", "rare"));
        for (int i = 0; i < 2; i++) File.Move(In("data", "along", $"{i}.png"), In("data", "rare", $"{i}.png"));
        for (int k = 1; k <= 3; k++)
            Succeeds(
                "train", "--model", "vit", "--width", "16", "--depth", "1", "--size", "16", "--patch", "8", "--batch", "8", "--epochs", "1",
                "--augment", "none", "--data", In("data"), "--fold", $"{k}/3", "--protocol", "slice", "--out", In($"f{k}"));
        string[] eval = ["eval", "--weights", In("f1"), In("f2"), In("f3"), "--data", In("data")];
        Result table = Succeeds(eval);
        Assert.That(
            table.Error,
            Does.Match("note: ./3 has no image of rare, and others have: macro F1 is over other classes there, with no mean over runs"));
        Assert.That(table.Out, Does.Match(@"\nmean +- +[01]\.\d{4}").And.Match(@"\ndeviation +- +[01]\.\d{4}"));
        Assert.That(table.Out, Does.Match(@"\nmacro F1 of the predictions of all runs together: 0\.\d{4}"));
        JsonElement folds = Json([.. eval, "--json"]);
        foreach (string of in new[] { "mean", "deviation" })
        {
            Assert.That(folds.GetProperty(of).GetProperty("macro_f1").ValueKind, Is.EqualTo(JsonValueKind.Null));
            Assert.That(folds.GetProperty(of).GetProperty("accuracy").ValueKind, Is.EqualTo(JsonValueKind.Number));
        }
    }

    [Test, Exercises("eval", "--weights", "--split")]
    public void Runs_that_share_images_are_refused()
    {
        WriteLesions(In("data"), 12);
        Train("f1", "--fold", "1/3");
        Train("f2", "--fold", "2/3");
        Train("f1again", "--fold", "1/3", "--lr", "0.02");
        Train("other", "--fold", "2/3", "--seed", "1");
        Train("whole", "--seed", "3");
        Refused("given twice in --weights", "f1", "f1");
        Refused("are measured in both", "f1", "f1again");
        Refused("fold 1/3 by slice of seed 0", "whole", "f1");
        Refused("", "other", "f1");
        foreach (string part in new[] { "all", "train" })
        {
            Result trained = Mamba("eval", "--weights", In("f1"), In("f2"), "--data", In("data"), "--split", part);
            Assert.That(trained.Code, Is.EqualTo(2));
            Assert.That(trained.Error, Does.Contain("were trained on; a mean over runs needs images that were not"));
        }

        void Refused(string message, params string[] runs)
        {
            Result result = Mamba(["eval", "--weights", .. runs.Select(run => In(run)), "--data", In("data")]);
            Assert.That((result.Code, result.Out), Is.EqualTo((2, "")), message);
            Assert.That(result.Error, Does.Contain("are measured in both").Or.Contain(message));
        }
    }

    [Test, Exercises("eval", "--weights", "--per-image")]
    public void Runs_on_the_same_images_are_no_folds()
    {
        WriteLesions(In("data"), 20);
        Train("a");
        Train("b", "--lr", "0.003");
        string[] eval = ["eval", "--weights", In("a"), In("b"), "--data", In("data")];
        Assert.That(Json([.. eval, "--json"]).GetProperty("same_images").GetBoolean(), Is.True);
        Result table = Succeeds(eval);
        Assert.That(table.Error, Does.Contain("note: 2 runs on the same images: the deviation is that of the runs, not of folds")
            .And.Not.Contain("different models"));
        Assert.That(table.Out, Does.Match(@"run +images"));
        Assert.That(Mamba([.. eval, "--per-image", In("no.csv")]).Error, Does.Contain("--per-image has a row an image"));

        Train("wide", "--width", "6");
        Result different = Succeeds([.. eval[..2], In("a"), In("wide"), .. eval[4..]]);
        Assert.That(different.Error, Does.Contain("note: the runs are of different models or sizes: unet 32x32"));

        WriteLesions(In("source"), 5, first: 25);
        Directory.CreateDirectory(In("elsewhere"));
        foreach (string path in Directory.GetFiles(In("source"))) File.Move(path, In("elsewhere", "new-" + Path.GetFileName(path)));
        Assert.That(
            Succeeds([.. eval[..4], "--data", In("elsewhere")]).Error, Does.Contain("all are measured").And.Contain("the same images"));
    }

    private void Train(string run, params string[] options)
    {
        string[] all = TrainUnet;
        for (int i = 0; i < options.Length; i += 2) all = With(all, options[i], options[i + 1]);
        Succeeds([.. all, "--out", In(run)]);
    }
}
