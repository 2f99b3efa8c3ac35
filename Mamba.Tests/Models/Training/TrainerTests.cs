using Mamba.Core;
using Mamba.Models.Data.Loading;
using Mamba.Models.Data.Sets;
using Mamba.Models.Recipes;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

[NonParallelizable]
internal sealed class TrainerTests
{
    private const int Side = 32;
    private static readonly TrainingPlan s_plan = new(TrainingRecipe.UltraLight, Objective.Segmentation(LossKind.BceDice), 2e-3, Epochs: 3);

    [Test]
    public void Training_lowers_the_loss_and_the_thread_count_changes_no_bit()
    {
        (double[] losses, float[] weights) = Train(threads: 1);
        (double[] again, float[] same) = Train(threads: 3);
        Assert.That(losses[^1], Is.LessThan(losses[0] * 0.8));
        Assert.That(again, Is.EqualTo(losses));
        Assert.That(same, Is.EqualTo(weights));

        static (double[] Losses, float[] Weights) Train(int threads)
        {
            using ThreadCount _ = new(threads);
            VisionModel model = Registry.Find("ul-vm-unet").Create(seed: 1);
            using BatchLoader train = Loader(24, shuffle: true), validation = Loader(6, shuffle: false);
            double[] losses = [.. new Trainer(model, train, validation, s_plan).Run().Select(e => e.TrainLoss)];
            return (losses, [.. model.Parameters.All.SelectMany(p => p.Tensor.Span.ToArray())]);
        }
    }

    [Test]
    public void A_model_learns_by_each_loss(
        [Values("unet", "ul-vm-unet")] string name,
        [Values(LossKind.BceDice, LossKind.Dice, LossKind.BceWithLogits, LossKind.Focal, LossKind.Tversky)] LossKind loss)
    {
        VisionModel model = Registry.Find(name).Create();
        using BatchLoader train = Loader(8, shuffle: true), validation = Loader(4, shuffle: false);
        TrainingPlan plan = new(TrainingRecipe.UNet, Objective.Segmentation(loss), 1e-3, Epochs: 2);
        EpochResult[] epochs = [.. new Trainer(model, train, validation, plan).Run()];
        Assert.That(epochs[1].TrainLoss, Is.LessThan(epochs[0].TrainLoss));
    }

    [Test]
    public void A_request_to_stop_ends_after_the_step()
    {
        using CancellationTokenSource stop = new();
        using BatchLoader train = Loader(12, shuffle: true), validation = Loader(2, shuffle: false);
        Trainer trainer = new(Registry.Find("ul-vm-unet").Create(), train, validation, s_plan);
        int epochs = trainer.Run(progress =>
        {
            if (progress.Images == 4) stop.Cancel();
        }, stop.Token).Count();
        Assert.That(epochs, Is.Zero);
        Assert.That(trainer.Steps, Is.EqualTo(2));
    }

    [Test]
    public void Patience_ends_a_run_that_does_not_improve()
    {
        using BatchLoader train = Loader(4, shuffle: true), validation = Loader(4, shuffle: false);
        // So small a learning rate leaves the predictions as they are.
        TrainingPlan plan = new(TrainingRecipe.UltraLight, Objective.Segmentation(LossKind.BceDice), 1e-12, Epochs: 50) { Patience = 2 };
        Trainer trainer = new(Registry.Find("ul-vm-unet").Create(), train, validation, plan);
        Assert.That(trainer.Run().Count(), Is.EqualTo(3));
        Assert.That(trainer.BestEpoch, Is.EqualTo(1));
    }

    [Test]
    public void A_loss_that_is_no_number_is_an_error_that_leaves_the_weights_alone()
    {
        using BatchLoader train = Loader(4, shuffle: true), validation = Loader(2, shuffle: false);
        VisionModel model = Registry.Find("ul-vm-unet").Create();
        model.Parameters["final.bias"].Span[0] = float.NaN;
        float[] before = model.Parameters["final.weight"].Span.ToArray();
        Assert.That(
            () => new Trainer(model, train, validation, s_plan).Run().Count(),
            Throws.TypeOf<TrainingException>().With.Message.Contains("epoch 1"));
        Assert.That(model.Parameters["final.weight"].Span.ToArray(), Is.EqualTo(before));
    }

    private static BatchLoader Loader(int count, bool shuffle) => new(
        new SyntheticLesions(5, count, Side, Side), [.. Enumerable.Range(0, count)], new BatchOptions
        {
            Height = Side,
            Width = Side,
            Shuffle = shuffle,
        });
}
