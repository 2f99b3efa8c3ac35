using Mamba.Models.Recipes;
using Mamba.Models.Tasks;
using Mamba.Models.Zoo;

namespace Mamba.Models.Training;

/// <summary>What an <see cref="Objective"/> is made of.</summary>
/// <param name="Loss">The loss.</param>
public sealed record ObjectiveOptions(LossKind Loss)
{
    /// <summary>
    /// The classes of the data, as <see cref="ModelConfig.Classes"/>: 1 is a mask, more are classes with the background among them. It
    /// decides between the binary and the multi-class form of a segmentation loss.
    /// </summary>
    public int Classes { get; init; } = 1;

    /// <summary>Label smoothing of a classifier's training loss, from 0 to 1.</summary>
    public double LabelSmoothing { get; init; }

    /// <summary>
    /// A positive weight for each class; null for 1 each. For a mask: one weight, of the pixels of the lesion beside 1 for the background;
    /// or two, background first.
    /// </summary>
    public IReadOnlyList<float>? ClassWeights { get; init; }

    /// <summary>The loss of a model's training where none is chosen.</summary>
    /// <param name="entry">The model.</param>
    /// <param name="classes">The classes of the data, as <see cref="Classes"/>.</param>
    /// <returns>
    /// The recipe's loss; <see cref="LossKind.CeDice"/> for a segmentation of several classes, which the recipes do not know.
    /// </returns>
    public static LossKind DefaultLoss(ModelEntry entry, int classes) =>
        entry.Task == ModelTask.Segmentation && classes > 1 ? LossKind.CeDice : entry.Recipe.Loss;
}
