using System.Diagnostics;
using System.Security.Cryptography;
using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba train --resume</c> and what can go wrong around it.</summary>
[NonParallelizable]
internal sealed class ResumeCommandTests : CliTest
{
    private static readonly string[] s_small =
        ["train", "--limit", "20", "--size", "32", "--epochs", "3", "--ema", "0.9", "--checkpoint-every", "1ms", "--threads", "1"];

    private string Run => In("run");

    [Test]
    public void A_stopped_run_goes_on_from_its_step_and_ends_as_one_that_was_not([Values("run folder", "epoch   1", "epoch   2")] string at)
    {
        Finish(In("whole"));
        Stop(at);
        string stopped = Path.GetFileName(Checkpoints()[^1]);
        int epoch = at[^1] is var digit && char.IsDigit(digit) ? digit - '0' + 1 : 1;
        Assert.That(stopped, Does.StartWith($"epoch000000{epoch}-batch0000001"), "one more step is taken, and kept");
        Result rest = Succeeds("train", "--resume", Run);
        Assert.That(rest.Out, Does.Contain($"resumes in epoch {epoch} after 2 of its images"));
        AssertSame(In("whole"), Run);
        Assert.That(rest.Out, Does.Contain($"sha256 {Hash(Path.Combine(Run, "weights", "last.safetensors"))} of "));
        string hash = Hash(Path.Combine(Run, "weights", "last.safetensors"));
        Assert.That(File.ReadAllText(Path.Combine(Run, "summary.md")), Does.Contain($"`{hash}`").And.Not.Contain("Stopped"));
        Assert.That(Checkpoints(), Has.Length.EqualTo(2), "as many as --keep says");
    }

    [Test]
    public void A_run_killed_before_its_first_checkpoint_starts_again()
    {
        Finish(In("whole"));
        Directory.CreateDirectory(Run);
        File.Copy(Path.Combine(In("whole"), "args.json"), Path.Combine(Run, "args.json"));
        Result rest = Succeeds("train", "--resume", Run);
        Assert.That(rest.Out, Does.Contain("no checkpoint yet; the run starts again"));
        AssertSame(In("whole"), Run);
    }

    [Test]
    public void A_run_killed_before_its_summary_is_tested_again()
    {
        Finish(Run);
        Dictionary<string, byte[]> before = Contents();
        File.Delete(Path.Combine(Run, "summary.md"));
        using (SafetensorsFile file = SafetensorsFile.OpenSealed(Checkpoints()[^1]))
        {
            Dictionary<string, string> metadata = (TrainingState.Read(file) with { Finished = false }).ToMetadata();
            IEnumerable<(string, Tensor)> tensors = file.Names.SkipLast(1).Select(n => (n, Tensor.From(file.ReadFloats(n), file.Shape(n))));
            Safetensors.WriteSealed(Checkpoints()[^1], tensors, metadata);
        }
        Succeeds("train", "--resume", Run);
        Assert.That(File.ReadAllText(Path.Combine(Run, "summary.md")), Does.Contain("Test set, best weights"));
        foreach (string weights in new[] { "best", "last" })
        {
            string path = Path.Combine(Run, "weights", weights + ".safetensors");
            Assert.That(File.ReadAllBytes(path), Is.EqualTo(before[path]));
        }
    }

    [Test]
    public void A_finished_run_is_left_as_it_is()
    {
        Finish(Run);
        Dictionary<string, byte[]> before = Contents();
        Result again = Succeeds("train", "--resume", Run);
        Assert.That(again.Out.Trim(), Is.EqualTo($"{Run}: the run is finished, after 3 epochs; nothing is changed"));
        Assert.That(Contents(), Is.EqualTo(before));
    }

