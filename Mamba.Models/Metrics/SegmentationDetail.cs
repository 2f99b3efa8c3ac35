namespace Mamba.Models.Metrics;

/// <summary>The scores of one class over a set of images. NaN stands for what is not defined.</summary>
/// <param name="Label">Its name.</param>
/// <param name="Counts">Its pixels in all images together.</param>
/// <param name="Images">Images in whose truth it occurs.</param>
/// <param name="Hausdorff95">
/// The mean <see cref="HausdorffDistance"/> over <paramref name="HausdorffImages"/>; NaN if there are none.
/// </param>
/// <param name="HausdorffImages">
/// Images, or volumes, in whose truth and prediction it occurs; 0 if distances are not measured.
/// </param>
public sealed record SegmentClassScores(string Label, PixelCounts Counts, int Images, double Hausdorff95, int HausdorffImages)
{
    /// <summary>Dice of all pixels together; NaN where the class is in no truth, whatever was predicted.</summary>
    public double Dice => Counts.Truth == 0 ? double.NaN : Counts.Dice;

    /// <summary>Intersection over union of all pixels together; NaN where the class is in no truth, whatever was predicted.</summary>
    public double Iou => Counts.Truth == 0 ? double.NaN : Counts.Iou;
}

/// <summary>The scores of one patient or volume: the pixels of its images together.</summary>
/// <param name="Group">Its name.</param>
/// <param name="Images">Its images.</param>
/// <param name="Classes">The scores of each class, as <see cref="SegmentationDetail.Classes"/>.</param>
public sealed record GroupScores(string Group, int Images, IReadOnlyList<SegmentClassScores> Classes);

/// <summary>What is known of a segmented set of images beyond its headline.</summary>
/// <param name="Classes">The scores of each class: of the one that is segmented, or of all with the background first.</param>
/// <param name="Images">Images.</param>
/// <param name="ImagesWithForeground">Images in whose truth a pixel is not background.</param>
/// <param name="PixelAccuracy">The share of pixels whose class is right.</param>
public sealed record SegmentationDetail(
    IReadOnlyList<SegmentClassScores> Classes, int Images, int ImagesWithForeground, double PixelAccuracy)
{
    /// <summary>The unit of distances, see <see cref="MetricOptions.DistanceUnit"/>.</summary>
    public string DistanceUnit { get; init; } = "px";

    /// <summary>The scores of each image and class; empty unless <see cref="MetricOptions.PerImage"/> asks for them.</summary>
    public IReadOnlyList<PerImageScores> PerImage { get; init; } = [];

    /// <summary>The scores of each patient or volume, in the order of their first images; empty without groups.</summary>
    public IReadOnlyList<GroupScores> Groups { get; init; } = [];

    /// <summary>
    /// The mean over groups of the mean Dice over the classes that the group's truth has, without the background; NaN if no group has one.
    /// </summary>
    public double GroupDice => Mean(Groups.Select(g => Mean(Foreground(g.Classes).Select(c => c.Dice))));

    /// <summary>The classes without the background.</summary>
    /// <param name="classes"><see cref="Classes"/>, or those of a group.</param>
    /// <returns>All but the first of several.</returns>
    public static IEnumerable<SegmentClassScores> Foreground(IReadOnlyList<SegmentClassScores> classes) =>
        classes.Skip(classes.Count > 1 ? 1 : 0);

    /// <summary>The mean of the numbers that are defined.</summary>
    /// <param name="values">Numbers; NaN is left out.</param>
    /// <returns>The mean; NaN if none is left.</returns>
    public static double Mean(IEnumerable<double> values) => values.Where(v => !double.IsNaN(v)).DefaultIfEmpty(double.NaN).Average();
}
