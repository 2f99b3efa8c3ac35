using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Core.Nn;
using Mamba.Models.Blocks;
using Mamba.Models.Data;
using Mamba.Models.Sequences;
using Mamba.Models.Training;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Models of sequences: the classifier, their evaluation by parts, and their weight files.</summary>
internal sealed class SequenceModelTests
{
    [Test]
    public void The_classifier_adds_mixers_and_means_over_time([Values] bool preNorm)
    {
        using MemoryScope scope = new();
        SequenceClassifierConfig config = new(MixerKind.Mamba, Channels: 2, Width: 8, Depth: 1, Classes: 3) { PreNorm = preNorm };
        SequenceClassifier model = new(new Scope(new ParameterStore(seed: 5)), config);
        ParameterStore p = model.Parameters;
        Tensor x = Numbers.Random(1, 2, 7, 2), z = Ops.Linear(x, p["encoder.weight"], p["encoder.bias"]);
        MambaMixer mixer = new(new Scope(new ParameterStore(seed: 5)) / "layers" / 0, new MambaConfig(8)); // the same names and values
        Tensor Norm(Tensor t) => Ops.LayerNorm(t, p["norms.0.weight"], p["norms.0.bias"]);
        z = preNorm ? Ops.Add(z, mixer.Forward(Norm(z))) : Norm(Ops.Add(z, mixer.Forward(z)));
        double[] expected = new double[2 * 3];
        for (int b = 0; b < 2; b++)
            for (int c = 0; c < 3; c++)
            {
                expected[b * 3 + c] = p["decoder.bias"].Span[c];
                for (int t = 0; t < 7; t++)
                    for (int k = 0; k < 8; k++)
                        expected[b * 3 + c] += (double)z.Span[(b * 7 + t) * 8 + k] / 7 * p["decoder.weight"].Span[c * 8 + k];
            }
        Tensor y = model.Forward(x);
        Assert.That(y.Shape, Is.EqualTo(new Shape(2, 3)));
        Assert.That(y.ToDouble(), Is.EqualTo(expected).Within(1e-5));
        p.Freeze();
        Assert.That(model.Forward(x).ToDouble(), Is.EqualTo(expected).Within(1e-5));
    }

    [Test]
    public void Inputs_and_sizes_that_do_not_fit_are_refused()
    {
        SequenceTask values = new SyntheticSignals(8, 0), tokens = new InductionHeads(8, 0);
        SequenceModel model = SequenceTrainerTests.Model("mamba-classifier", values, 8);
        foreach (Tensor x in new[] { Tensor.Zeros(2, 8), Tensor.Zeros(2, 8, 2), Tensor.Zeros(2, 0, 1) })
            Assert.That(() => model.Module.Forward(x), Throws.TypeOf<ShapeException>().With.Message.Contains("SequenceClassifier"));
        Assert.That(
            () => SequenceTrainerTests.Model("mamba-lm", values, 8), Throws.ArgumentException.With.Message.Contains("is for tokens"));
        Assert.That(
            () => SequenceTrainerTests.Model("mamba-classifier", tokens, 8),
            Throws.ArgumentException.With.Message.Contains("is for real values"));
        Assert.That(
            () => SequenceTrainerTests.Model("mamba-ml", tokens, 8),
            Throws.ArgumentException.With.Message.Contains("did you mean mamba-lm"));
        Assert.That(() => SequenceTrainerTests.Model("mamba-classifier", values, 0), Throws.ArgumentException);
    }

    [Test]
    public void By_parts_a_model_has_the_accuracy_of_whole_sequences([Values("selective-copy", "parity")] string name)
    {
        TokenTask task = (TokenTask)SequenceTasks.Open(name, null, 3000, seed: 9);
        SequenceModel model = SequenceTrainerTests.Model("mamba-lm", task, 8);
        model.Parameters.Freeze();
        LengthResult parts = SequenceEvaluator.Run(model.Language!, task, task.Length, 11);
        Evaluation whole = SequenceEvaluator.Run(model, task, SplitPart.Test, 11, batch: 4);
        Assert.That(parts.Scores, Is.EqualTo(whole.Scores));
        Assert.That((parts.Length, parts.Sequences, whole.Images), Is.EqualTo((task.Length, 11, 11)));
    }