    [Test, Exercises("train", "--resume", "--epochs")]
    public void A_finished_run_goes_on_for_more_epochs_as_one_that_was_longer_from_the_start()
    {
        string[] constant = [.. s_small, "--schedule", "constant"];
        Succeeds([.. With(constant, "--epochs", "5"), "--out", In("whole")]);
        Succeeds([.. constant, "--out", Run]);
        string[] first = File.ReadAllLines(Path.Combine(Run, "results.csv"));
        foreach (string fewer in new[] { "2", "3" })
            Assert.That(Succeeds("train", "--resume", Run, "--epochs", fewer).Out, Does.Contain("the run is finished, after 3 epochs"));
        Result more = Succeeds("train", "--resume", Run, "--epochs", "5");
        Assert.That(more.Out, Does.Contain("resumes in epoch 4 after 0 of its images").And.Contain("epoch   5/5"));
        AssertSame(In("whole"), Run);
        Assert.That(File.ReadAllLines(Path.Combine(Run, "results.csv"))[..4], Is.EqualTo(first), "what was done stays");
        Assert.That(Argument("run", "epochs"), Is.EqualTo("5"));
        Assert.That(
            Succeeds("train", "--resume", Run).Out, Does.Contain("the run is finished, after 5 epochs"), "the new number is the run's own");
    }

    [TestCase("--steps", "4", "4 steps (--steps)"), TestCase("--patience", "1", "1 epochs without a better one (--patience)")]
    [Exercises("train", "--resume", "--epochs")]
    public void A_run_that_something_else_has_ended_is_not_made_longer(string option, string value, string end)
    {
        string[] worse = option == "--patience" ? ["--lr", "1e-12"] : [];
        Succeeds([.. With(s_small, "--epochs", "9"), option, value, .. worse, "--out", Run]);
        Dictionary<string, byte[]> before = Contents();
        Result longer = Mamba("train", "--resume", Run, "--epochs", "12");
        Assert.That((longer.Code, longer.Error.Trim()), Is.EqualTo((2, $"mamba: --epochs is 12; the run ended after {end}, which more "
            + $"epochs do not change; 'mamba train --init {Run}' with the options of a new run starts from its weights")));
        Assert.That(Contents(), Is.EqualTo(before));
    }

    [Test, Exercises("train", "--resume", "--epochs")]
    public void A_stopped_run_can_be_made_longer()
    {
        string[] constant = [.. s_small, "--schedule", "constant"];
        Succeeds([.. With(constant, "--epochs", "4"), "--out", In("whole")]);
        Stop("epoch   1", arguments: constant);
        Succeeds("train", "--resume", Run, "--epochs", "4");
        AssertSame(In("whole"), Run);
    }

    [Test, Exercises("train", "--resume", "--data")]
    public void Data_may_have_moved([Values] bool masksInFolder)
    {
        WriteLesions(In("data"), 12);
        if (masksInFolder)
        {
            foreach (string folder in new[] { "images", "masks" }) Directory.CreateDirectory(In("data", folder));
            foreach (string path in Directory.GetFiles(In("data")))
                File.Move(path, path.Contains("_mask") ? In("data", "masks", Path.GetFileName(path).Replace("_mask", ""))
                    : In("data", "images", Path.GetFileName(path)));
        }
        string[] train = [.. s_small[..1], .. s_small[3..], "--data", In("data")];
        Succeeds([.. train, "--out", In("whole")]);
        Stop("epoch   1", arguments: train);
        Directory.Move(In("data"), In("elsewhere"));
        Result gone = Mamba("train", "--resume", Run);
        Assert.That(gone.Code, Is.EqualTo(2));
        Assert.That(gone.Error, Does.Contain($"{In("data")}: no such folder"));
        Succeeds("train", "--resume", Run, "--data", In("elsewhere"));
        AssertSame(In("whole"), Run);
        Assert.That(Argument("run", "data"), Is.EqualTo(In("elsewhere")));
        foreach (string part in new[] { "train", "val", "test" }) Assert.That(Part("run", part), Is.EqualTo(Part("whole", part)));
    }

    [Test, Exercises("train", "--resume", "--data")]
    public void Data_that_lost_an_image_is_refused_and_more_images_change_nothing()
    {
        WriteLesions(In("data"), 12);
        string[] train = [.. s_small[..1], .. s_small[3..], "--data", In("data")];
        Succeeds([.. train, "--out", In("whole")]);
        Stop("epoch   1", arguments: train);
        File.Move(In("data", "slice4.png"), In("slice4.png"));
        File.Move(In("data", "slice4_mask.png"), In("slice4_mask.png"));
        Result lost = Mamba("train", "--resume", Run);
        Assert.That(lost.Code, Is.EqualTo(2));
        Assert.That(lost.Error, Does.Contain("1 of its images are not in the data: slice4"));
        WriteLesions(In("data"), 14); // the missing one, and two more
        Succeeds("train", "--resume", Run);
        AssertSame(In("whole"), Run);
    }

