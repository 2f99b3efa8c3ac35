using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Models.Data;
using Mamba.Models.Data.Loading;
using Mamba.Models.Metrics;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Models;

/// <summary>Training and evaluation of several classes, end to end, on discs and squares of known place.</summary>
internal sealed class SeveralClassesTrainingTests
{
    private const int Side = 32;

    [Test]
    public void A_model_learns_three_classes([Values("unet", "ul-vm-unet")] string name)
    {
        DiscsAndSquares data = new(20, Side);
        ModelEntry entry = Registry.Find(name);
        VisionModel model = entry.Create(
            entry.Config with { Classes = 3, Width = name == "unet" ? 8 : null, Depth = name == "unet" ? 2 : null }, seed: 1);
        Objective objective = Objective.Of(entry, new ObjectiveOptions(LossKind.CeDice) { Classes = 3 });
        using BatchLoader train = Loader(data, 0, 16, shuffle: true), test = Loader(data, 16, 4);
        TrainingPlan plan = new(TrainingRecipe.UNet, objective, 5e-3, Epochs: 25);
        Trainer trainer = new(model, train, test, plan);
        EpochResult last = trainer.Run().Last();
        MultiClassScores scores = (MultiClassScores)last.Validation.Scores;
        Assert.That(scores.MeanDice, Is.GreaterThan(0.8));
        Assert.That(scores.Detail.Classes.Select(c => c.Label), Is.EqualTo(data.Labels));
        Assert.That(trainer.BestScore, Is.EqualTo(trainer.Epochs.Max(e => e.Validation.Scores.Headline)));
    }

    [Test]
    public void Scores_at_the_images_own_size_are_those_of_resized_probabilities([Values(1, 3)] int classes)
    {
        DiscsAndSquares data = new(6, 45, binary: classes == 1);
        ModelEntry entry = Registry.Find("unet");
        VisionModel model = entry.Create(entry.Config with { Classes = classes, Width = 4, Depth = 2 }, seed: 1);
        Objective objective = Objective.Of(
            entry, new ObjectiveOptions(ObjectiveOptions.DefaultLoss(entry, classes)) { Classes = classes });
        using BatchLoader loader = Loader(data, 0, 6);
        CachedData cached = new(data, 1 << 20);
        EvaluationOptions options = new()
        {
            Data = cached,
            Resolution = MetricResolution.Image,
            Group = i => $"patient {i % 2}",
            Metrics = new MetricOptions { PerImage = true, Distances = true },
        };
        List<int> seen = [];
        Evaluation own = Evaluator.Run(
            model, loader, objective, options with { Observe = (batch, p) => seen.AddRange(batch.Indices.Take(p.Shape[0])) });
        Evaluation atModel = Evaluator.Run(model, loader, objective);

        IMetrics metrics = objective.NewMetrics(data.Labels);
        model.Parameters.Freeze();
        using MemoryScope scope = new();
        BatchWriter writer = new(new BatchOptions { Height = Side, Width = Side });
        for (int i = 0; i < 6; i++)
        {
            SegmentationSample sample = (SegmentationSample)data.Load(i);
            Tensor x = Tensor.Empty(1, Side, Side, 3);
            writer.Image(sample.Image, x.Span);
            Tensor p = Ops.ResizeBilinear(model.Probabilities(model.Segment(x)), (45, 45), alignCorners: false);
            metrics.Add(p.Span, Array.ConvertAll(sample.Mask.Classes, c => (float)c));
        }
        Assert.That(own.Scores.Values, Is.EqualTo(metrics.Result().Values));
        Assert.That(own.Scores.Values, Is.Not.EqualTo(atModel.Scores.Values));
        Assert.That(own.Loss, Is.EqualTo(atModel.Loss));
        Assert.That(seen, Is.EqualTo(Enumerable.Range(0, 6)));
        SegmentationDetail detail = own.Scores is MultiClassScores m ? m.Detail : ((SegmentationScores)own.Scores).Detail!;
        Assert.That(detail.PerImage.Select(r => r.Name).Distinct(), Is.EqualTo(Enumerable.Range(0, 6).Select(data.Name)));
        Assert.That(detail.PerImage.Select(r => r.Counts.Pixels), Is.All.EqualTo(45 * 45));
        Assert.That(detail.Groups.Select(g => (g.Group, g.Images)), Is.EqualTo(new[] { ("patient 0", 3), ("patient 1", 3) }));
        Assert.That(
            () => Evaluator.Run(model, loader, objective, options with { Data = null }),
            Throws.ArgumentException.With.Message.Contains("EvaluationOptions.Data"));
    }

    [Test]
    public void Where_no_validation_image_has_a_lesion_the_loss_selects_the_best_epoch()
    {
        DiscsAndSquares data = new(8, Side, binary: true, empty: true);
        ModelEntry entry = Registry.Find("unet");
        VisionModel model = entry.Create(entry.Config with { Width = 4, Depth = 2 }, seed: 1);
        using BatchLoader train = Loader(data, 0, 4, shuffle: true), validation = Loader(data, 4, 4);
        TrainingPlan plan = new(TrainingRecipe.UNet, Objective.Segmentation(LossKind.BceDice), 1e-3, Epochs: 3);
        Trainer trainer = new(model, train, validation, plan);
        EpochResult[] epochs = [.. trainer.Run()];
        Assert.That(epochs.Select(e => e.Validation.Scores.Headline), Is.All.NaN);
        double lowest = epochs.Min(e => e.Validation.Loss);
        Assert.That(trainer.BestEpoch, Is.EqualTo(epochs.First(e => e.Validation.Loss == lowest).Epoch));
        Assert.That(trainer.BestScore, Is.EqualTo(-lowest));
    }

    private static BatchLoader Loader(IImageData data, int first, int count, bool shuffle = false) => new(
        data, [.. Enumerable.Range(first, count)], new BatchOptions { Height = Side, Width = Side, Shuffle = shuffle });

    /// <summary>A bright red disc and a blue square on gray, each somewhere; of one class, both are lesions.</summary>
    private sealed class DiscsAndSquares(int count, int side, bool binary = false, bool empty = false) : IImageData
    {
        public ModelTask Task => ModelTask.Segmentation;

        public IReadOnlyList<string> Labels => binary ? ["lesion"] : ["background", "disc", "square"];

        public int Count => count;

        public string Name(int index) => $"image {index}";

        public Sample Load(int index)
        {
            Image image = new(side, side, 3);
            LabelMap map = new(side, side);
            int disc = side / 4 + index * 5 % (side / 2), square = index * 7 % (side - 10);
            for (int y = 0, i = 0; y < side; y++)
                for (int x = 0; x < side; x++, i++)
                {
                    int dy = y - side / 3, dx = x - disc;
                    bool inDisc = dy * dy + dx * dx < 36, inSquare = y >= side - 10 && y < side - 2 && x >= square && x < square + 8;
                    if (!empty) map.Classes[i] = inDisc ? (byte)1 : inSquare ? (byte)(binary ? 1 : 2) : (byte)0;
                    image.Pixels[3 * i] = inDisc ? (byte)220 : (byte)90;
                    image.Pixels[3 * i + 2] = inSquare ? (byte)220 : (byte)90;
                }
            return new SegmentationSample(image, map);
        }
    }
}
