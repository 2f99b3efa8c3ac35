using Mamba.Core;
using Mamba.Core.Optim;
using Mamba.Models.Tasks;
using Mamba.Models.Training;
using Mamba.Models.Zoo;

namespace Mamba.Tests.Support;

/// <summary>A model of the zoo, made small: two steps of its recipe.</summary>
internal static class SmallTraining
{
    private const int Images = 3;

    /// <summary>The model, and what computes the loss of some images, in training.</summary>
    public static (VisionModel Model, Func<Tensor> Loss) Of(ModelEntry entry)
    {
        bool classifies = entry.Task == ModelTask.Classification;
        ModelConfig config = entry.Config with { Classes = classifies ? 3 : 1 };
        if (config.Width is not null) config = config with { Width = config.Patch is not null ? 48 : 16 };
        if (config.Depth is not null) config = config with { Depth = entry.Name == "resnet20" ? 6 : 2 };
        VisionModel model = entry.Create(config, seed: 7);
        int side = config.ImageSize ?? Math.Max(64, entry.SmallestSide);
        Tensor images = Numbers.Uniform(1, 0f, 1f, Images, side, side, 3),
            targets = classifies ? Tensor.Zeros(Images, 3) : Numbers.Uniform(2, 0f, 1f, Images, side, side, 1);
        if (classifies) for (int i = 0; i < Images; i++) targets.Span[4 * i] = 1f;
        else foreach (ref float t in targets.Span) t = MathF.Round(t);
        Objective objective = Objective.Of(entry, entry.Recipe.Loss);
        model.Parameters.Training = true;
        return (model, () => objective.Loss(objective.Predict(model, images), model.Output, targets, training: true));
    }

    /// <summary>Weights, running statistics and the state of the optimizer after two steps.</summary>
    public static float[][] Run(ModelEntry entry, int threads)
    {
        using ThreadCount _ = new(threads);
        (VisionModel model, Func<Tensor> loss) = Of(entry);
        Optimizer optimizer = entry.Recipe.CreateOptimizer(model.Parameters, entry.Recipe.LearningRate, maxGradientNorm: 0.5);
        for (int step = 0; step < 2; step++)
        {
            model.Parameters.Step = step;
            model.Parameters.ZeroGrad();
            using Tape tape = new();
            tape.Backward(loss());
            optimizer.Step();
        }
        return [.. model.Parameters.All.Concat(optimizer.State).Select(p => p.Tensor.Span.ToArray())];
    }
}