    [Test, Exercises("train", "--resume", "--recipe")]
    public void A_run_of_many_options_resumes_and_repeats_to_the_same_bits()
    {
        WriteShapes(In("data"), 24);
        for (int i = 0; i < 24; i += 3) ImageFile.SavePng(In("data", $"shapes{i}_mask.png"), new Image(32, 32, 1));
        File.Copy(In("data", "shapes5.png"), In("data", "copy.png"));
        File.Copy(In("data", "shapes5_mask.png"), In("data", "copy_mask.png"));
        File.WriteAllText(In("data", "shapes7.png"), "no image");
        File.WriteAllText(In("labels.txt"), "0 background\n1 disc\n2 square\n");
        string[] train =
        [
            "train", "--model", "unet", "--width", "4", "--depth", "2", "--size", "24", "--epochs", "3", "--batch", "2",
            "--data", In("data"), "--labels", In("labels.txt"), "--on-bad-image", "skip", "--limit", "22", "--balance",
            "--class-weights", "1,2,3", "--monitor", "mean_iou",
            "--accumulate", "3", "--schedule", "cosine", "--warmup", "0.5", "--min-lr", "1e-5", "--optimizer", "sgd", "--momentum", "0.8",
            "--intensity", "percentile:1,99", "--resize", "bilinear", "--freeze", "encoder1*", "--tensorboard", "--augment",
            "--loss", "focal", "--checkpoint-every", "1ms",
        ];
        Succeeds([.. train, "--out", In("whole")]);
        Stop("epoch   1", arguments: train);
        ImageFile.SavePng(In("data", "added since.png"), Pictures.Marked(32, 32, 3, 99));
        ImageFile.SavePng(In("data", "added since_mask.png"), new Image(32, 32, 1));
        Assert.That(Succeeds("train", "--resume", Run).Out, Does.Contain("resumes in epoch 2 after 6 of its images"));
        File.Delete(In("data", "added since.png"));
        File.Delete(In("data", "added since_mask.png"));
        AssertSame(In("whole"), Run);
        Assert.That(File.ReadAllText(Path.Combine(Run, "args.json")), Is.EqualTo(File.ReadAllText(In("whole", "args.json"))));
        Assert.That(File.ReadAllText(Path.Combine(Run, "split.json")), Is.EqualTo(File.ReadAllText(In("whole", "split.json"))));
        Succeeds("train", "--recipe", In("whole", "args.json"), "--out", In("again"));
        AssertSame(In("whole"), In("again"));
        Assert.That(File.ReadAllText(In("again", "args.json")), Is.EqualTo(File.ReadAllText(In("whole", "args.json"))));
    }

    [Test]
    public void A_damaged_checkpoint_gives_way_to_the_one_before_it()
    {
        Finish(In("whole"));
        Stop("epoch   1");
        string[] checkpoints = Checkpoints();
        byte[] bytes = File.ReadAllBytes(checkpoints[^1]);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(checkpoints[^1], bytes);
        Result rest = Succeeds("train", "--resume", Run);
        Assert.That(rest.Out, Does.StartWith($"{checkpoints[^1]}: damaged").And.Contain("the checkpoint before it is used"));
        Assert.That(rest.Out, Does.Contain("resumes in epoch 2 after 0 of its images"));
        Assert.That(checkpoints[^1] + ".damaged", Does.Exist);
        AssertSame(In("whole"), Run);
    }

    [Test]
    public void Without_any_checkpoint_that_can_be_read_nothing_is_touched([Values] bool removed)
    {
        Stop("epoch   1");
        foreach (string checkpoint in Checkpoints())
            if (removed) File.Delete(checkpoint);
            else File.WriteAllText(checkpoint, "no checkpoint at all, but longer than a checksum");
        string results = File.ReadAllText(Path.Combine(Run, "results.csv"));
        Result rest = Mamba("train", "--resume", Run);
        Assert.That(rest.Code, Is.EqualTo(2));
        Assert.That(rest.Error, Does.Contain(removed ? "holds results, but no checkpoint" : "damaged"));
        Assert.That(File.ReadAllText(Path.Combine(Run, "results.csv")), Is.EqualTo(results));
    }

