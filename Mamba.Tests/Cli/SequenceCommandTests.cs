using System.Text.Json;
using Mamba.Tests.Models;

namespace Mamba.Tests.Cli;

/// <summary><c>mamba train</c> and <c>mamba eval</c> on sequences.</summary>
[NonParallelizable]
internal sealed class SequenceCommandTests : CliTest
{
    private static readonly string[] s_small =
    [
        "train", "--data", "induction", "--length", "10", "--steps", "6", "--epochs", "2", "--batch", "4", "--width", "8",
        "--depth", "1", "--lr", "1e-2", "--threads", "1",
    ];

    [Test]
    [Exercises("train", "--data", "--length", "--steps", "--epochs", "--batch", "--width", "--depth", "--lr")]
    public void A_run_writes_its_folder()
    {
        Result train = Succeeds([.. s_small, "--out", In("run")]);
        Assert.That(train.Out, Does.Match(@"(?m)^mamba-lm: [\d,]+ parameters, 1 thread$"));
        Assert.That(
            train.Out, Does.Contain("data: induction, 10 positions, 16 tokens; training sequences without end, 1024 for validation"));
        Assert.That(
            train.Out,
            Does.Match(@"(?m)^epoch   2/2  step 6  loss \d\.\d{4}  val \d\.\d{4}  accuracy \d\.\d{4} exact \d\.\d{4}  \d+ seq/s"));
        Assert.That(train.Out, Does.Match(@"(?m)^best epoch \d; on 1024 test sequences: accuracy "));
        Assert.That(Results("run", "epoch"), Is.EqualTo(new[] { 1.0, 2 }));
        Assert.That(Results("run", "lr"), Is.All.EqualTo(1e-2), "the recipe of induction heads is constant");
        Assert.That(
            File.ReadAllText(In("run", "summary.md")),
            Does.Contain("| steps | 6 of 4 sequences, seed 0 |").And.Contain("Test, best weights: 1024"));
        Assert.That(File.Exists(In("run", "curves.svg")) && File.Exists(In("run", "weights", "last.safetensors")));
        Assert.That((Argument("run", "length"), Argument("run", "steps"), Argument("run", "lr")), Is.EqualTo(("10", "6", "0.01")));
        Assert.That(Succeeds("train", "--resume", In("run")).Out, Does.Contain("the run is finished, after 2 epochs"));
    }

    [Test]
    [Exercises("eval", "--lengths", "--json"), Exercises("eval", "--weights", "--data")]
    public void Weights_are_measured_at_their_length_and_at_others()
    {
        Succeeds([.. s_small, "--out", In("run")]);
        string[] eval = ["eval", "--weights", In("run")];
        Assert.That(
            Succeeds(eval).Out,
            Does.Match(@"mamba-lm on 1024 test sequences of 10 positions \(induction\): loss \d\.\d{4}, .*\naccuracy "));
        string[] lines = Succeeds([.. eval, "--lengths", "5,40000"]).Out.Split('\n');
        Assert.That(lines[2], Does.Match(@"^ +5 +1024 +[01]\.\d{4} +\d+\.\d\d +\d+ +\d+\r?$"));
        Assert.That(lines[3], Does.Match(@"^ +40000 +26 +[01]\.\d{4} +\d+\.\d\d +\d+ +\d+\r?$"));
        JsonElement own = Json([.. eval, "--json"])[0], others = Json([.. eval, "--lengths", "5,40000", "--json"]);
        Assert.That((own.GetProperty("length").GetInt32(), own.GetProperty("sequences").GetInt32()), Is.EqualTo((10, 1024)));
        Assert.That(own.GetProperty("loss").GetDouble(), Is.Positive);
        Assert.That(others[1].GetProperty("length").GetInt32(), Is.EqualTo(40000));
        Assert.That(lines[2], Does.Contain(FormattableString.Invariant($" {others[0].GetProperty("accuracy").GetDouble():F4} ")));
        Refuses([.. eval, "--lengths", "5,x"], "--lengths is '5,x'; expected whole numbers");
        Refuses(["infer", "--weights", In("run"), In("run")], "a model of sequences; expected one of images ('mamba eval' measures it)");
        Refuses([.. eval, "--lengths", "2"], "expected at least 3");
        Refuses([.. eval, "--split", "test"], "--split is for images");
        Refuses([.. eval, "--data", "parity"], "other tokens, channels or classes");
        Refuses([.. eval, "--data", "signals", "--lengths", "9"], "other tokens, channels or classes");
    }