    [Test]
    public void Accuracy_counts_the_answers_alone()
    {
        float[] logits = [0, 1, 1, 0, 0, 3, 9, 0]; // 1, 0, 1, 0
        Assert.That(SequenceTally.Count(logits, [1, 1, SequenceBatch.NoAnswer, 0]), Is.EqualTo((3, 2)));
        SequenceTally tally = default;
        tally.Add(3, 2);
        tally.Add(1, 1);
        Assert.That(tally.Scores, Is.EqualTo(new SequenceScores(0.75, 0.5)));
    }

    [Test]
    public void Weights_describe_their_model([Values("mamba-lm", "transformer-lm", "mamba-classifier")] string name)
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "weights.safetensors");
        SequenceTask task = name == "mamba-classifier" ? new SyntheticSignals(20, 0) : new InductionHeads(20, 0);
        SequenceModel model = SequenceTrainerTests.Model(name, task, 16);
        SequenceArguments arguments = Arguments(name, task);
        SequenceFile.Save(path, model, arguments, task);
        using (WeightFile file = WeightFile.Open(path))
        {
            Assert.That(SequenceFile.IsDescribed(file));
            (SequenceModel read, SequenceArguments options) = SequenceFile.Load(file);
            Assert.That(read.Parameters.IsFrozen);
            Assert.That(options, Is.EqualTo(arguments with { Data = task.Name, Threads = 1, Keep = 1, CheckpointEvery = "epoch" }));
            foreach (((string parameter, Tensor a), (_, Tensor b)) in model.Parameters.All.Zip(read.Parameters.All))
                Assert.That(a.Span.SequenceEqual(b.Span), parameter);
        }
        byte[] bytes = File.ReadAllBytes(path);
        SequenceFile.Save(path, model, arguments with { Threads = 8, Init = "elsewhere" }, task);
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(bytes), "places and threads are not in it");
    }

    [TestCase("{}", "{}"), TestCase("null", "null"), TestCase("[", "{}")]
    [TestCase(null, """{"length":20,"vocabulary":16,"channels":1,"classes":0}"""), TestCase(null, """{"length":20,"vocabulary":-1}""")]
    [TestCase(null, """{"length":20,"vocabulary":60000,"channels":1,"classes":16}""")]
    [TestCase(null, """{"length":20,"vocabulary":null,"channels":1,"classes":16}""")]
    public void Metadata_that_describe_no_model_are_refused(string? options, string shape)
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "weights.safetensors");
        SequenceTask task = new InductionHeads(20, 0);
        SequenceModel model = SequenceTrainerTests.Model("mamba-lm", task, 16);
        SequenceFile.Save(path, model, Arguments("mamba-lm", task), task);
        Dictionary<string, string> metadata;
        using (WeightFile file = WeightFile.Open(path)) metadata = new(file.Metadata) { ["shape"] = shape };
        if (options is not null) metadata["sequence"] = options;
        Safetensors.Write(path, model.Parameters.All, metadata);
        using WeightFile damaged = WeightFile.Open(path);
        Assert.That(() => SequenceFile.Load(damaged), Throws.TypeOf<CheckpointException>().With.Message.StartsWith(path));
    }

    /// <summary>A run that was given more epochs must resume from a checkpoint of before, in case it ends before the next one.</summary>
    [Test]
    public void More_epochs_of_as_many_steps_leave_the_identity_of_a_run()
    {
        SequenceTask task = new InductionHeads(20, 0);
        SequenceArguments run = Arguments("mamba-lm", task);
        Assert.That(run.WithEpochs(5).Identity(task), Is.EqualTo(run.Identity(task)));
        SequenceArguments[] others = [run with { Steps = 20 }, run with { LearningRate = 1e-2 }, run with { Seed = 8 }];
        Assert.That(others.Select(other => other.Identity(task)), Has.None.EqualTo(run.Identity(task)));
        Assert.That(run.OlderIdentity(task), Is.Not.EqualTo(run.WithEpochs(5).OlderIdentity(task)));
    }

    private static SequenceArguments Arguments(string model, SequenceTask task) => new()
    {
        Model = model,
        Data = task.Name,
        Length = task.Length,
        Width = 16,
        Depth = 2,
        Batch = 4,
        Steps = 10,
        Epochs = 2,
        LearningRate = 1e-3,
        Schedule = "constant",
        WeightDecay = 0,
        Seed = 7,
        Threads = 2,
        CheckpointEvery = "30s",
        Keep = 3,
    };
}
