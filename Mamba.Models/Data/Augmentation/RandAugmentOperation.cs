namespace Mamba.Models.Data.Augmentation;

/// <summary>The operations of RandAugment, in torchvision's order.</summary>
public enum RandAugmentOperation
{
    /// <summary>Nothing.</summary>
    Identity,

    /// <summary>Shift each row by its distance from the top, times a slope.</summary>
    ShearX,

    /// <summary>Shift each column by its distance from the left, times a slope.</summary>
    ShearY,

    /// <summary>Shift by whole pixels to the right.</summary>
    TranslateX,

    /// <summary>Shift by whole pixels downwards.</summary>
    TranslateY,

    /// <summary>Rotate by degrees, counter-clockwise.</summary>
    Rotate,

    /// <summary>Away from black, by a factor of 1 + strength.</summary>
    Brightness,

    /// <summary>Away from gray, by a factor of 1 + strength.</summary>
    Color,

    /// <summary>Away from the mean brightness, by a factor of 1 + strength.</summary>
    Contrast,

    /// <summary>Away from the smoothed picture, by a factor of 1 + strength.</summary>
    Sharpness,

    /// <summary>Keep this number of upper bits.</summary>
    Posterize,

    /// <summary>Invert the values that are not below a threshold.</summary>
    Solarize,

    /// <summary>Stretch each channel to 0 to 255.</summary>
    AutoContrast,

    /// <summary>Even out each channel's histogram.</summary>
    Equalize,
}
