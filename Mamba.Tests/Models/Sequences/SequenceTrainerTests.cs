using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Nn;
using Mamba.Core.Optim;
using Mamba.Models.Data;
using Mamba.Models.Sequences;
using Mamba.Models.Training;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Training on sequences: it learns, and resumes to the same bits.</summary>
[NonParallelizable]
internal sealed class SequenceTrainerTests
{
    private static readonly SequencePlan s_short = new(1e-2, Batch: 4, Epochs: 3, StepsPerEpoch: 4)
    {
        Schedule = Schedules.CosineWithWarmup(2, 12),
        WeightDecay = 0.1,
        MaxGradientNorm = 0.5,
        Evaluated = 8,
    };

    [Test]
    public void It_learns_induction_heads_of_twelve_tokens()
    {
        SequencePlan plan = new(5e-3, Batch: 32, Epochs: 2, StepsPerEpoch: 150) { MaxGradientNorm = 1, Evaluated = 256 };
        SequenceTrainer trainer = new(Model("mamba-lm", Induction(12, vocabulary: 6), 24), Induction(12, vocabulary: 6), plan);
        EpochResult[] epochs = [.. trainer.Run()];
        Assert.That(epochs[0].TrainLoss, Is.LessThan(Math.Log(5)), "chance is ln 5");
        Assert.That(epochs[1].Validation.Loss, Is.LessThan(0.3));
        Assert.That(epochs[1].Validation.Scores.Headline, Is.GreaterThan(0.95));
        Assert.That((trainer.Steps, trainer.BestScore, trainer.Done), Is.EqualTo((300L, epochs[1].Validation.Scores.Headline, true)));
    }

    [Test]
    public void It_learns_signals()
    {
        SyntheticSignals task = new(64, seed: 1);
        SequencePlan plan = new(5e-3, Batch: 16, Epochs: 1, StepsPerEpoch: 100) { MaxGradientNorm = 1, Evaluated = 128 };
        EpochResult epoch = new SequenceTrainer(Model("mamba-classifier", task, 16), task, plan).Run().Single();
        Assert.That(epoch.Validation.Scores.Headline, Is.GreaterThan(0.4), "chance is 1 / 8");
    }

    [Test]
    public void From_a_checkpoint_after_any_step_training_ends_with_the_same_bits(
        [Values("mamba-lm", "mamba-classifier")] string model, [Values(1, 4, 6, 12)] int steps)
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "checkpoint.safetensors");
        SequenceTrainer whole = Trainer(model), first = Trainer(model), second = Trainer(model);
        EpochResult[] expected = [.. whole.Run()];
        using CancellationTokenSource stop = new();
        int done = 0, epochs = first.Run(progress =>
        {
            if (!progress.Validating && ++done == steps) stop.Cancel();
        }, stop.Token).Count();
        first.Save(path, first.State);
        using (SafetensorsFile file = SafetensorsFile.OpenSealed(path)) second.Restore(file, TrainingState.Read(file));
        Assert.That(second.Steps, Is.EqualTo(steps));
        EpochResult[] rest = [.. second.Run()];
        Assert.That(rest, Has.Length.EqualTo(3 - epochs));
        foreach ((EpochResult a, EpochResult b) in expected.Zip(second.Epochs))
            Assert.That(
                (b.TrainLoss, b.Validation.Loss, b.LearningRate, b.Validation.Scores.Headline),
                Is.EqualTo((a.TrainLoss, a.Validation.Loss, a.LearningRate, a.Validation.Scores.Headline)));
        AssertSame(whole, second);
    }

    [Test]
    public void Threads_change_no_bit([Values("mamba-lm", "mamba-classifier")] string model)
    {
        SequenceTrainer one = Trainer(model), three = Trainer(model);
        using (ThreadCount _ = new(1)) Assert.That(one.Run().Count(), Is.EqualTo(3));
        using (ThreadCount _ = new(3)) Assert.That(three.Run().Count(), Is.EqualTo(3));
        AssertSame(one, three);
    }

    [Test]
    public void A_checkpoint_of_another_model_or_plan_is_refused()
    {
        using TemporaryFolder folder = new();
        string path = Path.Combine(folder.Root, "checkpoint.safetensors");
        SequenceTrainer trainer = Trainer("mamba-lm");
        foreach (EpochResult _ in trainer.Run().Take(1)) trainer.Save(path, trainer.State);
        using SafetensorsFile file = SafetensorsFile.OpenSealed(path);
        TrainingState state = TrainingState.Read(file);
        SequenceTrainer other = new(Model("mamba-lm", Induction(12), 24), Induction(12), s_short);
        Assert.That(() => other.Restore(file, state), Throws.TypeOf<CheckpointException>().With.Message.Contains("does not fit this run"));
        Assert.That(
            () => Trainer("mamba-lm").Restore(file, state with { Batch = 5 }),
            Throws.TypeOf<CheckpointException>().With.Message.Contains("at most 4 batches"));
    }

    [Test]
    public void A_loss_that_is_not_finite_stops_before_its_step()
    {
        SequenceTask task = Induction(12);
        SequenceModel model = Model("mamba-lm", task, 16);
        model.Parameters["backbone.norm_f.weight"].Span[0] = float.NaN;
        SequenceTrainer trainer = new(model, task, s_short);
        Assert.That(
            () => trainer.Run().Count(),
            Throws.TypeOf<TrainingException>().With.Message.Contains("the loss").And.Message.Contains("step 1"));
        Assert.That(trainer.Steps, Is.Zero);
    }

    [Test]
    public void Patience_ends_training()
    {
        SequenceTask task = Induction(12);
        SequenceTrainer trainer = new(Model("mamba-lm", task, 16), task, s_short with { LearningRate = 1e-12, Epochs = 50, Patience = 2 });
        Assert.That(trainer.Run().Count(), Is.EqualTo(trainer.BestEpoch + 2));
    }

    [Test]
    public void Parameters_of_state_spaces_learn_slowly_and_do_not_decay()
    {
        SequencePlan plan = s_short with { LearningRate = 1e-2 };
        ParameterGroup system = plan.Groups("s4_layers.0.kernel.log_dt", Tensor.Zeros(2, 2));
        ParameterGroup plain = plan.Groups("encoder.weight", Tensor.Zeros(2, 2));
        Assert.That((system.LearningRateScale, system.WeightDecay), Is.EqualTo((0.1, (double?)0)).Within(1e-12));
        Assert.That((plain.LearningRateScale, plain.WeightDecay), Is.EqualTo((1.0, (double?)null)));
        Assert.That(plan.Groups("layers.0.A_log", Tensor.Zeros(2, 2)).WeightDecay, Is.Zero);
    }

    internal static SequenceModel Model(string name, SequenceTask task, int width) =>
        SequenceModels.Create(name, SequenceShape.Of(task), width, depth: 2, new ParameterStore(seed: 7));

    private static InductionHeads Induction(int length, int vocabulary = 16) => new(length, seed: 7, vocabulary);

    private static SequenceTrainer Trainer(string model)
    {
        SequenceTask task = model == "mamba-lm" ? Induction(12) : new SyntheticSignals(20, seed: 7);
        return new SequenceTrainer(Model(model, task, 16), task, s_short);
    }

    private static void AssertSame(SequenceTrainer expected, SequenceTrainer actual)
    {
        foreach (((string name, Tensor a), (_, Tensor b)) in expected.Tensors.Zip(actual.Tensors))
            Assert.That(a.Span.SequenceEqual(b.Span), name);
    }
}
