namespace Mamba.Models.Studies;

/// <summary>A test image on which models disagree.</summary>
/// <param name="image">Its name.</param>
/// <param name="place">Its place among the test images.</param>
/// <param name="runs">The runs that were tested on it.</param>
/// <param name="deviation">The standard deviation of its Dice over the runs.</param>
public sealed class Disagreement(string image, int place, IReadOnlyList<RunResult> runs, double deviation)
{
    /// <summary>Its name.</summary>
    public string Image { get; } = image;

    /// <summary>Its place among the test images, and the number of its mask file.</summary>
    public int Place { get; } = place;

    /// <summary>The runs that were tested on it.</summary>
    public IReadOnlyList<RunResult> Runs { get; } = runs;

    /// <summary>The standard deviation of its Dice over the runs.</summary>
    public double Deviation { get; } = deviation;

    /// <summary>
    /// The test images on which runs disagree most. Those with foreground come first, since a few pixels of false alarm make the Dice of an
    /// empty image 0; and one of each patient comes before a second one.
    /// </summary>
    /// <param name="runs">Runs with the same test images in the same order; at least two, else there is nothing to disagree on.</param>
    /// <param name="most">How many images at most.</param>
    /// <returns>The images, the largest deviation first; equal ones in the order of the test images.</returns>
    public static IReadOnlyList<Disagreement> Of(IReadOnlyList<RunResult> runs, int most)
    {
        if (runs.Count < 2) return [];
        IReadOnlyList<ImageCounts> images = runs[0].Test!.Images;
        Disagreement[] sorted =
        [
            .. Enumerable.Range(0, images.Count)
                .Select(i => new Disagreement(
                    images[i].Image, i, runs, new SampleSummary(runs.Select(run => Dice(run.Test!.Images[i]))).Deviation))
                .Where(d => d.Deviation > 0)
                .OrderByDescending(d => d.Deviation).ThenBy(d => d.Place),
        ];
        HashSet<string> patients = [];
        List<Disagreement> first = [], later = [], empty = [];
        foreach (Disagreement candidate in sorted)
        {
            ImageCounts counts = images[candidate.Place];
            if (counts.Truth == 0) empty.Add(candidate);
            else (counts.Group.Length == 0 || patients.Add(counts.Group) ? first : later).Add(candidate);
        }
        return [.. first.Concat(later).Concat(empty).Take(most)];
    }

    /// <summary>Dice of an image; 1 with nothing true and nothing predicted.</summary>
    /// <param name="image">Its counts.</param>
    /// <returns>From 0 to 1.</returns>
    public static double Dice(ImageCounts image) =>
        image.Predicted + image.Truth == 0 ? 1 : 2.0 * image.Both / (image.Predicted + image.Truth);
}
