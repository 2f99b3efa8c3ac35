using System.Globalization;

namespace Mamba.Models.Studies;

/// <summary>Intervals of an entry's scores, by bootstrap over its patients.</summary>
public sealed class EntryStatistics
{
    /// <summary>Scores that can be computed of the counts of images; the first that an entry has is compared in pairs.</summary>
    private static readonly string[] s_measures = ["dice_global", "dice_image", "iou_global", "iou_image", "macro_f1", "accuracy"];

    private readonly Dictionary<string, double[]> _draws = [];

    /// <summary>Draws patients of an entry's test images.</summary>
    /// <param name="entry">The entry.</param>
    /// <param name="draws">How often.</param>
    public EntryStatistics(StudyEntry entry, int draws = Bootstrap.Draws)
    {
        Entry = entry;
        Groups = new TestGroups(entry);
        Problem = Describe();
        if (Problem is not null) return;
        List<string> names = [];
        List<ResampledMeasure> measures = [];
        foreach (string name in s_measures)
        {
            if (Groups.Measure(name) is not { } measure || entry.Score(name).Count != entry.Ended.Count) continue;
            names.Add(name);
            measures.Add(measure);
        }
        double[][] values = Bootstrap.Resample(Groups.Count, measures, draws);
        for (int i = 0; i < values.Length; i++) _draws.Add(names[i], values[i]);
    }

    /// <summary>The entry.</summary>
    public StudyEntry Entry { get; }

    /// <summary>Its test images by patient.</summary>
    public TestGroups Groups { get; }

    /// <summary>Why there are no intervals; null where there are.</summary>
    public string? Problem { get; }

    /// <summary>The score that is compared in pairs; null for none.</summary>
    public string? Compared => s_measures.FirstOrDefault(_draws.ContainsKey);

    /// <summary>The interval of a score.</summary>
    /// <param name="measure">Its name.</param>
    /// <returns>The interval; null where it cannot be computed of the counts of images, or there are too few patients.</returns>
    public ScoreInterval? Interval(string measure) => _draws.TryGetValue(measure, out double[]? values) ? Bootstrap.Interval(values) : null;

    /// <summary>A score in each draw.</summary>
    /// <param name="measure">Its name.</param>
    /// <returns>The values; null where there are none.</returns>
    public IReadOnlyList<double>? Draws(string measure) => _draws.GetValueOrDefault(measure);

    private string? Describe()
    {
        if (Entry.Ended.Count == 0) return "no run has ended";
        if (Groups.Count == 0) return "the counts of images were not kept";
        if (Groups.Count < Bootstrap.LeastGroups)
            return string.Create(
                CultureInfo.InvariantCulture,
                $"{Groups.Count} {(Groups.ArePatients ? "patients" : "images")} are too few; expected at least {Bootstrap.LeastGroups}");
        return s_measures.Select(Mismatch).FirstOrDefault(problem => problem is not null);
    }

    /// <summary>The counts of images must give the score that the runs report; else they are of other images or another size.</summary>
    private string? Mismatch(string name)
    {
        const double Tolerance = 1e-4;
        if (Groups.Measure(name) is not { } measure || Entry.Score(name) is not { Count: > 0 } score) return null;
        double counted = measure.Once(Groups.Count);
        return Math.Abs(counted - score.Mean) <= Tolerance ? null : string.Create(
            CultureInfo.InvariantCulture, $"the counts of images give {name} {counted:F4}, and the runs report {score.Mean:F4}");
    }
}
