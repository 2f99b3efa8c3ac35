using Mamba.Models.Data;

namespace Mamba.Models.Metrics;

/// <summary>What a segmentation is measured by, besides the counts of its pixels.</summary>
public sealed record MetricOptions
{
    /// <summary>The unit of distances in pictures.</summary>
    public const string Pixels = "px";

    /// <summary>Whether <see cref="HausdorffDistance"/> is measured, which takes a few milliseconds an image.</summary>
    public bool Distances { get; init; }

    /// <summary>The unit of these distances: mm of volumes that say how far their voxels are apart.</summary>
    public string DistanceUnit { get; init; } = Pixels;

    /// <summary>Whether the scores of each image are kept.</summary>
    public bool PerImage { get; init; }
}

/// <summary>What metrics may know of an image.</summary>
/// <param name="Height">Rows; 0 where distances are not measured.</param>
/// <param name="Width">Columns; 0 where distances are not measured.</param>
/// <param name="Name">Its name.</param>
/// <param name="Group">The patient or volume that it belongs to; null without groups.</param>
public readonly record struct MetricImage(int Height, int Width, string Name = "", string? Group = null)
{
    /// <summary>
    /// How far the voxels of the group are apart, if the image is a slice of it: distances are then measured in the volume. The slices of
    /// a volume follow one another. Null for a picture of its own.
    /// </summary>
    public VoxelSpacing? Spacing { get; init; }
}
