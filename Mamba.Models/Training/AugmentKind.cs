using Mamba.Models.Data.Augmentation;

namespace Mamba.Models.Training;

/// <summary>How training images are changed.</summary>
public enum AugmentKind
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>Images of classes: cropped at random from a border of 4, and not flipped, which digits cannot bear.</summary>
    Crop,

    /// <summary>Slices: flipped, turned, changed in brightness and contrast. Images of classes: cropped at random from a border of 4 and flipped.</summary>
    Basic,

    /// <summary>Images of classes: cropped, flipped, and RandAugment(2, 9), as in the paper.</summary>
    RandAugment,
}
