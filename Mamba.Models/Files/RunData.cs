using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Recipes;

namespace Mamba.Models.Files;

/// <summary>The data that a model was trained on: all that decides which image is in which split.</summary>
/// <param name="Protocol">How the images were split.</param>
/// <param name="Seed">The seed of the split, and of synthetic data.</param>
/// <param name="Limit">How many images were chosen before the split; null for all.</param>
/// <param name="Height">Rows of the model's input.</param>
/// <param name="Width">Columns of the model's input.</param>
public sealed record RunData(SplitProtocol Protocol, ulong Seed, int? Limit, int Height, int Width)
{
    /// <summary>The most rows or columns of a model's input, when it is trained and when a weight file says so.</summary>
    public const int MaxSide = 4096;

    /// <summary>The fold of a cross-validation; null for none.</summary>
    public Fold? Fold { get; init; }

    /// <summary>Whether a file listed the images of each part: protocol, seed and fold then do not say how they were split.</summary>
    public bool IsSplitFromFile { get; init; }

    /// <summary>
    /// The side of the squares that were cut out of the training images at their own resolution; null for whole images. Such a model is
    /// measured on tiles of that size.
    /// </summary>
    public int? Crop { get; init; }

    /// <summary>The loss; null for the recipe's.</summary>
    public LossKind? Loss { get; init; }

    /// <summary>Images a step; null for the recipe's.</summary>
    public int? Batch { get; init; }

    /// <summary>The weights of the classes in the loss; null for 1 each.</summary>
    public IReadOnlyList<float>? ClassWeights { get; init; }

    /// <summary>The number of synthetic images; null if the model was trained on a folder of images.</summary>
    public int? SyntheticImages { get; init; }

    /// <summary>The axis that the slices of the volumes follow one another along; null if the model was trained on pictures.</summary>
    public SliceAxis? Axis { get; init; }

    /// <summary>
    /// Whether the weights are somebody else's, who did not say what they were trained on: only height and width mean something then.
    /// </summary>
    public bool IsForeign { get; init; }

    /// <summary>The data of weights that do not say what they were trained on.</summary>
    /// <param name="height">Rows of the model's input.</param>
    /// <param name="width">Columns of the model's input.</param>
    /// <returns>Nothing but the size.</returns>
    public static RunData Foreign(int height, int width) => new(SplitProtocol.Official, 0, null, height, width) { IsForeign = true };
}
