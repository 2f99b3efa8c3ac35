namespace Mamba.Models.Data.Sets;

/// <summary>What a folder cannot say about itself: where its files are, what its masks mean, and who its patients are.</summary>
public sealed record DataOptions
{
    /// <summary>All is found in the folder.</summary>
    public static DataOptions Default { get; } = new();

    /// <summary>The folder of the images, from the data's root or absolute; found if null.</summary>
    public string? Images { get; init; }

    /// <summary>The folder of the masks, from the data's root or absolute; found if null.</summary>
    public string? Masks { get; init; }

    /// <summary>What a mask's name has after its image's, such as <c>_mask</c>; found if null.</summary>
    public string? MaskSuffix { get; init; }

    /// <summary>A file with a line per class: its values or color in the masks, and its name; found if null.</summary>
    public string? Labels { get; init; }

    /// <summary>What to do with images that have no mask.</summary>
    public OnMissingMask OnMissingMask { get; init; }

    /// <summary>A CSV file with the name of each image and its patient; null for the folders' names.</summary>
    public string? Patients { get; init; }

    /// <summary>A regular expression whose first group in an image's name is its patient; null for the folders' names.</summary>
    public string? PatientPattern { get; init; }

    /// <summary>The axis of volumes that slices follow one another along; null for the third.</summary>
    public SliceAxis? Axis { get; init; }

    /// <summary>How the values of each volume become the 16 bits of its slices; null for <see cref="VolumeFolder.Usual"/>.</summary>
    public Intensity? VolumeIntensity { get; init; }
}
