using Mamba.Core.Nn;
using Mamba.Core.Optim;

namespace Mamba.Models.Recipes;

/// <summary>How a model is trained, as the paper's notebooks do it.</summary>
/// <param name="Optimizer">The optimizer.</param>
/// <param name="LearningRate">The learning rate.</param>
/// <param name="WeightDecay">The weight decay.</param>
/// <param name="Loss">The loss.</param>
/// <param name="Batch">Images per step.</param>
/// <param name="MetricBatch">The number of images that the paper's Dice pools before averaging; unused by classifiers.</param>
public sealed record TrainingRecipe(
    OptimizerKind Optimizer, double LearningRate, double WeightDecay, LossKind Loss, int Batch, int MetricBatch)
{
    /// <summary>Epochs in the paper.</summary>
    public const int PaperEpochs = 100;

    /// <summary>The momentum of SGD.</summary>
    public double Momentum { get; init; } = 0.9;

    /// <summary>The recipe of the UltraLight VM-UNet family.</summary>
    public static TrainingRecipe UltraLight { get; } = new(OptimizerKind.AdamW, 3e-4, 1e-2, LossKind.BceDice, Batch: 2, MetricBatch: 16);

    /// <summary>The recipe of U-Net; the paper's batch of 64 is cut to 8 here, so that a laptop's memory holds it.</summary>
    public static TrainingRecipe UNet { get; } = new(OptimizerKind.Adam, 3e-4, 0, LossKind.Dice, Batch: 8, MetricBatch: 64);

    /// <summary>The recipe of the ResNet segmenters; the paper's batch of 64 is cut to 8 here, as U-Net's is.</summary>
    public static TrainingRecipe ResNetSegmenter { get; } = new(OptimizerKind.Adam, 3e-4, 0, LossKind.Dice, Batch: 8, MetricBatch: 64);

    /// <summary>
    /// The recipe of UMambaBot; the paper's batch of 32 is cut to 8 here so that a laptop's memory holds it, and its metric pooled 16
    /// images.
    /// </summary>
    public static TrainingRecipe UMambaBot { get; } = new(OptimizerKind.Adam, 3e-4, 0, LossKind.Dice, Batch: 8, MetricBatch: 16);

    /// <summary>
    /// The recipe of UMambaBot-PP; the paper's batch of 64 is cut to 8 here so that a laptop's memory holds it, and its metric pooled 16
    /// images.
    /// </summary>
    public static TrainingRecipe UMambaBotPyramid { get; } = new(OptimizerKind.Adam, 3e-4, 0, LossKind.Dice, Batch: 8, MetricBatch: 16);

    /// <summary>The recipe of SegFormer: the paper's batch of 16 images of 224 x 224.</summary>
    public static TrainingRecipe SegFormer { get; } =
        new(OptimizerKind.AdamW, 1e-4, 5e-5, LossKind.BceWithLogits, Batch: 16, MetricBatch: 16);

    /// <summary>The recipe of the classifiers.</summary>
    public static TrainingRecipe Classification { get; } =
        new(OptimizerKind.Adam, 1e-3, 0, LossKind.CrossEntropy, Batch: 64, MetricBatch: 1);

    /// <summary>The recipe of ResNet8: SGD, as He et al. train their networks for CIFAR.</summary>
    public static TrainingRecipe ResNet8 { get; } = new(OptimizerKind.Sgd, 0.1, 2e-4, LossKind.CrossEntropy, Batch: 64, MetricBatch: 1);

    /// <summary>The recipe of deep classifiers without norms, AlexNet and VGG: the rate of their papers.</summary>
    public static TrainingRecipe PlainConvolutions { get; } =
        new(OptimizerKind.Sgd, 0.01, 5e-4, LossKind.CrossEntropy, Batch: 64, MetricBatch: 1);

    /// <summary>The recipe of convolutional classifiers with batch norm: SGD at a rate for batches of 64.</summary>
    public static TrainingRecipe NormedConvolutions { get; } =
        new(OptimizerKind.Sgd, 0.02, 5e-4, LossKind.CrossEntropy, Batch: 64, MetricBatch: 1);

    /// <summary>An optimizer of this recipe.</summary>
    /// <param name="parameters">The parameters to train.</param>
    /// <param name="learningRate">The learning rate.</param>
    /// <param name="maxGradientNorm">Bound of the gradients' norm; null for none.</param>
    /// <returns>The optimizer.</returns>
    public Optimizer CreateOptimizer(ParameterStore parameters, double learningRate, double? maxGradientNorm = null) => Optimizer switch
    {
        OptimizerKind.Sgd => new Sgd(parameters.Parameters, learningRate, Momentum, WeightDecay) { MaxGradientNorm = maxGradientNorm },
        OptimizerKind.AdamW => new AdamW(parameters.Parameters, learningRate, WeightDecay) { MaxGradientNorm = maxGradientNorm },
        _ => new Adam(parameters.Parameters, learningRate, WeightDecay) { MaxGradientNorm = maxGradientNorm },
    };
}
