namespace Mamba.Models.Metrics;

/// <summary>What a segmentation is measured by, besides the counts of its pixels.</summary>
public sealed record MetricOptions
{
    /// <summary>Whether <see cref="HausdorffDistance"/> is measured, which takes a few milliseconds an image.</summary>
    public bool Distances { get; init; }

    /// <summary>Whether the scores of each image are kept.</summary>
    public bool PerImage { get; init; }
}

/// <summary>What metrics may know of an image.</summary>
/// <param name="Height">Rows; 0 where distances are not measured.</param>
/// <param name="Width">Columns; 0 where distances are not measured.</param>
/// <param name="Name">Its name.</param>
/// <param name="Group">The patient or volume that it belongs to; null without groups.</param>
public readonly record struct MetricImage(int Height, int Width, string Name = "", string? Group = null);