    [Test]
    public void Steps_are_exact_and_the_last_epoch_is_shorter()
    {
        Result train = Succeeds([.. With(With(s_small, "--steps", "10"), "--epochs", "4"), "--out", In("run")]);
        Assert.That(train.Out, Does.Contain("epoch   4/4  step 10 "));
        Assert.That(
            File.ReadAllText(In("run", "summary.md")), Does.Contain("| steps | 10 of 4 sequences").And.Contain("| epochs | 4 of 4,"));
        Succeeds([.. With(With(s_small, "--steps", "3"), "--epochs", "20"), "--out", In("few")]);
        Assert.That(Results("few", "epoch"), Is.EqualTo(new[] { 1.0, 2, 3 }));
    }

    [Test]
    public void A_resumed_run_has_more_epochs_of_as_many_steps()
    {
        Succeeds([.. With(With(s_small, "--steps", "12"), "--epochs", "4"), "--out", In("whole")]);
        Succeeds([.. s_small, "--out", In("run")]); // 6 steps in 2 epochs
        Assert.That(Succeeds("train", "--resume", In("run"), "--epochs", "4").Out, Does.Contain("epoch   4/4  step 12 "));
        Assert.That(Last("run"), Is.EqualTo(Last("whole")), "the schedule is constant");
        Assert.That((Argument("run", "steps"), Argument("run", "epochs")), Is.EqualTo(("12", "4")));
        Assert.That(Succeeds("train", "--resume", In("run")).Out, Does.Contain("the run is finished, after 4 epochs"));
        Succeeds([.. With(s_small, "--steps", "5"), "--out", In("short")]); // 3 steps and 2
        Refuses(["train", "--resume", In("short"), "--epochs", "4"], "the last epoch of the run was shorter");
    }

    [Test]
    public void Weights_of_images_have_no_lengths_and_need_data()
    {
        Succeeds("train", "--limit", "20", "--size", "32", "--epochs", "1", "--out", In("run"));
        Refuses(["eval", "--weights", In("run"), "--lengths", "9", "--data", "synthetic"], "--lengths is for models of sequences");
        Refuses(["eval", "--weights", In("run")], "Option '--data' is required.");
    }

    [Test]
    public void A_stopped_run_is_resumed_to_the_same_weights()
    {
        Succeeds([.. s_small, "--out", In("whole")]);
        using CancellationTokenSource stop = new();
        Result stopped = Mamba([.. s_small, "--out", In("run"), "--checkpoint-every", "1ms"], stop.Token, line =>
        {
            if (line.StartsWith("epoch   1/2", StringComparison.Ordinal)) stop.Cancel();
        });
        Assert.That(stopped.Code, Is.EqualTo(130));
        Assert.That(stopped.Out, Does.Match(@"stopped after \d steps; continue with 'mamba train --resume "));
        Assert.That(Succeeds("train", "--resume", In("run")).Out, Does.Contain("resumes in epoch 2"));
        Assert.That(Last("run"), Is.EqualTo(Last("whole")));
        Assert.That(BestBytes("run"), Is.EqualTo(BestBytes("whole")));
    }

