using Mamba.Core;
using Mamba.Models.Zoo;

namespace Mamba.Models.Blocks;

/// <summary>How an image falls into square patches, and what becomes of them in a model of tokens.</summary>
/// <param name="ImageSize">Rows and columns of the image.</param>
/// <param name="Patch">Rows and columns of a patch.</param>
/// <param name="Width">Channels of a token.</param>
/// <param name="Depth">Blocks of the model.</param>
public sealed record PatchGrid(int ImageSize, int Patch, int Width, int Depth)
{
    /// <summary>Patches a side.</summary>
    public int Side => ImageSize / Patch;

    /// <summary>The grid of a configuration.</summary>
    /// <param name="config">With image size, patch, width and depth.</param>
    /// <returns>The grid.</returns>
    /// <exception cref="ArgumentException">One of them is missing or not positive, or patches do not fill the image.</exception>
    public static PatchGrid Of(ModelConfig config)
    {
        PatchGrid grid = new(
            Positive(config.ImageSize, "image size"), Positive(config.Patch, "patch"), Positive(config.Width, "width"), Positive(config.Depth, "depth"));
        return grid.ImageSize % grid.Patch == 0 ? grid
            : throw new ArgumentException($"image size {grid.ImageSize} is no multiple of patch {grid.Patch}", nameof(config));

        static int Positive(int? value, string name) => value > 0 ? value.Value
            : throw new ArgumentException($"{name} is {value?.ToString(System.Globalization.CultureInfo.InvariantCulture) ?? "missing"}, expected a positive number", nameof(config));
    }

    /// <summary>Cuts images into patches, in reading order; a patch is its pixels in reading order.</summary>
    /// <param name="images">(B, image size, image size, C).</param>
    /// <returns>(B, Side Side, Patch Patch C).</returns>
    public Tensor Cut(Tensor images)
    {
        int batch = images.Shape[0], channels = images.Shape[3];
        Tensor cut = Ops.Permute(images.Reshape(batch, Side, Patch, Side, Patch * channels), 0, 1, 3, 2, 4);
        return cut.Reshape(batch, Side * Side, Patch * Patch * channels);
    }
}
