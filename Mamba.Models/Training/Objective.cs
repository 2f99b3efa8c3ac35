using Mamba.Core;
using Mamba.Models.Metrics;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>What depends on the task in training and evaluation: how to run the model, the loss and the metrics.</summary>
public abstract class Objective
{
    /// <summary>The objective of a model's task.</summary>
    /// <param name="entry">The model.</param>
    /// <param name="loss">The loss.</param>
    /// <param name="labelSmoothing">Label smoothing of a classifier's training loss, from 0 to 1.</param>
    /// <returns>The objective.</returns>
    /// <exception cref="ArgumentException">The loss, or label smoothing, does not fit the task.</exception>
    public static Objective Of(ModelEntry entry, LossKind loss, double labelSmoothing = 0)
    {
        if (entry.Task == ModelTask.Classification != (loss == LossKind.CrossEntropy))
            throw new ArgumentException($"loss {loss} does not fit {entry.Name}, a model for {entry.Task.ToString().ToLowerInvariant()}");
        if (labelSmoothing != 0 && entry.Task != ModelTask.Classification)
            throw new ArgumentException(
                $"label smoothing is for classification; {entry.Name} is a model for {entry.Task.ToString().ToLowerInvariant()}");
        return entry.Task == ModelTask.Classification ? Classification(labelSmoothing) : Segmentation(loss, entry.Recipe.MetricBatch);
    }

    /// <summary>Segmentation of one class, measured by Dice and IoU.</summary>
    /// <param name="loss">Any loss but cross-entropy.</param>
    /// <param name="metricBatch">The number of images that the paper's Dice pools before averaging.</param>
    /// <returns>The objective.</returns>
    public static Objective Segmentation(LossKind loss, int metricBatch = 16) => new SegmentationObjective(loss, metricBatch);

    /// <summary>Classification with cross-entropy, measured by macro F1 and accuracy.</summary>
    /// <param name="labelSmoothing">Label smoothing of the training loss, from 0 to 1.</param>
    /// <returns>The objective.</returns>
    public static Objective Classification(double labelSmoothing = 0) => new ClassificationObjective((float)labelSmoothing);

    /// <summary>Refuses a model whose output does not fit the loss.</summary>
    /// <param name="output">The kind of the model's output.</param>
    /// <exception cref="ArgumentException">The loss takes logits, and the model returns probabilities.</exception>
    public virtual void ThrowIfUnfit(ModelOutput output)
    {
    }

    /// <summary>Runs a model on a batch.</summary>
    /// <param name="model">The model.</param>
    /// <param name="images">(B, H, W, C), of any size for segmentation.</param>
    /// <returns>Logits or probabilities, of the targets' shape.</returns>
    public abstract Tensor Predict(VisionModel model, Tensor images);

    /// <summary>The loss of a prediction.</summary>
    /// <param name="prediction">What <see cref="Predict"/> returned.</param>
    /// <param name="output">Whether that is logits or probabilities.</param>
    /// <param name="target">Masks of 0 and 1, or probabilities of the classes.</param>
    /// <param name="training">Whether the loss is for training, with label smoothing, or for evaluation.</param>
    /// <returns>A scalar; 0 for a perfect prediction.</returns>
    public abstract Tensor Loss(Tensor prediction, ModelOutput output, Tensor target, bool training);

    /// <summary>New metrics without any image.</summary>
    /// <param name="labels">The names of the classes.</param>
    /// <returns>The metrics.</returns>
    public abstract IMetrics NewMetrics(IReadOnlyList<string> labels);

    private sealed class SegmentationObjective(LossKind loss, int metricBatch) : Objective
    {
        public override void ThrowIfUnfit(ModelOutput output)
        {
            if (loss != LossKind.BceDice && output != ModelOutput.Logits)
                throw new ArgumentException(
                    $"loss {loss} takes logits, and this model puts out probabilities; expected {LossKind.BceDice}");
        }

        public override Tensor Predict(VisionModel model, Tensor images) => model.Segment(images);

        public override Tensor Loss(Tensor prediction, ModelOutput output, Tensor target, bool training)
        {
            ThrowIfUnfit(output);
            return loss switch
            {
                LossKind.BceDice => Ops.BceDice(output == ModelOutput.Logits ? Ops.Sigmoid(prediction) : prediction, target),
                LossKind.Dice => Ops.DiceWithLogits(prediction, target),
                _ => Ops.BinaryCrossEntropyWithLogits(prediction, target),
            };
        }

        public override IMetrics NewMetrics(IReadOnlyList<string> labels) => new SegmentationMetrics(metricBatch);
    }

    private sealed class ClassificationObjective(float labelSmoothing) : Objective
    {
        public override Tensor Predict(VisionModel model, Tensor images) => model.Forward(images);

        public override Tensor Loss(Tensor prediction, ModelOutput output, Tensor target, bool training) =>
            Ops.CrossEntropy(prediction, target, training ? labelSmoothing : 0f);

        public override IMetrics NewMetrics(IReadOnlyList<string> labels) => new ClassificationMetrics(labels);
    }
}
