namespace Mamba.Models.Data;

/// <summary>How pictures are resized.</summary>
public enum Resampling
{
    /// <summary>Bilinear between the four nearest pixels, as PyTorch's interpolate: a smaller picture leaves pixels out.</summary>
    Bilinear,

    /// <summary>
    /// Bilinear with a filter as wide as the reduction, as Pillow and torchvision with antialias: a smaller picture is a mean of all
    /// pixels.
    /// </summary>
    Antialias,
}