    [Test]
    public void Temporary_files_of_a_killed_process_are_swept()
    {
        Stop("epoch   1");
        string[] stale = [Path.Combine(Run, "weights", "last.safetensors.4711.tmp"), Checkpoints()[0] + ".4711.tmp"];
        foreach (string path in stale) File.WriteAllText(path, "half a file");
        foreach (string path in stale) Assert.That(path, Does.Exist);
        Succeeds("train", "--resume", Run);
        foreach (string path in stale) Assert.That(path, Does.Not.Exist);
    }

    [Test]
    public void A_second_process_is_refused_and_a_dead_one_leaves_no_lock()
    {
        Stop("epoch   1");
        using (new FileStream(Path.Combine(Run, "lock"), FileMode.Open, FileAccess.ReadWrite, FileShare.None))
        {
            Result second = Mamba("train", "--resume", Run);
            Assert.That(second.Code, Is.EqualTo(2));
            Assert.That(second.Error.Trim(), Is.EqualTo($"mamba: {Run}: another process is training in this folder"));
        }
        Assert.That(Path.Combine(Run, "lock"), Does.Exist);
        Assert.That(Succeeds("train", "--resume", Run).Out, Does.Contain("resumes in epoch "), "what a dead process left is no lock");
    }

    [Test]
    public void While_a_run_trains_its_folder_is_locked()
    {
        Result? second = null;
        Result first = Mamba([.. s_small, "--out", Run], CancellationToken.None, line =>
        {
            if (line.StartsWith("epoch   2", StringComparison.Ordinal)) second = Mamba("train", "--resume", Run);
        });
        Assert.That(first.Code, Is.Zero, first.Error);
        Assert.That(second!.Code, Is.EqualTo(2));
        Assert.That(second.Error, Does.Contain("another process is training"));
    }

