using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Optim;
using Mamba.Models.Data;
using Mamba.Models.Data.Augmentation;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Metrics;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Models;

/// <summary>A trainer that takes another's checkpoint ends where one ends that was never interrupted.</summary>
[NonParallelizable]
internal sealed class ResumeTests
{
    private const int Side = 32, Images = 10, Epochs = 3;
    private string _folder = "";

    private string Checkpoint => Path.Combine(_folder, "checkpoint.safetensors");

    [SetUp]
    public void NewFolder() => _folder = Directory.CreateTempSubdirectory("mamba-").FullName;

    [TearDown]
    public void RemoveFolder() => Directory.Delete(_folder, recursive: true);

    /// <summary>Steps of the run of 15: inside an epoch, at its end before validation, and at the very first.</summary>
    [Test]
    public void From_a_checkpoint_after_any_step_training_ends_with_the_same_bits(
        [Values(1, 4, 5, 8, 15)] int steps, [Values] bool everything)
    {
        Training whole = new(everything), first = new(everything), second = new(everything);
        EpochResult[] expected = [.. whole.Trainer.Run()];

        using CancellationTokenSource stop = new();
        int done = 0;
        int epochs = first.Trainer.Run(progress =>
        {
            if (!progress.Validating && ++done == steps) stop.Cancel();
        }, stop.Token).Count();
        Assert.That(epochs, Is.EqualTo((steps - 1) / 5));
        first.Trainer.Save(Checkpoint, first.Trainer.State);

        second.Restore(Checkpoint);
        EpochResult[] rest = [.. second.Trainer.Run()];
        Assert.That(rest, Has.Length.EqualTo(Epochs - epochs));
        AssertSame(expected, whole, second);
    }

    [Test]
    public void From_a_checkpoint_after_an_epoch_training_ends_with_the_same_bits([Values] bool everything)
    {
        Training whole = new(everything), first = new(everything), second = new(everything);
        EpochResult[] expected = [.. whole.Trainer.Run()];
        foreach (EpochResult epoch in first.Trainer.Run())
        {
            first.Trainer.Save(Checkpoint, first.Trainer.State); // while the model holds the averaged weights
            if (epoch.Epoch == 2) break;
        }
        second.Restore(Checkpoint);
        Assert.That(second.Trainer.Run().Select(e => e.Epoch), Is.EqualTo(new[] { 3 }));
        AssertSame(expected, whole, second);
        Assert.That(second.Trainer.Done);
        Assert.That(second.Trainer.Run(), Is.Empty);
    }

    [Test]
    public void Patience_counts_across_a_checkpoint()
    {
        Training first = new(everything: false) { Plan = p => p with { LearningRate = 1e-12, Epochs = 50, Patience = 3 } },
            second = new(everything: false) { Plan = first.Plan };
        foreach (EpochResult _ in first.Trainer.Run().Take(2)) first.Trainer.Save(Checkpoint, first.Trainer.State);
        second.Restore(Checkpoint);
        Assert.That(second.Trainer.Run().Last().Epoch, Is.EqualTo(4));
    }

    [Test]
    public void A_checkpoint_of_something_else_is_refused_and_changes_nothing()
    {
        Training average = new(everything: true), plain = new(everything: false);
        average.Trainer.Save(Checkpoint, average.Trainer.State);
        float[] before = plain.Weights();
        Assert.That(
            () => plain.Restore(Checkpoint),
            Throws.TypeOf<CheckpointException>().With.Message.Contains(Checkpoint).And.Message.Contains("does not fit"));
        plain.Trainer.Save(Checkpoint, plain.Trainer.State with { Batch = 6 });
        Assert.That(() => plain.Restore(Checkpoint), Throws.TypeOf<CheckpointException>().With.Message.Contains("after 6 batches"));
        Assert.That(plain.Weights(), Is.EqualTo(before));
    }

