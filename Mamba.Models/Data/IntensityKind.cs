namespace Mamba.Models.Data;

/// <summary>How the values of a picture become numbers from 0 to 1.</summary>
public enum IntensityKind
{
    /// <summary>The range of the bits: 255, or 65535 for 16.</summary>
    None,

    /// <summary>From the smallest to the largest value of the picture.</summary>
    Range,

    /// <summary>From one percentile of the picture's values to another.</summary>
    Percentile,

    /// <summary>From one value to another, the same for all pictures.</summary>
    Window,

    /// <summary>To mean 0 and standard deviation 1 of the picture, in place of a normalization.</summary>
    ZScore,
}
