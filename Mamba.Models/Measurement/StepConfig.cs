using Mamba.Models.Zoo;

namespace Mamba.Models.Measurement;

/// <summary>What a <see cref="ModelStep"/> does.</summary>
public sealed record StepConfig
{
    /// <summary>The largest image side for which a step with the recipe's batch takes seconds at most.</summary>
    public const int SmallImage = 64;

    /// <summary>The batch of a training step of larger images: a batch norm needs two.</summary>
    public const int BatchOfLargeImages = 2;

    private StepConfig(ModelEntry entry, ModelConfig config) => (Entry, Config) = (entry, config);

    /// <summary>The model.</summary>
    public ModelEntry Entry { get; }

    /// <summary>Its configuration: the paper's, for images of this size.</summary>
    public ModelConfig Config { get; }

    /// <summary>Whether it is a training step (forward, loss, backward, optimizer); else inference.</summary>
    public bool Training { get; private init; }

    /// <summary>Images per step.</summary>
    public int Batch { get; private init; }

    /// <summary>Rows of an image.</summary>
    public int Height { get; private init; }

    /// <summary>Columns of an image.</summary>
    public int Width { get; private init; }

    /// <summary>A step.</summary>
    /// <param name="entry">The model.</param>
    /// <param name="training">Whether it is a training step.</param>
    /// <param name="size">Rows and columns of an image; the model's own if null.</param>
    /// <param name="batch">
    /// Images per step. The default is 1 for inference. For training it is the recipe's batch up to sides of <see cref="SmallImage"/>, else
    /// <see cref="BatchOfLargeImages"/>.
    /// </param>
    /// <returns>The step's configuration.</returns>
    /// <exception cref="ArgumentException">The model takes no images of this size.</exception>
    public static StepConfig Of(ModelEntry entry, bool training, (int Height, int Width)? size = null, int? batch = null)
    {
        (int height, int width) = size ?? (entry.ImageSize, entry.ImageSize);
        ModelConfig config = entry.Config;
        entry.ThrowIfTooSmall(height, width);
        if (config.ImageSize is not null)
        {
            if (height != width) throw new ArgumentException($"{entry.Name} takes square images; the size is {height}x{width}");
            if (height % config.ToPatchGrid().Patch != 0)
                throw new ArgumentException(
                    $"{entry.Name} takes images whose sides are multiples of {config.Patch}; the size is {height}x{width}");
            config = config with { ImageSize = height };
        }
        int usual = !training ? 1 : Math.Max(height, width) <= SmallImage ? entry.Recipe.Batch : BatchOfLargeImages;
        return new StepConfig(entry, config) { Training = training, Batch = batch ?? usual, Height = height, Width = width };
    }
}