    [TestCase("format", "mamba-checkpoint-0", "format 'mamba-checkpoint-0'"), TestCase("position", "1 2 3", "has 3 numbers, expected 5")]
    [TestCase("position", "1.5 0 0 0 0", "is no count"), TestCase("position", "NaN 0 0 0 0", "is no count")]
    [TestCase("position", "9999999999 0 0 0 0", "does not describe")]
    [TestCase("epochs", "1 2\n3", "expected 7"), TestCase("best", "many 0", "does not describe")]
    public void Metadata_that_make_no_sense_are_refused(string key, string value, string expected)
    {
        Training training = new(everything: false);
        Dictionary<string, string> metadata = training.Trainer.State.ToMetadata();
        metadata[key] = value;
        Safetensors.WriteSealed(Checkpoint, training.Trainer.Tensors, metadata);
        Assert.That(
            () => training.Restore(Checkpoint),
            Throws.TypeOf<CheckpointException>().With.Message.Contains(expected).And.Message.Contains(Checkpoint));
    }

    [Test]
    public void A_step_with_a_loss_that_is_not_finite_leaves_no_trace([Values] NonFiniteAction action)
    {
        // U-Net's normalization learns its statistics in the forward pass, before the loss is there. One image breaks it.
        Training clean = new(everything: false, "unet"),
            broken = new(everything: false, "unet") { Plan = p => p with { OnNonFinite = action, Epochs = 1 }, Poisoned = true };
        List<TrainingProgress> seen = [];
        if (action == NonFiniteAction.Stop)
        {
            Assert.That(
                () => broken.Trainer.Run(seen.Add).Count(),
                Throws.TypeOf<TrainingException>().With.Message.StartsWith("the loss is NaN in step ").And.Message.Contains("of epoch 1"));
            Assert.That(broken.Trainer.State.Batch, Is.EqualTo(seen.Count).And.GreaterThan(0));
            using CancellationTokenSource stop = new();
            int steps = 0;
            _ = clean.Trainer.Run(_ =>
            {
                if (++steps == seen.Count) stop.Cancel();
            }, stop.Token).Count();
            Assert.That(broken.Weights(), Is.EqualTo(clean.Weights()));
            return;
        }
        EpochResult epoch = broken.Trainer.Run(seen.Add).Single();
        Assert.That(seen.Count(p => p.Skipped is not null), Is.EqualTo(1));
        Assert.That(seen.Single(p => p.Skipped is not null).Skipped, Does.StartWith("the loss is NaN"));
        Assert.That(epoch.TrainLoss, Is.Not.NaN);
        Assert.That(broken.Trainer.Steps, Is.EqualTo(4));
        Assert.That(broken.Weights(), Is.All.Matches<float>(float.IsFinite));
    }

    [Test]
    public void An_epoch_of_skipped_steps_ends_training()
    {
        Training training = new(everything: false) { Plan = p => p with { OnNonFinite = NonFiniteAction.Skip } };
        training.Model.Parameters["final.bias"].Span[0] = float.NaN;
        Assert.That(
            () => training.Trainer.Run().Count(),
            Throws.TypeOf<TrainingException>().With.Message.StartsWith("every step of epoch 1 was skipped"));
    }

    [Test]
    public void Checked_numerics_name_the_operator_and_its_place()
    {
        Training training = new(everything: false) { Plan = p => p with { CheckNumerics = true } };
        training.Model.Parameters["encoder2.0.weight"].Span[0] = float.NaN;
        Assert.That(
            () => training.Trainer.Run().Count(),
            Throws.TypeOf<TrainingException>().With.Message.StartsWith(
                "the result of convolution with 'encoder2.0.weight' is NaN at element "));
    }

    [TestCase("30s", 30), TestCase("5m", 300), TestCase("1h", 3600), TestCase("90m", 5400), TestCase("epoch", null)]
    public void An_interval_is_read_and_written(string text, int? seconds)
    {
        CheckpointInterval? interval = CheckpointInterval.Parse(text);
        Assert.That(interval!.Value.Every, Is.EqualTo(seconds is { } s ? TimeSpan.FromSeconds(s) : (TimeSpan?)null));
        Assert.That(interval.ToString(), Is.EqualTo(text));
    }

    [TestCase("0s"), TestCase("5"), TestCase("m"), TestCase("-5m"), TestCase("5 m"), TestCase("1.5h"), TestCase(""), TestCase("99999999h")]
    [TestCase("epochs")]
    public void What_is_no_interval_is_refused(string text) => Assert.That(CheckpointInterval.Parse(text), Is.Null);

