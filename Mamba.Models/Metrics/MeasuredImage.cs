using System.Text.Json.Serialization;

namespace Mamba.Models.Metrics;

/// <summary>
/// What metrics keep of an image. Added to other metrics in the order of the images, it counts there as the image itself does, to the bit:
/// so parts of a set may be measured in several processes.
/// </summary>
/// <param name="Name">Its name.</param>
/// <param name="Group">Its patient or volume; null without groups.</param>
/// <param name="Counts">
/// Of segmentation four of each class, the background first: see <see cref="PixelCounts"/>. Of classification the true class, the predicted
/// one, and 1 where the true one is among the five most probable, else 0.
/// </param>
/// <param name="Distances">Of segmentation the distance of each class, NaN where there is none. Of classification none.</param>
public sealed record MeasuredImage(string Name, string? Group, IReadOnlyList<long> Counts, IReadOnlyList<double> Distances)
{
    /// <summary>
    /// The distances of the volume that ends with this slice, of each class: those of <see cref="SegmentationDetail.Groups"/>. Null for
    /// pictures, and for other slices, which have no distances.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<double>? VolumeDistances { get; init; }
}
