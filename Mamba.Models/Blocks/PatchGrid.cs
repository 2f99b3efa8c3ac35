using Mamba.Core;

namespace Mamba.Models.Blocks;

/// <summary>The division of an image into square patches, and the sizes of the model that reads them as tokens.</summary>
/// <param name="ImageSize">Rows and columns of the image.</param>
/// <param name="Patch">Rows and columns of a patch.</param>
/// <param name="Width">Channels of a token.</param>
/// <param name="Depth">Blocks of the model.</param>
public sealed record PatchGrid(int ImageSize, int Patch, int Width, int Depth)
{
    /// <summary>Patches per side.</summary>
    public int Side => ImageSize / Patch;

    /// <summary>Cuts images into patches in reading order; the pixels of a patch are in reading order too.</summary>
    /// <param name="images">(B, image size, image size, C).</param>
    /// <returns>(B, Side Side, Patch Patch C).</returns>
    public Tensor Cut(Tensor images)
    {
        int batch = images.Shape[0], channels = images.Shape[3];
        Tensor cut = Ops.Permute(images.Reshape(batch, Side, Patch, Side, Patch * channels), 0, 1, 3, 2, 4);
        return cut.Reshape(batch, Side * Side, Patch * Patch * channels);
    }
}
