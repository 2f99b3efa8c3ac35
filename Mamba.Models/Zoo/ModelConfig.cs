using System.Globalization;
using Mamba.Models.Blocks;

namespace Mamba.Models.Zoo;

/// <summary>
/// The options of a model. The model's entry in the <see cref="Registry"/> holds the default values; null marks an option that the model
/// does not have. The description in a weight file holds neither <see cref="DropPath"/> nor <see cref="Dropout"/>.
/// </summary>
/// <param name="InputChannels">Channels of the images.</param>
/// <param name="Classes">Channels of a segmentation model's output (1: lesion or not), or classes of a classifier.</param>
public sealed record ModelConfig(int InputChannels = 3, int Classes = 1)
{
    /// <summary>Height and width of the images that a learned position embedding is made for.</summary>
    public int? ImageSize { get; init; }

    /// <summary>Height and width of a patch.</summary>
    public int? Patch { get; init; }

    /// <summary>The model's width: the channels of a token, or of the first stage.</summary>
    public int? Width { get; init; }

    /// <summary>The number of blocks.</summary>
    public int? Depth { get; init; }

    /// <summary>
    /// Stochastic depth: the probability of dropping the last block for a training image, growing linearly from 0 at the first block.
    /// EfficientNet follows torchvision: block i of 16, from 0, has i / 16 of it, so the last one has 15 / 16. Null, as if 0, in a model
    /// read from a file that describes it.
    /// </summary>
    public double? DropPath { get; init; }

    /// <summary>
    /// Dropout probability before the last layers. Null where the model has no dropout, and in a model read from a file that describes it.
    /// </summary>
    public double? Dropout { get; init; }

    /// <summary>Random features of a linear attention (FAVOR+); null for softmax attention, or none.</summary>
    public int? Features { get; init; }

    /// <summary>The token mixer; null where the model has no choice of it.</summary>
    public MixerKind? Mixer { get; init; }

    /// <summary>The layer widths of a pruned model; null for the default widths.</summary>
    public ChannelWidths? Widths { get; init; }

    /// <summary>The mixer's name in files; null where there is no choice, and for Mamba, so that its files do not change.</summary>
    internal string? MixerName => Mixer is { } kind and not MixerKind.Mamba ? kind.ToString().ToLowerInvariant() : null;

    /// <summary>This configuration with the mixer named by a file.</summary>
    /// <exception cref="FormatException">It is unknown, or the model has no choice of mixer.</exception>
    internal ModelConfig WithMixer(string? name) => name is null ? this
        : Mixer is not null && Enum.TryParse(name, ignoreCase: true, out MixerKind kind) && Enum.IsDefined(kind)
            ? this with { Mixer = kind }
        : throw new FormatException($"mixer '{name}' is unknown, or not for this model");

    /// <summary>The grid of patches that this configuration describes.</summary>
    /// <returns>Image size, patch, width and depth, each checked.</returns>
    /// <exception cref="ArgumentException">One of them is missing or not positive, or patches do not fill the image.</exception>
    public PatchGrid ToPatchGrid()
    {
        PatchGrid grid = new(
            Positive(ImageSize, "image size"), Positive(Patch, "patch"), Positive(Width, "width"), Positive(Depth, "depth"));
        return grid.ImageSize % grid.Patch == 0 ? grid
            : throw new ArgumentException($"image size {grid.ImageSize} is no multiple of patch {grid.Patch}");

        static int Positive(int? value, string name) => value > 0 ? value.Value
            : throw new ArgumentException(
                $"{name} is {value?.ToString(CultureInfo.InvariantCulture) ?? "missing"}, expected a positive number");
    }
}
