namespace Mamba.Models.Data.Sets;

/// <summary>What to do with an image that has no mask.</summary>
public enum OnMissingMask
{
    /// <summary>It is an error.</summary>
    Fail,

    /// <summary>The image is left out.</summary>
    Skip,

    /// <summary>All of the image is background.</summary>
    Empty,
}
