using System.CommandLine;
using Mamba.Cli.Commands;
using Mamba.Tests.Models;

namespace Mamba.Tests.Cli;

/// <summary>What <c>mamba train</c> makes of the data of sequences: text files, moved folders, schedules.</summary>
[NonParallelizable]
internal sealed class SequenceDataTests : CliTest
{
    private static readonly string[] s_small =
        ["--model", "mamba-classifier", "--epochs", "1", "--batch", "2", "--width", "8", "--depth", "1", "--threads", "1"];

    [Test]
    public void Classes_columns_and_other_files_are_told_and_infer_reads_the_same()
    {
        foreach ((string label, int least) in new[] { ("a", 2), ("b", 20) })
        {
            Directory.CreateDirectory(In("text", label));
            for (int i = 0; i < 5; i++) File.WriteAllText(In("text", label, $"{i}.csv"), $"time,x\n0,1\n0.5,{i + least}\n");
        }
        File.WriteAllBytes(In("text", "a", "more.flac"), []);
        const string Time = "the column 'time' tells the row, and is left out";
        Result train = Succeeds(["train", "--data", In("text"), .. s_small, "--out", In("run")]);
        Assert.That(
            train.Out,
            Does.Contain("data: signals, 2 positions, 1 values a position, 2 classes (a, b); 7 training sequences, 1 for validation; "
                + $"the first line names the channels, and is skipped (10 files); {Time} (10 files)"));
        Assert.That(train.Out, Does.Contain("note: 1 files of other kinds passed over: 1 .flac"));
        Assert.That(
            Succeeds("eval", "--weights", In("run"), "--data", In("text")).Error,
            Does.Contain($"note: {Time} (10 files)").And.Contain("note: 1 files of other kinds passed over: 1 .flac"));
        Assert.That(
            Succeeds("infer", "--weights", In("run"), In("text", "a", "1.csv"), "--out", In("out")).Error, Does.Contain($"note: {Time}"));
        File.WriteAllText(In("late.csv"), "time,x\n1,1\n0.5,2\n"); // whose time the model's channels tell, not its values
        Assert.That(
            Succeeds("infer", "--weights", In("run"), In("late.csv"), "--out", In("other")).Error, Does.Contain($"note: {Time}"));
        File.WriteAllText(In("wide.csv"), "time,x,y\n1,1,3\n2,2,5\n");
        Result other = Mamba("infer", "--weights", In("run"), In("wide.csv"), "--out", In("no"));
        Assert.That(other.Code, Is.EqualTo(2));
        Assert.That(other.Error, Does.Contain("2 channels; the model was trained on 1; the first line names the channels"));
    }

    [Test]
    public void Images_that_have_moved_are_found_again()
    {
        byte[] pixels = [.. Enumerable.Range(0, 4 * 9).Select(i => (byte)(7 * i))];
        byte[] images = SetSamples.Idx(0x803, [4, 3, 3], pixels), labels = SetSamples.Idx(0x801, [4], [1, 0, 1, 0]);
        Directory.CreateDirectory(In("mnist"));
        foreach (string part in new[] { "train", "t10k" })
        {
            File.WriteAllBytes(In("mnist", part + "-images-idx3-ubyte"), images);
            File.WriteAllBytes(In("mnist", part + "-labels-idx1-ubyte"), labels);
        }
        Succeeds(["train", "--data", "mnist-sequence", "--images", In("mnist"), .. s_small, "--out", In("run")]);
        Directory.Move(In("mnist"), In("moved"));
        string[] resume = ["train", "--resume", In("run"), "--epochs", "2"];
        Result data = Mamba([.. resume, "--data", In("moved")]);
        Assert.That(data.Code, Is.EqualTo(2));
        Assert.That(
            data.Error, Does.StartWith("mamba: --data cannot be given with --resume").And.Contain("; --images, --epochs, --threads and"));
        Assert.That(Succeeds([.. resume, "--images", In("moved")]).Out, Does.Contain("epoch   2/2"));
        Assert.That(Argument("run", "images"), Is.EqualTo(In("moved")));
    }

    [TestCase(2, "--data", "induction"), TestCase(2, "--data", "parity", "--schedule", "constant")]
    [TestCase(0, "--data", "parity"), TestCase(0, "--resume", "run", "--data", "induction")]
    public void The_least_learning_rate_is_for_a_schedule_that_falls(int code, params string[] words)
    {
        TrainOptions options = new();
        Command train = new("train");
        foreach (Option option in options.All) train.Add(option);
        ParseResult parsed = train.Parse([.. words, "--min-lr", "1e-5"]);
        if (code == 0) Assert.That(new SequenceOptions(options).Resolve(parsed).MinLearningRate, Is.EqualTo(1e-5));
        else
            Assert.That(
                () => new SequenceOptions(options).Resolve(parsed),
                Throws.ArgumentException.With.Message.EqualTo("--min-lr is for --schedule cosine"));
    }
}