    [Test]
    public void Runs_that_start_at_once_get_a_folder_each()
    {
        const int Runs = 12;
        ModelEntry entry = Registry.Find("unet");
        RunArguments arguments = new()
        {
            Model = entry.Name,
            Data = RunArguments.Synthetic,
            Epochs = 1,
            Batch = 2,
            LearningRate = 1e-3,
            Optimizer = entry.Recipe.Optimizer,
            WeightDecay = 0,
            Loss = entry.Recipe.Loss,
            Seed = 0,
            Threads = 1,
            Height = 32,
            Width = 32,
            Config = entry.Config,
            CacheBytes = 0,
            CheckpointEvery = CheckpointInterval.Epoch,
            Keep = 1,
        };
        using Barrier start = new(Runs);
        RunFolder[] folders = new RunFolder[Runs];
        Thread[] threads = [.. Enumerable.Range(0, Runs).Select(i => new Thread(() =>
        {
            start.SignalAndWait();
            folders[i] = RunFolder.CreateNext(In("runs"), "unet", arguments);
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();
        IEnumerable<string> names = Enumerable.Range(1, Runs).Select(n => n == 1 ? "unet" : $"unet-{n}");
        Assert.That(folders.Select(f => Path.GetFileName(f.Path)), Is.EquivalentTo(names));
        foreach (RunFolder folder in folders) folder.Dispose();
    }

    [TestCase("--lr", "0.1"), TestCase("--recipe", "vim"), TestCase("--out", "elsewhere"), TestCase("--keep", "3")]
    [TestCase("--patience", "5"), TestCase("--images", "scans")]
    public void Other_options_are_refused_beside_resume(string option, string value)
    {
        Result result = Mamba("train", "--resume", Run, option, value);
        Assert.That(result.Code, Is.EqualTo(2));
        Assert.That(result.Error.Trim(), Is.EqualTo(
            $"mamba: {option} cannot be given with --resume, which uses the options in the run's args.json; "
            + "--data, --epochs, --threads and --check-numerics can"));
    }

    [Test]
    public void A_folder_that_is_no_run_is_refused()
    {
        Directory.CreateDirectory(Run);
        foreach (string path in new[] { Run, In("nowhere") })
        {
            Result result = Mamba("train", "--resume", path);
            Assert.That(result.Code, Is.EqualTo(2));
            Assert.That(result.Error.Trim(), Is.EqualTo($"mamba: {path}: holds no run: there is no args.json"));
        }
        Assert.That(Directory.GetFileSystemEntries(Run), Is.Empty);
    }

    [Test]
    public void A_run_does_not_go_on_with_other_options_or_images()
    {
        Stop("epoch   1");
        string arguments = Path.Combine(Run, "args.json");
        string changed = File.ReadAllText(arguments).Replace("\"weight-decay\": 0.01", "\"weight-decay\": 0.02", StringComparison.Ordinal);
        File.WriteAllText(arguments, changed);
        Result rest = Mamba("train", "--resume", Run);
        Assert.That(rest.Code, Is.EqualTo(2));
        Assert.That(rest.Error, Does.Contain("no longer those of its checkpoint"));
    }

    [Test]
    public void A_run_does_not_go_on_with_another_image_or_mask_under_a_name([Values] bool ofMask)
    {
        WriteLesions(In("data"), 20);
        string[] train = [.. s_small[..1], .. s_small[3..], "--data", In("data")];
        Stop("epoch   1", arguments: train);
        string changed = In("data", ofMask ? "slice7_mask.png" : "slice7.png");
        byte[] before = File.ReadAllBytes(changed);
        Image picture = ImageFile.Load(changed);
        for (int i = 0; i < 40; i++) picture.Pixels[200 + i * 7 % 31] ^= 255;
        ImageFile.SavePng(changed, picture);
        Result rest = Mamba("train", "--resume", Run);
        Assert.That(rest.Code, Is.EqualTo(2));
        Assert.That(rest.Error, Does.Contain("the options, the images or the masks of the run are no longer those of its checkpoint"));

        // The same length, other bytes: both are known by their content.
        byte[] same = [.. before];
        same[^1] ^= 1;
        File.WriteAllBytes(changed, same);
        Assert.That(Mamba("train", "--resume", Run).Error, Does.Contain("no longer those of its checkpoint"));
        File.WriteAllBytes(changed, before);
        Assert.That(Succeeds("train", "--resume", Run).Out, Does.Contain("resumes in epoch 2"));
    }

    [Test]
    public void A_loss_that_is_no_number_keeps_the_state_before_it_and_can_be_looked_into()
    {
        Result train = Mamba("train", "--limit", "20", "--size", "32", "--epochs", "1", "--lr", "1e30", "--out", Run);
        Assert.That(train.Code, Is.EqualTo(2));
        Assert.That(
            train.Error,
            Does.Match(@"^mamba: the (loss|gradient of '.+') is .+ in step \d+ of epoch 1, .*the state before that step is kept, "));
        Assert.That(
            train.Error, Does.EndWith($"and 'mamba train --resume {Run} --check-numerics' names the operator{Environment.NewLine}"));
        using (SafetensorsFile file = SafetensorsFile.OpenSealed(Checkpoints().Single()))
            foreach (string name in file.Names) Assert.That(file.ReadFloats(name), Is.All.Matches<float>(float.IsFinite), name);
        Result again = Mamba("train", "--resume", Run, "--check-numerics");
        Assert.That(again.Code, Is.EqualTo(2));
        Assert.That(again.Error, Does.Match(@"^mamba: the (result|gradient of the result) of \w+ (with|after) '.+' is "));
    }

    [Test]
    public void A_full_disk_is_one_line_and_loses_no_checkpoint()
    {
        string disk = Mount("size=1500k");
        try
        {
            // Each checkpoint takes 600 kB: the third, beside the two that are kept, finds no room; nor do the weights of the last epoch.
            string run = Path.Combine(disk, "run");
            Result full = Mamba([.. s_small[..7], "--checkpoint-every", "1ms", "--keep", "2", "--out", run]);
            Assert.That(full.Code, Is.EqualTo(2));
            Assert.That(full.Error.Trim().Split('\n'), Has.Length.EqualTo(1), full.Error);
            Assert.That(full.Error, Does.Contain("cannot be written").And.Contain("No space left"));
            Assert.That(Directory.GetFiles(run, "*.tmp", SearchOption.AllDirectories), Is.Empty);
            string[] checkpoints = Checkpoints(run);
            Assert.That(checkpoints, Is.Not.Empty);
            foreach (string checkpoint in checkpoints) Assert.That(() => SafetensorsFile.OpenSealed(checkpoint).Dispose(), Throws.Nothing);

            // With room again the run continues from there.
            Assert.That(Command("mount", "-o", "remount,size=20m", disk), Is.Zero);
            Result rest = Succeeds("train", "--resume", run);
            Succeeds([.. s_small[..7], "--out", In("whole")]);
            AssertSame(In("whole"), run);
        }
        finally
        {
            Command("umount", disk);
        }
    }

    [Test]
    public void A_read_only_folder_is_one_line()
    {
        string disk = Mount("size=20m"), run = Path.Combine(disk, "run");
        try
        {
            Stop("epoch   1", run);
            Assert.That(Command("mount", "-o", "remount,ro", disk), Is.Zero);
            foreach (string[] arguments in new[] { ["train", "--resume", run],
                s_small.Append("--out").Append(Path.Combine(disk, "other")).ToArray() })
            {
                Result result = Mamba(arguments);
                Assert.That(result.Code, Is.EqualTo(2));
                Assert.That(result.Error.Trim().Split('\n'), Has.Length.EqualTo(1), result.Error);
                Assert.That(result.Error, Does.Contain("Read-only file system").And.Contain(disk));
            }
        }
        finally
        {
            Command("umount", disk);
        }
    }

    [Test]
    public void MixUp_changes_what_is_learned()
    {
        string[] sizes = ["--width", "24", "--depth", "1", "--size", "16", "--patch", "8"];
        string[] classify = ["train", "--model", "vit", .. sizes, "--batch", "8", "--limit", "40", "--epochs", "1"];
        Succeeds([.. classify, "--out", In("plain")]);
        Succeeds([.. classify, "--mixup", "0.4", "--out", In("mixed")]);
        Assert.That(Hash(In("mixed", "weights", "last.safetensors")), Is.Not.EqualTo(Hash(In("plain", "weights", "last.safetensors"))));
    }

    private static void Finish(string run) => Succeeds([.. s_small, "--out", run]);

    /// <summary>A run that is asked to stop when a line comes that begins so; one more step is taken.</summary>
    private void Stop(string at, string? run = null, string[]? arguments = null)
    {
        using CancellationTokenSource stop = new();
        Result result = Mamba([.. arguments ?? s_small, "--out", run ?? Run], stop.Token, line =>
        {
            if (line.StartsWith(at, StringComparison.Ordinal)) stop.Cancel();
        });
        Assert.That(result.Code, Is.EqualTo(130), result.Error);
        Assert.That(result.Out, Does.Contain($"continue with 'mamba train --resume {run ?? Run}'"));
    }

    private string[] Checkpoints(string? run = null) =>
        [.. Directory.GetFiles(Path.Combine(run ?? Run, "checkpoints"), "*.safetensors").Order(StringComparer.Ordinal)];

    private Dictionary<string, byte[]> Contents() =>
        Directory.GetFiles(Run, "*", SearchOption.AllDirectories).ToDictionary(path => path, File.ReadAllBytes);

    private static string Hash(string path) => Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)));

    private static void AssertSame(string expected, string actual)
    {
        foreach (string name in new[] { "best", "last" })
            Assert.That(Hash(Weights(actual, name)), Is.EqualTo(Hash(Weights(expected, name))), name);
        Assert.That(Results(actual), Is.EqualTo(Results(expected)));

        static string Weights(string run, string name) => Path.Combine(run, "weights", name + ".safetensors");

        // Without times.
        static string[] Results(string run) =>
            [.. File.ReadLines(Path.Combine(run, "results.csv")).Select(line => string.Join(',', line.Split(',')[..^2]))];
    }

    /// <summary>A small file system in memory; where it cannot be mounted the running test is skipped.</summary>
    private string Mount(string options)
    {
        string disk = Directory.CreateDirectory(In("disk")).FullName;
        if (!OperatingSystem.IsLinux() || Environment.UserName != "root"
            || Command("mount", "-t", "tmpfs", "-o", options, "tmpfs", disk) != 0)
            Assert.Ignore("a file system of its own cannot be mounted here; that takes Linux and root");
        return disk;
    }

    private static int Command(string name, params string[] arguments)
    {
        ProcessStartInfo start = new(name, arguments) { RedirectStandardError = true };
        using Process process = Process.Start(start)!;
        process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode;
    }
}
