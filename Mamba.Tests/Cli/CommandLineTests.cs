using System.Text.Json;
using Mamba.Cli.Reports;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Splits;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

[NonParallelizable]
internal sealed class CommandLineTests : CliTest
{
    [Test]
    public void Train_eval_and_infer_on_a_folder_of_images()
    {
        string data = In("data"), run = In("run"), masks = In("masks");
        WriteData(data, 20);
        Result train = Mamba("train", "--data", data, "--size", "32", "--epochs", "2", "--lr", "0.002", "--out", run, "--augment", "--schedule", "step");
        Assert.That(train.Code, Is.Zero, train.Error);
        Assert.That(train.Out, Does.Contain("16 training, 2 validation, 2 test images"));
        foreach (string file in new[] { "args.json", "results.csv", "curves.svg", "summary.md", "weights/best.safetensors", "weights/last.safetensors" })
            Assert.That(Path.Combine(run, file), Does.Exist);
        string[] results = File.ReadAllLines(Path.Combine(run, "results.csv"));
        Assert.That(results, Has.Length.EqualTo(3));
        Assert.That(results[0], Does.StartWith("epoch,train_loss,val_loss,dice_global"));
        Assert.That(File.ReadAllText(Path.Combine(run, "summary.md")), Does.Contain("| Dice |"));
        using JsonDocument arguments = JsonDocument.Parse(File.ReadAllText(Path.Combine(run, "args.json")));
        Assert.That(arguments.RootElement.GetProperty("size").GetString(), Is.EqualTo("32x32"));
        Assert.That(Directory.GetFiles(run, "*.tmp", SearchOption.AllDirectories), Is.Empty);

        string best = Path.Combine(run, "weights", "best.safetensors");
        Result eval = Mamba("eval", "--weights", best, "--data", data, "--json");
        Assert.That(eval.Code, Is.Zero, eval.Error);
        using (JsonDocument json = JsonDocument.Parse(eval.Out))
        {
            Assert.That(json.RootElement.GetProperty("images").GetInt32(), Is.EqualTo(2));
            foreach (string kind in new[] { "global", "image", "paper" })
                Assert.That(json.RootElement.GetProperty("dice").GetProperty(kind).GetDouble(), Is.InRange(0, 1));
        }
        using (JsonDocument all = JsonDocument.Parse(Mamba("eval", "--weights", best, "--data", data, "--split", "all", "--json").Out))
            Assert.That(all.RootElement.GetProperty("images").GetInt32(), Is.EqualTo(20));

        Result infer = Mamba("infer", "--weights", best, data, "--out", masks);
        Assert.That(infer.Code, Is.Zero, infer.Error);
        Assert.That(Directory.GetFiles(masks), Has.Length.EqualTo(40), "a mask and an overlay for each of the images, none for the masks");
        Image picture = ImageFile.Load(Path.Combine(masks, "slice3_pred.png"));
        Assert.That((picture.Width, picture.Height), Is.EqualTo((40, 32)));
        Assert.That(picture.Pixels.Distinct(), Is.SubsetOf(new byte[] { 0, 255 }));
    }

