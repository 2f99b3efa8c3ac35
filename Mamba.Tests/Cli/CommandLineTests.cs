using System.Globalization;
using System.Text.Json;
using Mamba.Cli.Reports;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Splits;

namespace Mamba.Tests.Cli;

[NonParallelizable]
internal sealed class CommandLineTests : CliTest
{
    [Test, Exercises("train", "--data", "--size", "--epochs", "--lr", "--augment", "--schedule", "--out")]
    [Exercises("eval", "--weights", "--data", "--split", "--json", "--threads", "--check-numerics"),
        Exercises("infer", "--weights", "--out")]
    public void Train_eval_and_infer_on_a_folder_of_images()
    {
        string data = In("data"), run = In("run"), masks = In("masks");
        WriteLesions(data, 20);
        Result train = Succeeds(
            "train", "--data", data, "--size", "32", "--epochs", "2", "--lr", "0.002", "--augment", "--schedule", "step", "--out", run);
        Assert.That(train.Out, Does.Contain("data: 16 training, 2 validation, 2 test images of 32 x 32"));
        string[] results = File.ReadAllLines(Path.Combine(run, "results.csv"));
        Assert.That(results[0], Is.EqualTo(
            "epoch,train_loss,val_loss,dice_global,dice_image,dice_paper,iou_global,iou_image,iou_paper,lr,seconds,images_per_second"));
        Assert.That(results.Skip(1).Select(line => line.Split(',')[0]), Is.EqualTo(new[] { "1", "2" }));
        JsonElement arguments = JsonFile(Path.Combine(run, "args.json"));
        Assert.That(arguments.GetProperty("size").GetString(), Is.EqualTo("32x32"));
        Assert.That(arguments.GetProperty("augment").GetString(), Is.EqualTo("basic"), "as --augment without a word");
        Assert.That(arguments.GetProperty("data").GetString(), Is.EqualTo(data));
        Assert.That(File.ReadAllText(Path.Combine(run, "curves.svg")), Does.Contain("validation loss").And.Contain("dice global"));
        Assert.That(Directory.GetFiles(run, "*.tmp", SearchOption.AllDirectories), Is.Empty);

        // The best weights have the scores of the best epoch, and those of the summary, at the model's size.
        string best = Path.Combine(run, "weights", "best.safetensors");
        string[] bestRow = results.Skip(1).Select(line => line.Split(',')).MaxBy(row => Number(row[3]))!;
        string[] eval = ["eval", "--weights", best, "--data", data, "--metrics-at", "model"];
        JsonElement val = Json([.. eval, "--split", "val", "--json", "--threads", "1", "--check-numerics"]);
        Assert.That(
            val.EnumerateObject().Select(p => p.Name),
            Is.EqualTo(new[]
            {
                "images", "skipped", "loss", "dice", "iou", "pixel_accuracy", "hausdorff_unit", "images_with_foreground",
                "classes", "ms_per_image",
            }));
        Assert.That(val.GetProperty("loss").GetDouble(), Is.EqualTo(Number(bestRow[2])).Within(1e-6));
        Assert.That(Score(val, "dice", "global"), Is.EqualTo(Number(bestRow[3])).Within(1e-6));
        Assert.That(Score(val, "iou", "image"), Is.EqualTo(Number(bestRow[7])).Within(1e-6));
        JsonElement test = Json([.. eval, "--json"]);
        Assert.That((test.GetProperty("images").GetInt32(), test.GetProperty("skipped").GetInt32()), Is.EqualTo((2, 0)));
        string dice = string.Create(
            CultureInfo.InvariantCulture,
            $"| Dice | {Score(test, "dice", "global"):F4} | {Score(test, "dice", "image"):F4} | {Score(test, "dice", "paper"):F4} |");
        Assert.That(File.ReadAllText(Path.Combine(run, "summary.md")), Does.Contain(dice));
        Assert.That(
            Json([.. eval, "--split", "all", "--json"]).GetProperty("images").GetInt32(), Is.EqualTo(20));
        Assert.That(Succeeds(eval).Out, Does.Contain(string.Create(
            CultureInfo.InvariantCulture,
            $"Dice  {Score(test, "dice", "global"):F4}  {Score(test, "dice", "image"):F4}  {Score(test, "dice", "paper"):F4}")));

        Succeeds("infer", "--weights", best, data, "--out", masks);
        Assert.That(
            Directory.GetFiles(masks, "*.png"), Has.Length.EqualTo(40), "a mask and an overlay for each of the images, none for the masks");
        Image picture = ImageFile.Load(Path.Combine(masks, "slice3_pred.png"));
        Assert.That((picture.Width, picture.Height), Is.EqualTo((40, 32)), "the size of the image, not of the model");

        static double Score(JsonElement json, string measure, string way) => json.GetProperty(measure).GetProperty(way).GetDouble();
        static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);
    }

    [Test]
    public void The_same_run_gives_the_same_bytes_at_any_thread_count()
    {
        byte[] Weights(string threads)
        {
            string run = In(threads);
            Result train = Succeeds("train", "--limit", "12", "--size", "32", "--epochs", "1", "--threads", threads, "--out", run);
            return File.ReadAllBytes(Path.Combine(run, "weights", "last.safetensors"));
        }

        Assert.That(Weights("1"), Is.EqualTo(Weights("3")));
    }

    [Test]
    public void A_stopped_run_keeps_what_it_learned()
    {
        string run = In("run");
        using CancellationTokenSource stop = new();
        // The line that announces the run folder asks for the end, which then comes after the first step.
        Result train = Mamba(["train", "--limit", "20", "--size", "32", "--epochs", "5", "--out", run], stop.Token, line =>
        {
            if (line.Contains("run folder", StringComparison.Ordinal)) stop.Cancel();
        });
        Assert.That(train.Code, Is.EqualTo(130));
        Assert.That(train.Out, Does.Contain("stopped in epoch 1 after 2 images"));
        Assert.That(Path.Combine(run, "weights", "best.safetensors"), Does.Exist);
        Assert.That(File.ReadAllText(Path.Combine(run, "summary.md")), Does.Contain("Stopped in epoch 1"));
        Assert.That(train.Out, Does.Contain($"continue with 'mamba train --resume {run}'"));
        Assert.That(
            Succeeds("eval", "--weights", Path.Combine(run, "weights", "last.safetensors"), "--data", "synthetic").Out,
            Does.Contain("on 2 images"));
    }

    [Test]
    public void Weights_from_synthetic_data_cut_no_folder_of_images_short()
    {
        string data = In("data"), last = Path.Combine(In("run"), "weights", "last.safetensors");
        WriteLesions(data, 30);
        Succeeds("train", "--limit", "12", "--size", "32", "--epochs", "1", "--out", In("run"));
        Assert.That(Images(data), Is.EqualTo(30), "none of which was trained on");
        Assert.That(Images("synthetic"), Is.EqualTo(2));

        int Images(string name)
        {
            using JsonDocument json = JsonDocument.Parse(Mamba("eval", "--weights", last, "--data", name, "--json").Out);
            return json.RootElement.GetProperty("images").GetInt32();
        }
    }

    [Test]
    public void Weights_that_are_no_numbers_are_not_saved()
    {
        Result train = Mamba("train", "--limit", "20", "--size", "32", "--epochs", "1", "--lr", "1e30", "--out", In("run"));
        Assert.That(train.Code, Is.EqualTo(2));
        Assert.That(train.Error, Does.Contain("the loss is"));
        Assert.That(Directory.GetFiles(Path.Combine(In("run"), "weights")), Is.Empty);
    }

    [TestCase("unknown model 'unett'; did you mean 'unet'?", "train", "--model", "unett")]
    [TestCase("no/such/folder: no such folder", "train", "--data", "no/such/folder")]
    [TestCase("--epochs is '0'; expected a whole number from 1 to 1000000", "train", "--epochs", "0")]
    [TestCase("--lr is '-1'; expected a number above 0", "train", "--lr", "-1"),
        TestCase("--lr is 'nan'; expected a number above 0", "train", "--lr", "nan")]
    [TestCase("--size is '8x8'; expected HxW, as 256x256, each from 16 to 4096", "train", "--size", "8x8")]
    [TestCase("2 images of 1 patients cannot be split", "train", "--limit", "2")]
    [TestCase("--protocol is 'week'; expected slice or patient or official or holdout", "train", "--protocol", "week")]
    [TestCase("--weights of 'eval' is missing; see mamba eval --help", "eval")]
    [TestCase("none.safetensors: ", "eval", "--weights", "none.safetensors", "--data", "synthetic")]
    [TestCase("none.safetensors: ", "infer", "--weights", "none.safetensors", "x.png")]
    [TestCase("no/such/file.json: no such file or folder", "verify", "no/such/file.json")]
    [TestCase("<PATH> of 'verify' is missing; see mamba verify --help", "verify")]
    [TestCase("<STUDY> of 'study run' is missing; see mamba study run --help", "study", "run")]
    [TestCase("--threads is '0'; expected a whole number from 1 to 1024", "train", "--threads", "0")]
    [TestCase("--seed is '-4'; expected a whole number of at least 0", "train", "--seed", "-4")]
    [TestCase("loss ce does not fit one class; expected dice, bce, bce-dice, focal, tversky", "train", "--loss", "ce")]
    public void Bad_input_is_one_line_and_exit_code_2(string message, params string[] arguments)
    {
        Result result = Mamba(arguments.Length > 0 && arguments[0] == "train" ? [.. arguments, "--out", In("run")] : arguments);
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error.Trim().Split('\n'), Has.Length.EqualTo(1), result.Error);
        Assert.That(result.Error, Does.StartWith("mamba: ").And.Contain(message).And.Not.Contain("   at "));
        Assert.That(result.Out, Is.Empty);
        Assert.That(In("run"), Does.Not.Exist, "nothing may be created");
    }

    [Test]
    public void A_damaged_image_is_found_before_anything_is_created()
    {
        string data = In("data");
        WriteLesions(data, 10);
        File.WriteAllBytes(Path.Combine(data, "slice7.png"), File.ReadAllBytes(Path.Combine(data, "slice7.png"))[..100]);
        Result train = Mamba("train", "--data", data, "--size", "32", "--epochs", "1", "--out", In("run"));
        Assert.That(train.Code, Is.EqualTo(2));
        Assert.That(train.Error, Does.Contain("slice7.png"));
        Assert.That(In("run"), Does.Not.Exist);
    }

    [Test]
    public void A_folder_that_holds_a_run_is_refused()
    {
        string[] arguments = ["train", "--limit", "10", "--size", "32", "--epochs", "1", "--out", In("run")];
        Succeeds(arguments);
        byte[] before = File.ReadAllBytes(Path.Combine(In("run"), "weights", "last.safetensors"));
        Result again = Mamba(arguments);
        Assert.That(again.Code, Is.EqualTo(2));
        Assert.That(again.Error, Does.Contain("already holds a run"));
        Assert.That(File.ReadAllBytes(Path.Combine(In("run"), "weights", "last.safetensors")), Is.EqualTo(before));
    }

    [Test]
    public void Infer_passes_over_hidden_files_and_folders_that_lead_back()
    {
        string data = In("data"), run = In("run");
        WriteLesions(data, 3);
        File.WriteAllText(Path.Combine(data, "._slice0.png"), "what some systems leave beside a file");
        Directory.CreateSymbolicLink(Path.Combine(data, "again"), data);
        Succeeds("train", "--data", data, "--size", "32", "--epochs", "1", "--out", run);
        Succeeds("infer", "--weights", Path.Combine(run, "weights", "last.safetensors"), data, "--out", In("masks"));
        Assert.That(Directory.GetFiles(In("masks"), "*_pred.png").Select(path => Path.GetFileName(path)), Is.EquivalentTo(new[]
        {
            "slice0_pred.png", "slice1_pred.png", "slice2_pred.png",
        }));
    }

    [Test]
    public void Infer_can_be_stopped_while_it_reads()
    {
        string data = In("data"), run = In("run");
        WriteLesions(data, 3);
        Succeeds("train", "--data", data, "--size", "32", "--epochs", "1", "--out", run);
        string[] arguments = ["infer", "--weights", Path.Combine(run, "weights", "last.safetensors"), data, "--out", In("masks")];
        Result infer = Mamba(arguments, new CancellationToken(canceled: true), _ => { });
        Assert.That(infer.Code, Is.EqualTo(130));
        Assert.That(In("masks"), Does.Not.Exist);
    }

    [TestCase(0, "00:00:00"), TestCase(3_661, "01:01:01"), TestCase(100_000, "27:46:40")]
    public void A_duration_may_be_longer_than_a_day(int seconds, string text) =>
        Assert.That(Summary.Duration(TimeSpan.FromSeconds(seconds)), Is.EqualTo(text));
}
