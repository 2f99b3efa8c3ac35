namespace Mamba.Models.Training;

/// <summary>What <see cref="RunArguments.Identity"/> covers: each version of Mamba.NET more than the one before.</summary>
public enum IdentityForm
{
    /// <summary>Options with the number of epochs, and the names of images.</summary>
    Names,

    /// <summary>Options, and the names and lengths of images.</summary>
    Images,

    /// <summary>The same, and the content of masks and annotations.</summary>
    Masks,

    /// <summary>The same, and the content of images.</summary>
    Content,
}