    private static void AssertSame(EpochResult[] expected, Training whole, Training second)
    {
        Assert.That(second.Weights(), Is.EqualTo(whole.Weights()));
        IReadOnlyList<EpochResult> epochs = second.Trainer.Epochs;
        Assert.That(epochs, Has.Count.EqualTo(expected.Length));
        foreach ((EpochResult e, EpochResult a) in expected.Zip(epochs))
        {
            Assert.That(
                (a.Epoch, a.TrainLoss, a.Validation.Loss, a.LearningRate),
                Is.EqualTo((e.Epoch, e.TrainLoss, e.Validation.Loss, e.LearningRate)));
            Assert.That(a.Validation.Scores.Values, Is.EqualTo(e.Validation.Scores.Values));
        }
        Dictionary<string, string> ended = whole.Trainer.State.ToMetadata(), resumed = second.Trainer.State.ToMetadata();
        // these two hold times
        foreach (string key in ended.Keys.Except(["seconds", "epochs"])) Assert.That(resumed[key], Is.EqualTo(ended[key]), key);
        Assert.That(
            whole.Trainer.Tensors.Zip(second.Trainer.Tensors)
                .All(t => t.First.Name == t.Second.Name && t.First.Tensor.Span.SequenceEqual(t.Second.Tensor.Span)),
            "moments and average");
    }

    /// <summary>A small training, with or without every part that has a state.</summary>
    private sealed class Training(bool everything, string name = "ul-vm-unet")
    {
        private Trainer? _trainer;

        public VisionModel Model { get; } = Registry.Find(name)
            .Create(name == "unet" ? new ModelConfig { Width = 4, Depth = 2 } : null, seed: 1);

        public Func<TrainingPlan, TrainingPlan> Plan { get; init; } = plan => plan;

        public bool Poisoned { get; init; }

        public Trainer Trainer => _trainer ??= new Trainer(Model, Loader(shuffle: true), Loader(shuffle: false), Plan(
            new TrainingPlan(
                TrainingRecipe.UltraLight with { Optimizer = everything ? OptimizerKind.Sgd : OptimizerKind.AdamW },
                Objective.Segmentation(LossKind.BceDice), 2e-3, Epochs)
            {
                Schedule = Schedules.CosineWithWarmup(2, 20),
                // a loss that no epoch falls below
                Plateau = everything ? new Plateau(factor: 0.5, patience: 0) { State = (0.1, 0, 1) } : null,
                AverageDecay = everything ? 0.5 : null,
                MaxGradientNorm = everything ? 0.1 : null,
                Patience = everything ? 10 : null,
            }));

        public void Restore(string path)
        {
            using SafetensorsFile file = SafetensorsFile.OpenSealed(path);
            Trainer.Restore(file, TrainingState.Read(file));
        }

        public float[] Weights() => [.. Model.Parameters.All.SelectMany(p => p.Tensor.Span.ToArray())];

        private BatchLoader Loader(bool shuffle)
        {
            SyntheticLesions data = new(5, Images, Side, Side);
            return new(shuffle && Poisoned ? new PoisonedData(data) : data, [.. Enumerable.Range(0, Images)], new BatchOptions
            {
                Height = Side,
                Width = Side,
                Shuffle = shuffle,
                Augment = everything && shuffle
                    ? new SegmentationAugment { Flips = true, QuarterTurns = true, Brightness = 0.1f, Contrast = 0.1f }
                    : null,
            });
        }
    }

    /// <summary>Synthetic slices, one of which has a mask with NaN.</summary>
    private sealed class PoisonedData(SyntheticLesions data) : IImageData
    {
        public ModelTask Task => data.Task;

        public IReadOnlyList<string> Labels => data.Labels;

        public int Count => data.Count;

        public string Name(int index) => data.Name(index);

        public string Patient(int index) => data.Patient(index);

        public Sample Load(int index) => index == 5 ? new Poison(data.Load(index).Image) : data.Load(index);
    }

    private sealed record Poison(Image Image) : Sample(Image)
    {
        public override long Bytes => Image.Pixels.LongLength;

        public override void WriteTarget(IMaskWriter writer, Span<float> to) => to.Fill(float.NaN);
    }
}
