using Mamba.Core;
using Mamba.Core.Optim;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Every model of the zoo, made small: two steps of its recipe on different numbers of threads.</summary>
[NonParallelizable]
internal sealed class DeterminismTests
{
    private const int Images = 3;
    private int _threads;

    public static IEnumerable<ModelEntry> Models => Registry.Models;

    [SetUp]
    public void Remember() => _threads = Workers.Count;

    [TearDown]
    public void PutBack() => Workers.Count = _threads;

    [TestCaseSource(nameof(Models))]
    public void The_number_of_threads_changes_no_bit_of_the_weights(ModelEntry entry)
    {
        float[][] alone = Train(entry, threads: 1);
        Assert.That(alone.SelectMany(t => t), Is.All.Matches<float>(float.IsFinite));
        foreach (int threads in new[] { 3, 1 })
        {
            float[][] again = Train(entry, threads);
            for (int i = 0; i < alone.Length; i++)
                Assert.That(again[i].AsSpan().SequenceEqual(alone[i]), $"tensor {i} of {alone.Length} on {threads} threads");
        }
    }

    private static float[][] Train(ModelEntry entry, int threads)
    {
        Workers.Count = threads;
        bool classifies = entry.Task == ModelTask.Classification;
        ModelConfig config = entry.Config with { Classes = classifies ? 3 : 1 };
        if (config.Width is not null) config = config with { Width = config.Patch is not null ? 48 : 16 };
        if (config.Depth is not null) config = config with { Depth = entry.Name == "resnet20" ? 6 : 2 };
        VisionModel model = entry.Create(config, seed: 7);
        int side = config.ImageSize ?? 64;
        Tensor images = Numbers.Uniform(1, 0f, 1f, Images, side, side, 3),
            targets = classifies ? Tensor.Zeros(Images, 3) : Numbers.Uniform(2, 0f, 1f, Images, side, side, 1);
        if (classifies) for (int i = 0; i < Images; i++) targets.Span[4 * i] = 1f;
        else foreach (ref float t in targets.Span) t = MathF.Round(t);
        Objective objective = Objective.Of(entry, entry.Recipe.Loss);
        Optimizer optimizer = entry.Recipe.CreateOptimizer(model.Parameters, entry.Recipe.LearningRate, maxGradientNorm: 0.5);
        model.Parameters.Training = true;
        for (int step = 0; step < 2; step++)
        {
            model.Parameters.Step = step;
            model.Parameters.ZeroGrad();
            using Tape tape = new();
            tape.Backward(objective.Loss(objective.Predict(model, images), model.Output, targets, training: true));
            optimizer.Step();
        }
        return [.. model.Parameters.All.Concat(optimizer.State).Select(p => p.Tensor.Span.ToArray())];
    }
}
