using Mamba.Core;
using Mamba.Models.Data;
using Mamba.Models.Metrics;
using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>What depends on the task in training and evaluation: how to run the model, the loss and the metrics.</summary>
public abstract class Objective
{
    private static readonly LossKind[] s_mask =
        [LossKind.Dice, LossKind.BceWithLogits, LossKind.BceDice, LossKind.Focal, LossKind.Tversky];

    private static readonly LossKind[] s_classes = [LossKind.CeDice, LossKind.Ce, LossKind.Dice, LossKind.Focal, LossKind.Tversky];

    /// <summary>The objective of a model's task, with a mask for segmentation.</summary>
    /// <param name="entry">The model.</param>
    /// <param name="loss">The loss.</param>
    /// <param name="labelSmoothing">Label smoothing of a classifier's training loss, from 0 to 1.</param>
    /// <returns>The objective.</returns>
    /// <exception cref="ArgumentException">The loss, or label smoothing, does not fit the task.</exception>
    public static Objective Of(ModelEntry entry, LossKind loss, double labelSmoothing = 0) =>
        Of(entry, new ObjectiveOptions(loss) { LabelSmoothing = labelSmoothing });

    /// <summary>The objective of a model's task.</summary>
    /// <param name="entry">The model.</param>
    /// <param name="options">Loss, number of classes, weights.</param>
    /// <returns>The objective.</returns>
    /// <exception cref="ArgumentException">The loss, label smoothing or the weights do not fit the task or the classes.</exception>
    public static Objective Of(ModelEntry entry, ObjectiveOptions options)
    {
        if (entry.Task == ModelTask.Classification != (options.Loss == LossKind.CrossEntropy))
            throw new ArgumentException(
                $"loss {Word(options.Loss)} does not fit {entry.Name}, a model for {entry.Task.ToString().ToLowerInvariant()}");
        if (options.LabelSmoothing != 0 && entry.Task != ModelTask.Classification)
            throw new ArgumentException(
                $"label smoothing is for classification; {entry.Name} is a model for {entry.Task.ToString().ToLowerInvariant()}");
        if (entry.Task == ModelTask.Segmentation) return Segmentation(options, entry.Recipe.MetricBatch);
        float[]? weights = Weights(options, options.Classes);
        return new ClassificationObjective((float)options.LabelSmoothing, weights);
    }

    /// <summary>Segmentation of one class, measured by Dice and IoU.</summary>
    /// <param name="loss">A loss that knows one class.</param>
    /// <param name="metricBatch">The number of images that the paper's Dice pools before averaging.</param>
    /// <returns>The objective.</returns>
    /// <exception cref="ArgumentException">The loss is for several classes, or for classifiers.</exception>
    public static Objective Segmentation(LossKind loss, int metricBatch = 16) => Segmentation(new ObjectiveOptions(loss), metricBatch);

    /// <summary>Segmentation of one class or of several, as <see cref="ObjectiveOptions.Classes"/> says.</summary>
    /// <param name="options">Loss, number of classes, weights.</param>
    /// <param name="metricBatch">The number of images that the paper's Dice of one class pools before averaging.</param>
    /// <returns>The objective.</returns>
    /// <exception cref="ArgumentException">The loss or the weights do not fit the classes.</exception>
    public static Objective Segmentation(ObjectiveOptions options, int metricBatch = 16)
    {
        if (options.Classes is < 1 or > LabelMap.MaxClasses)
            throw new ArgumentException($"{options.Classes} classes; expected 1 to {LabelMap.MaxClasses}");
        bool several = options.Classes > 1;
        LossKind[] fitting = several ? s_classes : s_mask;
        if (!fitting.Contains(options.Loss))
            throw new ArgumentException(
                $"loss {Word(options.Loss)} does not fit {(several ? $"{options.Classes} classes" : "one class")}; expected "
                    + string.Join(", ", fitting.Select(Word)));
        if (options.ClassWeights is not null && options.Loss is LossKind.Dice or LossKind.Tversky)
            throw new ArgumentException(
                $"class weights do not change loss {Word(options.Loss)}; expected "
                    + string.Join(", ", fitting.Except([LossKind.Dice, LossKind.Tversky]).Select(Word)) + " with them");
        if (several) return new ClassesObjective(options.Loss, Weights(options, options.Classes));
        float[]? weights = Weights(options, options.ClassWeights?.Count == 1 ? 1 : 2);
        float? positive = weights is null ? null : weights.Length == 1 ? weights[0] : weights[1] / weights[0];
        return new MaskObjective(options.Loss, metricBatch, positive);
    }

    /// <summary>Classification with cross-entropy, measured by macro F1 and accuracy.</summary>
    /// <param name="labelSmoothing">Label smoothing of the training loss, from 0 to 1.</param>
    /// <returns>The objective.</returns>
    public static Objective Classification(double labelSmoothing = 0) => new ClassificationObjective((float)labelSmoothing, null);