    [Test]
    [Exercises("train", "--init")]
    public void Training_starts_from_other_weights_and_other_lengths()
    {
        Succeeds([.. s_small, "--out", In("short")]);
        Result train = Succeeds([.. With(s_small, "--length", "20"), "--init", In("short"), "--out", In("run")]);
        Assert.That(train.Out, Does.Match(@"weights.best\.safetensors: \d+ tensors loaded"));
        Assert.That(Last("run"), Is.Not.EqualTo(Last("short")));
    }

    [Test]
    [Exercises("train", "--images")]
    public void Folders_of_signals_are_learned_and_images_need_their_folder()
    {
        for (int i = 0; i < 10; i++)
            foreach (int period in new[] { 2, 8 })
            {
                Directory.CreateDirectory(In("signals", $"every{period}"));
                byte[] wav = WavSamples.Pcm16([.. Enumerable.Range(i, 40).Select(t => (short)(t % period == 0 ? 9000 : -50 * i))]);
                File.WriteAllBytes(In("signals", $"every{period}", $"{i}.wav"), wav);
            }
        Result train = Succeeds(
            "train", "--data", In("signals"), "--model", "mamba-classifier", "--epochs", "2", "--batch", "4", "--width", "8",
            "--depth", "1", "--length", "32", "--out", In("run"));
        Assert.That(
            train.Out,
            Does.Contain("data: signals, 32 positions, 1 values a position, 2 classes; 15 training sequences, 1 for validation"));
        Assert.That(Succeeds("eval", "--weights", In("run"), "--data", In("signals")).Out, Does.Contain("on 4 test sequences"));
        Refuses(["eval", "--weights", In("run"), "--data", In("signals"), "--lengths", "9"], "--lengths is for models of tokens");
        Refuses(["train", "--data", "mnist-sequence"], "expected --images DIR beside it");
        Refuses(["train", "--data", "mnist-sequence", "--images", In("signals")], "no idx files");
        Refuses(["train", "--data", "parity", "--images", In("signals")], "--images is for mnist-sequence");
        Refuses(["train", "--data", In("signals"), "--model", "mamba-classifier", "--steps", "9"], "--steps is for generated tasks");
    }

    [TestCase("--augment is for images", "--augment", "basic"), TestCase("--size is for images", "--size", "32")]
    [TestCase("--minutes is for images", "--minutes", "5")]
    [TestCase("--optimizer is for images", "--optimizer", "sgd"), TestCase("--schedule step is for images", "--schedule", "step")]
    [TestCase("is for real values", "--model", "mamba-classifier"), TestCase("unknown model", "--model", "ul-vm-unet")]
    [TestCase("expected at least 3", "--length", "2"), TestCase("--warmup is 2 epochs", "--warmup", "2")]
    public void An_option_that_does_not_fit_is_refused_by_name(string message, string option, string value)
    {
        Refuses([.. With(s_small, option, value), "--out", In("run")], message);
        Assert.That(Directory.Exists(In("run")), Is.False, "nothing is created");
    }

    [Test]
    public void The_length_of_sequences_is_refused_for_images() =>
        Refuses(["train", "--length", "9", "--out", In("run")], "--length is for sequences; ul-vm-unet is for images");

    [Test]
    public void A_model_of_sequences_needs_their_data() =>
        Refuses(["train", "--model", "mamba-lm"], "mamba-lm is for sequences; expected --data selective-copy, induction");

    [Test]
    public void The_arguments_of_a_run_are_a_recipe()
    {
        Succeeds([.. s_small, "--out", In("run")]);
        Succeeds("train", "--recipe", In("run", "args.json"), "--out", In("again"));
        Assert.That(Last("again"), Is.EqualTo(Last("run")));
    }

    private byte[] BestBytes(string run) => File.ReadAllBytes(BestOf(run));

    private static void Refuses(string[] arguments, string message)
    {
        Result result = Mamba(arguments);
        Assert.That(result.Code, Is.EqualTo(2), result.Out);
        Assert.That(result.Error, Does.Contain(message).And.Not.Contain("   at "));
        Assert.That(result.Error.TrimEnd(), Does.Not.Contain('\n'), "one line");
    }
}
