using Mamba.Models.Data.Augmentation;

namespace Mamba.Models.Training;

/// <summary>The augmentation of training images.</summary>
public enum AugmentKind
{
    /// <summary>None.</summary>
    None,

    /// <summary>Classification: random crop with a padding of 4, without flips, which would change digits.</summary>
    Crop,

    /// <summary>
    /// Segmentation: flips, quarter turns, brightness and contrast. Classification: random crop with a padding of 4, and flips.
    /// </summary>
    Basic,

    /// <summary>Classification: crop, flip and RandAugment(2, 9), as in the paper.</summary>
    RandAugment,
}