    [Test]
    public void The_same_run_gives_the_same_bytes_at_any_thread_count()
    {
        byte[] Weights(string threads)
        {
            string run = In(threads);
            Result train = Mamba("train", "--limit", "12", "--size", "32", "--epochs", "1", "--threads", threads, "--out", run);
            Assert.That(train.Code, Is.Zero, train.Error);
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
        Assert.That(Mamba("eval", "--weights", Path.Combine(run, "weights", "last.safetensors"), "--data", "synthetic").Code, Is.Zero);
    }

    [Test]
    public void Weights_from_synthetic_data_cut_no_folder_of_images_short()
    {
        string data = In("data"), last = Path.Combine(In("run"), "weights", "last.safetensors");
        WriteData(data, 30);
        Assert.That(Mamba("train", "--limit", "12", "--size", "32", "--epochs", "1", "--out", In("run")).Code, Is.Zero);
        Assert.That(Images(data), Is.EqualTo(3));
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

    [Test]
    public void Models_lists_the_zoo()
    {
        Result models = Mamba("models", "--json");
        Assert.That(models.Code, Is.Zero);
        using JsonDocument json = JsonDocument.Parse(models.Out);
        JsonElement first = json.RootElement[0];
        Assert.That(first.GetProperty("name").GetString(), Is.EqualTo("ul-vm-unet"));
        Assert.That(first.GetProperty("parameters").GetInt64(), Is.EqualTo(49_457));
        Assert.That(first.GetProperty("macs").GetInt64(), Is.GreaterThan(50_000_000));
        Assert.That(first.GetProperty("input").EnumerateArray().Select(e => e.GetInt32()), Is.EqualTo(new[] { 3, 256, 256 }));
        Assert.That(Mamba("models").Out, Does.Contain("7,765,985"));
    }

    [Test]
    public void Verify_gives_a_verdict_a_case()
    {
        string golden = ReferenceData.Path("goldens/ops/group_norm.g4.safetensors");
        Result verify = Mamba("verify", golden, ReferenceData.Path("goldens/models/ul-vm-unet.json"), "--json");
        Assert.That(verify.Code, Is.Zero, verify.Out);
        using JsonDocument json = JsonDocument.Parse(verify.Out);
        Assert.That(json.RootElement.GetProperty("failed").GetInt32(), Is.Zero);
        JsonElement first = json.RootElement.GetProperty("cases")[0];
        Assert.That(first.GetProperty("status").GetString(), Is.EqualTo("pass"));
        Assert.That(first.GetProperty("grad_error").GetDouble(), Is.LessThan(1e-5));

        // A number changed in a copy must be noticed.
        byte[] bytes = File.ReadAllBytes(golden);
        bytes[^2] ^= 0x40;
        File.WriteAllBytes(In("bent.safetensors"), bytes);
        Result bent = Mamba("verify", In("bent.safetensors"));
        Assert.That(bent.Code, Is.EqualTo(1));
        Assert.That(bent.Out, Does.Contain("FAIL").And.Contain("0 passed, 1 failed"));
    }

    [TestCase("train", "--modle", "unet"), TestCase("train", "--model", "unett"), TestCase("train", "--data", "no/such/folder"), TestCase("train", "--epochs", "0")]
    [TestCase("train", "--lr", "-1"), TestCase("train", "--lr", "nan"), TestCase("train", "--size", "8x8"), TestCase("train", "--limit", "2"), TestCase("train", "--protocol", "week")]
    [TestCase("eval"), TestCase("eval", "--weights", "none.safetensors", "--data", "synthetic"), TestCase("infer", "--weights", "none.safetensors", "x.png")]
    [TestCase("verify", "no/such/file.json"), TestCase("verify"), TestCase("dance"), TestCase("train", "--threads", "0"), TestCase("train", "--seed", "-4"), TestCase("train", "--loss", "dice")]
    public void Bad_input_is_one_line_and_exit_code_2(params string[] arguments)
    {
        Result result = Mamba(arguments.Length > 0 && arguments[0] == "train" ? [.. arguments, "--out", In("run")] : arguments);
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error.Trim().Split('\n'), Has.Length.EqualTo(1), result.Error);
        Assert.That(result.Error, Does.StartWith("mamba: ").And.Not.Contain("   at "));
        Assert.That(result.Out, Is.Empty);
        Assert.That(In("run"), Does.Not.Exist, "nothing may be created");
    }

    [TestCase("'dance'", "dance"), TestCase("'--weigths'", "eval", "--weigths", "x", "--data", "synthetic"), TestCase("'--modle'", "train", "--modle", "unet")]
    public void A_misspelt_word_is_named(string word, params string[] arguments) => Assert.That(Mamba(arguments).Error, Does.Contain(word));

    [Test]
    public void A_damaged_image_is_found_before_anything_is_created()
    {
        string data = In("data");
        WriteData(data, 10);
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
        Assert.That(Mamba(arguments).Code, Is.Zero);
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
        WriteData(data, 3);
        File.WriteAllText(Path.Combine(data, "._slice0.png"), "what some systems leave beside a file");
        Directory.CreateSymbolicLink(Path.Combine(data, "again"), data);
        Assert.That(Mamba("train", "--data", data, "--size", "32", "--epochs", "1", "--out", run).Code, Is.Zero);
        Result infer = Mamba("infer", "--weights", Path.Combine(run, "weights", "last.safetensors"), data, "--out", In("masks"));
        Assert.That(infer.Code, Is.Zero, infer.Error);
        Assert.That(Directory.GetFiles(In("masks")), Has.Length.EqualTo(6));
    }

    [Test]
    public void Infer_can_be_stopped_while_it_reads()
    {
        string data = In("data"), run = In("run");
        WriteData(data, 3);
        Assert.That(Mamba("train", "--data", data, "--size", "32", "--epochs", "1", "--out", run).Code, Is.Zero);
        Result infer = Mamba(["infer", "--weights", Path.Combine(run, "weights", "last.safetensors"), data, "--out", In("masks")], new CancellationToken(canceled: true), _ => { });
        Assert.That(infer.Code, Is.EqualTo(130));
        Assert.That(In("masks"), Does.Not.Exist);
    }

    [TestCase(0, "00:00:00"), TestCase(3_661, "01:01:01"), TestCase(100_000, "27:46:40")]
    public void A_duration_may_be_longer_than_a_day(int seconds, string text) => Assert.That(Summary.Duration(TimeSpan.FromSeconds(seconds)), Is.EqualTo(text));

    [TestCase("train"), TestCase("eval"), TestCase("infer"), TestCase("models"), TestCase("bench"), TestCase("verify")]
    public void Help_has_an_example(string verb) => Assert.That(Mamba(verb, "--help").Out, Does.Contain($"Example: mamba {verb}"));

    /// <summary>Slices of 40 x 32 with a bright square, and its mask.</summary>
    private static void WriteData(string folder, int count)
    {
        Directory.CreateDirectory(folder);
        for (int i = 0; i < count; i++)
        {
            Image image = new(40, 32, 3), mask = new(40, 32, 1);
            for (int y = 0; y < 32; y++)
                for (int x = 0; x < 40; x++)
                {
                    bool lesion = Math.Abs(x - 10 - i) < 6 && Math.Abs(y - 16) < 6;
                    for (int c = 0; c < 3; c++) image.Pixels[(y * 40 + x) * 3 + c] = (byte)(lesion ? 200 : 50 + (x * 7 + y * 3) % 40);
                    mask.Pixels[y * 40 + x] = lesion ? (byte)255 : (byte)0;
                }
            ImageFile.SavePng(Path.Combine(folder, $"slice{i}.png"), image);
            ImageFile.SavePng(Path.Combine(folder, $"slice{i}_mask.png"), mask);
        }
    }
}
