using System.Globalization;

namespace Mamba.Models.Studies;

/// <summary>
/// The test images of an entry, by patient. A bootstrap draws patients and not images: slices of one patient resemble each other, so that
/// drawing them one by one would make an interval too narrow.
/// </summary>
public sealed class TestGroups
{
    private readonly StudyEntry _entry;
    private readonly Dictionary<string, int> _places = new(StringComparer.Ordinal);

    /// <summary>Finds the groups.</summary>
    /// <param name="entry">An entry; the runs that have ended count.</param>
    public TestGroups(StudyEntry entry)
    {
        _entry = entry;
        SortedSet<string> names = new(StringComparer.Ordinal);
        foreach (RunResult run in entry.Ended)
        {
            foreach (ImageCounts image in run.Test!.Images) names.Add(GroupOf(image));
            foreach (ImagePrediction image in run.Test!.Predictions) names.Add(image.Image);
        }
        ArePatients = entry.Ended.Any(run => run.Test!.Images.Count > 0)
            && entry.Ended.All(run => run.Test!.Images.All(image => image.Group.Length > 0));
        foreach (string name in names) _places.Add(name, _places.Count);
        ImageSet = string.Join('\n', entry.Ended.Select(NamesOf).Order(StringComparer.Ordinal).Distinct());
    }

    /// <summary>The number of groups.</summary>
    public int Count => _places.Count;

    /// <summary>Whether the groups are patients; otherwise each image is a group of its own.</summary>
    public bool ArePatients { get; }

    /// <summary>The names of the test images of all runs: equal where two entries were tested on the same images.</summary>
    public string ImageSet { get; }

    /// <summary>A score of results.csv as a function of the groups that count.</summary>
    /// <param name="name">Its name.</param>
    /// <returns>The score; null where it cannot be computed from the counts of images.</returns>
    public ResampledMeasure? Measure(string name)
    {
        if (Count == 0) return null;
        return name switch
        {
            "dice_global" => Pixels(iou: false, byImage: false),
            "iou_global" => Pixels(iou: true, byImage: false),
            "dice_image" => Pixels(iou: false, byImage: true),
            "iou_image" => Pixels(iou: true, byImage: true),
            "accuracy" => Accuracy(),
            "macro_f1" => MacroF1(),
            _ => null,
        };
    }

    private static string GroupOf(ImageCounts image) => image.Group.Length > 0 ? image.Group : image.Image;

    private static string NamesOf(RunResult run) => string.Create(
        CultureInfo.InvariantCulture,
        $"{run.Test!.Images.Count}\n{string.Join('\n', run.Test.Images.Select(image => image.Image))}\n"
            + $"{string.Join('\n', run.Test.Predictions.Select(image => image.Image))}");

    /// <summary>Dice or IoU, of all pixels together or as a mean over images; an image with nothing true or predicted counts 1.</summary>
    private RatioMeasure? Pixels(bool iou, bool byImage)
    {
        if (_entry.Ended.Any(run => run.Test!.Images.Count == 0)) return null;
        return new RatioMeasure([.. _entry.Ended.Select(run =>
        {
            double[] parts = RatioMeasure.Empty(Count);
            foreach (ImageCounts image in run.Test!.Images)
            {
                int group = _places[GroupOf(image)];
                double part = iou ? image.Both : 2.0 * image.Both;
                long whole = image.Predicted + image.Truth - (iou ? image.Both : 0);
                parts[2 * group] += !byImage ? part : whole == 0 ? 1 : part / whole;
                parts[2 * group + 1] += byImage ? 1 : whole;
            }
            return parts;
        })]);
    }

    private RatioMeasure? Accuracy()
    {
        if (_entry.Ended.Any(run => run.Test!.Predictions.Count == 0)) return null;
        return new RatioMeasure([.. _entry.Ended.Select(run =>
        {
            double[] parts = RatioMeasure.Empty(Count);
            foreach (ImagePrediction image in run.Test!.Predictions)
            {
                int group = _places[image.Image];
                if (image.Truth == image.Predicted) parts[2 * group]++;
                parts[2 * group + 1]++;
            }
            return parts;
        })]);
    }

    private MacroF1Measure? MacroF1()
    {
        if (_entry.Ended.Any(run => run.Test!.Predictions.Count == 0)) return null;
        int classes = 1 + _entry.Ended.Max(run => run.Test!.Predictions.Max(image => Math.Max(image.Truth, image.Predicted)));
        return new MacroF1Measure(classes, [.. _entry.Ended.Select(run =>
        {
            int[] images = new int[3 * run.Test!.Predictions.Count];
            for (int i = 0; i < run.Test.Predictions.Count; i++)
            {
                ImagePrediction image = run.Test.Predictions[i];
                (images[3 * i], images[3 * i + 1], images[3 * i + 2]) = (_places[image.Image], image.Truth, image.Predicted);
            }
            return images;
        })]);
    }
}
