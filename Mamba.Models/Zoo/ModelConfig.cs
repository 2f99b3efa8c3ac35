namespace Mamba.Models.Zoo;

/// <summary>
/// What can be chosen about a model. The entry of a model in the <see cref="Registry"/> holds its own values; a choice that a model does not have is null there.
/// </summary>
/// <param name="InputChannels">Channels of the images.</param>
/// <param name="Classes">Channels of a segmentation model's output (1: lesion or not), or classes of a classifier.</param>
public sealed record ModelConfig(int InputChannels = 3, int Classes = 1)
{
    /// <summary>Rows and columns of the images that a learned position embedding is made for.</summary>
    public int? ImageSize { get; init; }

    /// <summary>Rows and columns of a patch.</summary>
    public int? Patch { get; init; }

    /// <summary>The model's width: the channels of a token, or of the first stage.</summary>
    public int? Width { get; init; }

    /// <summary>The number of blocks.</summary>
    public int? Depth { get; init; }

    /// <summary>The probability that the last block is left out for an image in training; it grows linearly from 0 at the first (stochastic depth).</summary>
    public double? DropPath { get; init; }
}
