using System.Text.Json;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data;
using Mamba.Models.Sequences;
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
        Refuses([.. eval, "--lengths", "5,2"], "--lengths has 2; expected at least 3 positions of induction");
        Assert.That(Mamba([.. eval, "--lengths", "5,2"]).Out, Is.Empty, "no table without rows");
        Refuses([.. eval, "--split", "test"], "--split is for recorded signals and images");
        Refuses([.. eval, "--split-file", "x"], "--split-file is for images");
        Refuses([.. eval, "--data", "parity"], "other tokens, channels or classes");
        Refuses([.. eval, "--data", "signals", "--lengths", "9"], "other tokens, channels or classes");
    }

    [Test]
    public void Other_lengths_name_the_task_and_the_length_of_the_training()
    {
        Succeeds([.. With(s_small, "--length", "20"), "--out", In("run")]);
        Assert.That(
            Succeeds("eval", "--weights", In("run"), "--data", "selective-copy", "--lengths", "40").Out,
            Does.StartWith("mamba-lm on selective-copy, trained on induction at 20 positions; read by parts"));
        Assert.That(
            Succeeds("eval", "--weights", In("run"), "--lengths", "40").Out,
            Does.StartWith("mamba-lm on induction, trained at 20 positions; read by parts"));
    }

    [Test]
    public void Verbs_for_images_and_several_weights_say_what_to_do_with_sequences()
    {
        Succeeds([.. s_small, "--out", In("run")]);
        const string Sequences = "holds a model of sequences; expected one of images ('mamba eval' measures it)";
        Refuses(["explain", "--weights", BestOf("run"), In("run")], Sequences);
        Refuses(["prune", "--weights", BestOf("run"), "--sparsity", "0.5", "--out", In("pruned.safetensors")], Sequences);
        Refuses(["quantize", "--weights", BestOf("run"), "--data", "synthetic", "--out", In("int8.safetensors")], Sequences);
        Refuses(["eval", "--weights", In("run"), In("run")], "holds a model of sequences, which is measured alone; expected 'mamba eval");
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
        Refuses(["eval", "--weights", In("run")], "--data of 'eval' is missing");
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
        Assert.That(train.Out, Does.Match(@"weights.best\.safetensors: all \d+ tensors loaded"));
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
            Does.Contain("data: signals, 32 positions, 1 values a position, 2 classes (every2, every8); 15 training sequences, 1 for "
                + "validation"));
        Assert.That(Succeeds("eval", "--weights", In("run"), "--data", In("signals")).Out, Does.Contain("on 4 test sequences"));
        Refuses(["eval", "--weights", In("run")], "was trained on recorded signals; expected --data DIR");
        Refuses(["eval", "--weights", In("run"), "--data", "signals"], "other tokens, channels or classes");
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

    /// <summary>Ten recordings of two classes, and a model of them.</summary>
    private void Recorded(string folder, string run)
    {
        for (int i = 0; i < 10; i++)
            foreach (int period in new[] { 2, 8 }) Record(folder, $"every{period}", i, period);
        Succeeds(
            "train", "--data", In(folder), "--model", "mamba-classifier", "--epochs", "1", "--batch", "4", "--width", "8",
            "--depth", "1", "--out", In(run));
    }

    private void Record(string folder, string label, int i, int period, int rate = 8000)
    {
        Directory.CreateDirectory(In(folder, label));
        byte[] wav = WavSamples.Pcm16([.. Enumerable.Range(i, 40).Select(t => (short)(t % period == 0 ? 9000 + 50 * i : -70 * i))]);
        BitConverter.TryWriteBytes(wav.AsSpan(24), rate);
        File.WriteAllBytes(In(folder, label, $"{i}.wav"), wav);
    }

    [Test]
    [Exercises("eval", "--split")]
    public void A_changed_folder_never_turns_training_recordings_into_a_test()
    {
        Recorded("signals", "run");
        string[] eval = ["eval", "--weights", In("run"), "--data", In("signals")];
        string score = Score(Succeeds(eval).Out);
        Assert.That(Succeeds(eval).Error, Is.Empty);
        foreach (int period in new[] { 2, 8 }) Record("signals", $"every{period}", 90 + period, period);
        File.Move(In("signals", "every2", "3.wav"), In("signals", "every2", "renamed.wav"));
        Result added = Succeeds(eval);
        Assert.That(Score(added.Out), Is.EqualTo(score), "the same test recordings, whatever was added or renamed");
        Assert.That(
            added.Error, Does.Contain("0 of the training's 20 recordings are gone or changed, 2 of 22 are new; the training's 4 test"));
        Assert.That(Succeeds([.. eval, "--split", "train"]).Out, Does.Contain("on 15 train sequences"));
        Result all = Succeeds([.. eval, "--split", "all"]);
        Assert.That(all.Out, Does.Contain("on 22 sequences of 40"));
        Assert.That(all.Error, Does.Contain("15 of 22 recordings have the samples of training recordings"));

        SignalRecord record = Describe("run");
        Assert.That(record.Labels, Is.EqualTo(new[] { "every2", "every8" }));
        Assert.That((record.Rate, record.Train!.Length, record.Val!.Length, record.Test!.Length), Is.EqualTo((8000, 15 * 8, 8, 4 * 8)));
        RecordedSignals task = new(new(In("signals")), null, seed: 0);
        int test = Array.IndexOf(record.PartsOf([.. task.Folder.Signals.Select(entry => entry.Content)]), SplitPart.Test);
        File.Delete(In("signals", task.Folder.Signals[test].Name));
        Refuses(eval, "1 of the training's 20 recordings are gone or changed, 2 of 21 are new, and 15 of 21 were trained on");
    }

    [Test]
    public void New_recordings_are_measured_whole_or_by_their_own_test()
    {
        Recorded("signals", "run");
        for (int i = 50; i < 53; i++) Record("other", "every2", i, 2);
        string[] eval = ["eval", "--weights", In("run"), "--data"];
        Result whole = Succeeds([.. eval, In("other")]);
        Assert.That(whole.Out, Does.Contain("on 3 sequences of 40"));
        Assert.That(
            whole.Error,
            Does.Contain("note: no recordings of every8").And.Contain("none of these recordings was trained on; all are measured"));
        for (int i = 60; i < 64; i++) Record(Path.Combine("parts", "test"), "every8", i, 8);
        Result official = Succeeds([.. eval, In("parts")]);
        Assert.That(official.Out, Does.Contain("on 4 test sequences"));
        Assert.That(official.Error, Does.Contain("none of these recordings was trained on; those in test/ are measured"));
        Record(Path.Combine("parts", "test"), "every2", 70, 2);
        Refuses(
            ["train", "--data", In("parts"), "--model", "mamba-classifier"],
            "5 sequences leave none for training; expected more, or {train,val,test}/CLASS/NAME");
        Refuses([.. eval, In("parts"), "--split", "val"], "expected all 1 val recordings of the training");
    }

    [Test]
    public void Classes_and_rate_of_recordings_are_those_of_the_model()
    {
        Recorded("signals", "run");
        string[] eval = ["eval", "--weights", In("run"), "--data"];
        Record("renamed", "every8", 50, 8);
        Record("renamed", "thrice", 51, 3);
        Refuses([.. eval, In("renamed")], "thrice: not among the classes of the model, every2, every8");
        Record("fast", "every2", 50, 2, rate: 16000);
        Refuses([.. eval, In("fast")], "recordings of 16000 Hz; the model was trained at 8000 Hz");
        Directory.CreateDirectory(In("text", "every2"));
        File.WriteAllText(In("text", "every2", "1.csv"), "volts\n1\n2\n");
        Assert.That(
            Succeeds([.. eval, In("text")]).Error,
            Does.Contain("the recordings do not say their rate; those of the training had 8000 Hz")
                .And.Contain("note: the first line names the channels, and is skipped (1 file)"));
    }

    [Test]
    public void Weights_that_name_no_recordings_say_that_the_split_is_drawn_again()
    {
        Recorded("signals", "run");
        string score = Score(Succeeds("eval", "--weights", In("run"), "--data", In("signals")).Out);
        using (WeightFile file = WeightFile.Open(BestOf("run")))
        {
            (SequenceModel model, _) = SequenceFile.Load(file);
            Safetensors.Write(
                In("old.safetensors"), model.Parameters.All,
                file.Metadata.Where(entry => entry.Key != "values").ToDictionary(entry => entry.Key, entry => entry.Value));
        }
        string[] eval = ["eval", "--weights", In("old.safetensors"), "--data", In("signals")];
        Result old = Succeeds(eval);
        Assert.That(Score(old.Out), Is.EqualTo(score));
        Assert.That(
            old.Error,
            Does.Contain("the split is drawn again from seed 0, and holds only if no recording was added")
                .And.Contain("names of classes and the rate are not compared"));
        File.WriteAllBytes(In("signals", "every2", "long.wav"), WavSamples.Pcm16(new short[50]));
        Refuses(eval, "the longest recording has 50 samples, that of the training had 40");
        Assert.That(Succeeds([.. eval, "--split", "all"]).Error, Does.Contain("do not say which recordings they were trained on"));
        File.WriteAllBytes(In("signals", "every2", "long.wav"), WavSamples.Pcm16(new short[40]));
        Directory.CreateDirectory(In("parts"));
        Directory.Move(In("signals"), In("parts", "train"));
        foreach (string label in new[] { "every2", "every8" })
        {
            Directory.CreateDirectory(In("parts", "val", label));
            File.Move(In("parts", "train", label, "0.wav"), In("parts", "val", label, "0.wav"));
        }
        Refuses([.. eval[..^1], In("parts")], "has val/ and no test/, and the weights name no recordings");
    }

    [Test]
    [Exercises("infer", "--top", "--out", "--overwrite")]
    public void Recordings_are_classified()
    {
        Recorded("signals", "run");
        Directory.CreateSymbolicLink(In("signals", "again"), In("signals"));
        string[] infer = ["infer", "--weights", In("run"), In("signals"), In("signals", "every2", "3.wav"), "--out", In("out")];
        Result result = Succeeds([.. infer, "--top", "1"]);
        Assert.That(result.Out, Does.Match(@"(?m)^every2/0\.wav: every[28] \d+\.\d %\r?$").And.Contain("20 recordings, results in "));
        string[] table = File.ReadAllLines(In("out", "predictions.csv"));
        Assert.That(table, Has.Length.EqualTo(21), "a recording that is given twice counts once");
        Assert.That(table[..2], Is.EqualTo(new[] { "recording,rank,class,probability", table[1] }));
        Assert.That(table[1], Does.Match(@"^every2/0\.wav,1,every[28],[01]\.\d{6}$"));
        // As many are right as eval counts.
        int right = table[1..21].Count(row => row.StartsWith(row.Split(',')[2] + "/", StringComparison.Ordinal));
        JsonElement all = Json("eval", "--weights", In("run"), "--data", In("signals"), "--split", "all", "--json")[0];
        Assert.That(
            all.GetProperty("accuracy").GetDouble(),
            Is.EqualTo(right / 20.0).Within(1e-9));
        Refuses(infer, "is there already; --overwrite replaces it");
        Succeeds([.. infer, "--overwrite"]);
        Assert.That(File.ReadAllLines(In("out", "predictions.csv")), Has.Length.EqualTo(41), "both classes of each");
        string first = In("signals", "every2", "3.wav"), second = In("signals", "every8", "3.wav");
        Succeeds("infer", "--weights", In("run"), first, second, "--out", In("two"), "--top", "1");
        Assert.That(
            File.ReadLines(In("two", "predictions.csv")).Skip(1).Select(row => row.Split(',')[0]),
            Is.EqualTo(new[] { first, second }));

        Record("fast", "every2", 1, 2, rate: 16000);
        string[] other = ["infer", "--weights", In("run"), "--out", In("other")];
        Refuses([.. other, In("fast")], "16000 Hz; the model was trained at 8000 Hz");
        File.WriteAllText(In("two.csv"), "1,2\n");
        Refuses([.. other, In("two.csv")], "2 channels; the model was trained on 1");
        Refuses([.. other, In("run", "weights")], "no .wav and no .csv file; expected recordings");
        Refuses([.. other, In("nothing.wav")], "nothing.wav");
        Refuses([.. other, In("signals"), "--tta", "flips"], "--tta is for images");
        Assert.That(Directory.Exists(In("other")), Is.False, "nothing is created");
    }

    [Test]
    public void Copies_and_headers_are_told_and_other_recordings_do_not_resume()
    {
        foreach (string part in new[] { "train", "val", "test" })
            foreach (int period in new[] { 2, 8 }) Record(Path.Combine("parts", part), $"every{period}", part == "val" ? 1 : 2, period);
        string[] train =
            ["train", "--data", In("parts"), "--model", "mamba-classifier", "--epochs", "1", "--width", "8", "--depth", "1"];
        Assert.That(
            Succeeds([.. train, "--out", In("run")]).Out,
            Does.Contain("note: 2 of 2 test recordings have the samples of training recordings").And.Not.Contain("2 val recordings"));
        Assert.That(
            Succeeds("eval", "--weights", In("run"), "--data", In("parts")).Error,
            Does.Contain("2 of 2 recordings have the samples of training recordings"));
        Record(Path.Combine("parts", "train"), "every2", 2, 5);
        Refuses(
            ["train", "--resume", In("run"), "--epochs", "2"], "the options or the recordings of the run are no longer those of its");

        foreach (string label in new[] { "a", "b" })
        {
            Directory.CreateDirectory(In("text", label));
            for (int i = 0; i < 5; i++) File.WriteAllText(In("text", label, $"{i}.csv"), $"{(i == 0 ? "volts\n" : "")}1\n{i}\n");
        }
        Assert.That(
            Succeeds([.. With(train, "--data", In("text")), "--out", In("named")]).Out,
            Does.Contain("for validation; the first line names the channels, and is skipped (2 files)"));
    }

    private SignalRecord Describe(string run)
    {
        using WeightFile file = WeightFile.Open(BestOf(run));
        return SequenceFile.Describe(file).Record!;
    }

    /// <summary>What does not change from run to run: without the time.</summary>
    private static string Score(string text) => text[..text.IndexOf("loss", StringComparison.Ordinal)]
        + text[text.IndexOf("accuracy", StringComparison.Ordinal)..];

    private byte[] BestBytes(string run) => File.ReadAllBytes(BestOf(run));

    private static void Refuses(string[] arguments, string message)
    {
        Result result = Mamba(arguments);
        Assert.That(result.Code, Is.EqualTo(2), result.Out);
        Assert.That(result.Error, Does.Contain(message).And.Not.Contain("   at "));
        Assert.That(result.Error.TrimEnd(), Does.Not.Contain('\n'), "one line");
    }
}