    /// <summary>The names of the measures of the metrics, as results.csv has them.</summary>
    /// <param name="labels">The names of the classes.</param>
    /// <returns>The names, the first one being that of the headline.</returns>
    public IReadOnlyList<string> Measures(IReadOnlyList<string> labels)
    {
        IMetrics metrics = NewMetrics(labels);
        bool classifies = this is ClassificationObjective;
        float[] probabilities = new float[labels.Count], target = new float[classifies ? labels.Count : 1];
        metrics.Add(probabilities, target); // an image of one pixel, since scores of nothing are refused
        return [.. metrics.Result().Values.Select(value => value.Name)];
    }

    /// <summary>Refuses a model whose output does not fit the loss.</summary>
    /// <param name="output">The kind of the model's output.</param>
    /// <exception cref="ArgumentException">The loss takes logits of several classes, and the model returns probabilities.</exception>
    public virtual void ThrowIfUnfit(ModelOutput output)
    {
    }

    /// <summary>Runs a model on a batch.</summary>
    /// <param name="model">The model.</param>
    /// <param name="images">(B, H, W, C), of any size for segmentation.</param>
    /// <returns>Logits or probabilities: (B, H, W, classes), or (B, classes).</returns>
    public abstract Tensor Predict(VisionModel model, Tensor images);

    /// <summary>The loss of a prediction.</summary>
    /// <param name="prediction">What <see cref="Predict"/> returned.</param>
    /// <param name="output">Whether that is logits or probabilities.</param>
    /// <param name="target">
    /// Class indices, (B, H, W, 1); those of one class are 0 and 1. Or probabilities of a classifier's classes.
    /// </param>
    /// <param name="training">Whether the loss is for training, with label smoothing, or for evaluation.</param>
    /// <returns>A scalar; 0 for a perfect prediction.</returns>
    /// <exception cref="ArgumentException">The mask of one class has another value than 0 and 1, or the output does not fit.</exception>
    public abstract Tensor Loss(Tensor prediction, ModelOutput output, Tensor target, bool training);

    /// <summary>New metrics without any image.</summary>
    /// <param name="labels">The names of the classes.</param>
    /// <param name="options">What to measure besides Dice and IoU; null for nothing.</param>
    /// <returns>The metrics.</returns>
    public abstract IMetrics NewMetrics(IReadOnlyList<string> labels, MetricOptions? options = null);

    /// <summary>The weights, checked.</summary>
    private static float[]? Weights(ObjectiveOptions options, int classes)
    {
        if (options.ClassWeights is not { } given) return null;
        float[] weights = [.. given];
        if (weights.Length != classes || !weights.All(w => w > 0 && float.IsFinite(w)))
            throw new ArgumentException(
                $"class weights {string.Join(", ", weights)}; expected {classes} positive numbers, one for each class");
        return weights;
    }

    private static string Word(LossKind loss) => RunArguments.Name(loss);

    /// <summary>One class: it is there or is not.</summary>
    private sealed class MaskObjective(LossKind loss, int metricBatch, float? positiveWeight) : Objective
    {
        public override Tensor Predict(VisionModel model, Tensor images) => model.Segment(images);

        public override Tensor Loss(Tensor prediction, ModelOutput output, Tensor target, bool training)
        {
            float largest = target.Count == 0 ? 0f : System.Numerics.Tensors.TensorPrimitives.Max<float>(target.Span);
            if (largest > 1f)
                throw new ArgumentException($"a mask of one class has a pixel of value {largest}; expected 0 and 1");
            return SegmentationLosses.OfMask(loss, prediction, output, target, positiveWeight);
        }

        public override IMetrics NewMetrics(IReadOnlyList<string> labels, MetricOptions? options = null) =>
            new SegmentationMetrics(metricBatch, options, labels.Count == 1 ? labels[0] : SegmentationMetrics.DefaultLabel);
    }

    /// <summary>Several classes, the background among them.</summary>
    private sealed class ClassesObjective(LossKind loss, float[]? weights) : Objective
    {
        public override void ThrowIfUnfit(ModelOutput output)
        {
            if (output != ModelOutput.Logits)
                throw new ArgumentException(
                    $"loss {Word(loss)} of several classes takes logits, and this model puts out probabilities of one class");
        }

        public override Tensor Predict(VisionModel model, Tensor images) => model.Segment(images);

        public override Tensor Loss(Tensor prediction, ModelOutput output, Tensor target, bool training)
        {
            ThrowIfUnfit(output);
            return SegmentationLosses.OfClasses(loss, prediction, target, weights);
        }

        public override IMetrics NewMetrics(IReadOnlyList<string> labels, MetricOptions? options = null) =>
            new MultiClassMetrics(labels, options);
    }

    private sealed class ClassificationObjective(float labelSmoothing, float[]? weights) : Objective
    {
        public override Tensor Predict(VisionModel model, Tensor images) => model.Forward(images);

        public override Tensor Loss(Tensor prediction, ModelOutput output, Tensor target, bool training)
        {
            float smoothing = training ? labelSmoothing : 0f;
            if (weights is null) return Ops.CrossEntropy(prediction, target, smoothing);
            Tensor weight = Tensor.From(weights, weights.Length);
            return Ops.CrossEntropy(prediction, target, new CrossEntropyOptions { LabelSmoothing = smoothing, Weight = weight });
        }

        public override IMetrics NewMetrics(IReadOnlyList<string> labels, MetricOptions? options = null) =>
            new ClassificationMetrics(labels);
    }
}
