using Mamba.Core.Checkpoints;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Recipes;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>A training ends when its budget is spent, wherever it stands, and also if it was interrupted before.</summary>
[NonParallelizable]
internal sealed class TrainingBudgetTests
{
    private const int Images = 10, Side = 32; // five steps an epoch

    [TestCase(3, 1, "the budget of 3 steps, in epoch 1"), TestCase(5, 1, "the budget of 5 steps, in epoch 1")]
    [TestCase(7, 2, "the budget of 7 steps, in epoch 2"), TestCase(15, 3, null), TestCase(99, 3, null)]
    public void Steps_end_the_epoch_under_way_which_is_validated(int steps, int epochs, string? ended)
    {
        Training training = new(new TrainingBudget { Steps = steps });
        EpochResult[] results = [.. training.Trainer.Run()];
        Assert.That(results.Select(epoch => epoch.Epoch), Is.EqualTo(Enumerable.Range(1, epochs)));
        Assert.That((training.Trainer.Steps, training.Trainer.EndedBy), Is.EqualTo((Math.Min(steps, 15), ended)));
        Assert.That(training.Trainer.Done);
        Assert.That(results.Select(epoch => epoch.Validation.Images), Is.All.EqualTo(Images));
        Assert.That(training.Trainer.Run(), Is.Empty);
    }

    [Test]
    public void Until_the_budget_is_spent_it_changes_no_bit()
    {
        Training without = new(null), with = new(new TrainingBudget { Steps = 1000, Time = TimeSpan.FromHours(1) });
        _ = (without.Trainer.Run().Count(), with.Trainer.Run().Count());
        Assert.That(with.Weights(), Is.EqualTo(without.Weights()));
    }

    [Test]
    public void Time_ends_training_and_counts_validations()
    {
        FakeClock clock = new();
        Training training = new(new TrainingBudget { Time = TimeSpan.FromMinutes(3.5) }) { Clock = clock };
        List<int> images = [];
        EpochResult[] results = [.. training.Trainer.Run(step =>
        {
            clock.Advance(TimeSpan.FromSeconds(step.Validating ? 60 : 20)); // 100 + 60 seconds an epoch
            if (!step.Validating) images.Add(step.Images);
        })];
        Assert.That(images, Is.EqualTo(new[] { 2, 4, 6, 8, 10, 2, 4, 6 }), "160 seconds, then 180, 200, 220");
        Assert.That(results.Select(epoch => epoch.Seconds), Is.EqualTo(new[] { 160.0, 120 }), "the last one is validated as well");
        Assert.That(results.Select(epoch => epoch.ImagesPerSecond), Is.EqualTo(new[] { 10 / 100.0, 6 / 60.0 }));
        Assert.That(training.Trainer.EndedBy, Is.EqualTo("the budget of 3.5 minutes, in epoch 2"));
        Assert.That(training.Trainer.Seconds, Is.EqualTo(280));
    }

    [Test]
    public void Time_before_an_interruption_counts()
    {
        using TemporaryFolder folder = new();
        TrainingBudget budget = new() { Time = TimeSpan.FromSeconds(80) };
        FakeClock clock = new();
        Training first = new(budget) { Clock = clock }, second = new(budget) { Clock = clock };
        using CancellationTokenSource stop = new();
        _ = first.Trainer.Run(step =>
        {
            clock.Advance(TimeSpan.FromSeconds(20));
            if (step.Images == 4) stop.Cancel();
        }, stop.Token).Count();
        string path = Path.Combine(folder.Root, "checkpoint.safetensors");
        first.Trainer.Save(path, first.Trainer.State);
        clock.Advance(TimeSpan.FromDays(1)); // while nothing runs
        second.Restore(path);
        int steps = 0;
        EpochResult epoch = second.Trainer.Run(step =>
        {
            clock.Advance(TimeSpan.FromSeconds(20));
            if (!step.Validating) steps++;
        }).Single();
        Assert.That((steps, second.Trainer.Steps), Is.EqualTo((2, 4)));
        Assert.That(epoch.Epoch, Is.EqualTo(1));
    }

    [Test]
    public void An_epoch_cut_short_and_interrupted_in_its_validation_is_validated_later()
    {
        using TemporaryFolder folder = new();
        Training whole = new(new TrainingBudget { Steps = 7 }), first = new(new TrainingBudget { Steps = 7 }),
            second = new(new TrainingBudget { Steps = 7 });
        EpochResult[] expected = [.. whole.Trainer.Run()];
        using CancellationTokenSource stop = new();
        _ = first.Trainer.Run(step =>
        {
            if (step is { Epoch: 2, Validating: true }) stop.Cancel();
        }, stop.Token).Count();
        Assert.That(first.Trainer.Done, Is.False);
        string path = Path.Combine(folder.Root, "checkpoint.safetensors");
        first.Trainer.Save(path, first.Trainer.State);
        second.Restore(path);
        EpochResult last = second.Trainer.Run().Single();
        Assert.That(
            (last.Epoch, last.TrainLoss, last.Validation.Loss), Is.EqualTo((2, expected[1].TrainLoss, expected[1].Validation.Loss)));
        Assert.That(second.Weights(), Is.EqualTo(whole.Weights()));
        Assert.That(second.Trainer.EndedBy, Is.EqualTo(whole.Trainer.EndedBy));
    }

    [TestCase(10, 20, 2, 1, 1), TestCase(11, 20, 2, 1, 2), TestCase(5, 9, 8, 1, 5), TestCase(6, 20, 2, 4, 2), TestCase(1, 1, 64, 1, 1)]
    public void Steps_take_so_many_epochs(int steps, int images, int batch, int accumulate, int epochs) =>
        Assert.That(RunArguments.EpochsOf(steps, images, batch, accumulate), Is.EqualTo(epochs));

    /// <summary>A small training of at most three epochs.</summary>
    private sealed class Training(TrainingBudget? budget)
    {
        private readonly VisionModel _model = Registry.Find("unet").Create(new ModelConfig { Width = 4, Depth = 2 }, seed: 1);
        private Trainer? _trainer;

        public TimeProvider Clock { get; init; } = TimeProvider.System;

        public Trainer Trainer => _trainer ??= new Trainer(
            _model, Loader(shuffle: true), Loader(shuffle: false),
            new TrainingPlan(TrainingRecipe.UNet, Objective.Segmentation(LossKind.BceDice), 2e-3, 3) { Budget = budget })
        {
            Clock = Clock,
        };

        public void Restore(string path)
        {
            using SafetensorsFile file = SafetensorsFile.OpenSealed(path);
            Trainer.Restore(file, TrainingState.Read(file));
        }

        public float[] Weights() => [.. _model.Parameters.All.SelectMany(p => p.Tensor.Span.ToArray())];

        private static BatchLoader Loader(bool shuffle) => new(
            new SyntheticLesions(5, Images, Side, Side), [.. Enumerable.Range(0, Images)],
            new BatchOptions { Height = Side, Width = Side, BatchSize = 2, Shuffle = shuffle });
    }

    /// <summary>A clock that stands still unless it is moved.</summary>
    private sealed class FakeClock : TimeProvider
    {
        private long _ticks;

        public override long TimestampFrequency => TimeSpan.TicksPerSecond;

        public void Advance(TimeSpan time) => _ticks += time.Ticks;

        public override long GetTimestamp() => _ticks;
    }
}
