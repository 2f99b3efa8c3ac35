namespace Mamba.Models.Metrics;

/// <summary>
/// Dice and IoU of a set of images, three ways; see <see cref="SegmentationMetrics"/>. All are NaN where no image has a lesion: there is
/// nothing to find, so nothing was measured.
/// </summary>
/// <param name="DiceGlobal">Dice of all pixels of the set together.</param>
/// <param name="DiceImage">Mean over images of their Dice.</param>
/// <param name="DicePaper">Mean over batches of their Dice.</param>
/// <param name="IouGlobal">Intersection over union of all pixels of the set together.</param>
/// <param name="IouImage">Mean over images of their IoU.</param>
/// <param name="IouPaper">Mean over batches of their IoU.</param>
public sealed record SegmentationScores(
    double DiceGlobal, double DiceImage, double DicePaper, double IouGlobal, double IouImage, double IouPaper) : Scores
{
    /// <summary>Sensitivity and the like, images with a lesion, scores by image and by group; null where they were not kept.</summary>
    public SegmentationDetail? Detail { get; init; }

    /// <inheritdoc/>
    public override IReadOnlyList<(string Name, double Value)> Values =>
    [
        ("dice_global", DiceGlobal), ("dice_image", DiceImage), ("dice_paper", DicePaper),
        ("iou_global", IouGlobal), ("iou_image", IouImage), ("iou_paper", IouPaper),
    ];
}
