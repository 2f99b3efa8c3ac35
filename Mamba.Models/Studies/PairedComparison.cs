namespace Mamba.Models.Studies;

/// <summary>Two entries that were tested on the same images: the difference of a score, by paired bootstrap over patients.</summary>
public sealed class PairedComparison
{
    private PairedComparison(EntryStatistics first, EntryStatistics second, string measure)
    {
        (First, Second, Measure) = (first.Entry, second.Entry, measure);
        IReadOnlyList<double> a = first.Draws(measure)!, b = second.Draws(measure)!;
        double[] differences = new double[a.Count];
        for (int i = 0; i < differences.Length; i++) differences[i] = a[i] - b[i];
        Difference = First.Score(measure).Mean - Second.Score(measure).Mean;
        Interval = Bootstrap.Interval(differences);
        PValue = Corrected = Bootstrap.PValue(differences);
    }

    /// <summary>One entry.</summary>
    public StudyEntry First { get; }

    /// <summary>The other.</summary>
    public StudyEntry Second { get; }

    /// <summary>The name of the score.</summary>
    public string Measure { get; }

    /// <summary>The score of the first minus that of the second.</summary>
    public double Difference { get; }

    /// <summary>The interval of the difference.</summary>
    public ScoreInterval Interval { get; }

    /// <summary>The two-sided p value.</summary>
    public double PValue { get; }

    /// <summary>The p value, corrected for the number of pairs with the same images (Holm).</summary>
    public double Corrected { get; private set; }

    /// <summary>All pairs that can be compared.</summary>
    /// <param name="entries">The entries.</param>
    /// <returns>A comparison for each pair with the same test images and the same score.</returns>
    public static IReadOnlyList<PairedComparison> Of(IReadOnlyList<EntryStatistics> entries)
    {
        List<PairedComparison> all = [];
        foreach (IGrouping<string, EntryStatistics> same in entries
            .Where(e => e.Compared is not null).GroupBy(e => $"{e.Entry.Protocol}\n{e.Compared}\n{e.Groups.ImageSet}"))
        {
            EntryStatistics[] members = [.. same];
            List<PairedComparison> pairs = [];
            for (int i = 0; i < members.Length; i++)
                for (int j = i + 1; j < members.Length; j++)
                    pairs.Add(new PairedComparison(members[i], members[j], members[i].Compared!));
            double[] corrected = Bootstrap.Holm([.. pairs.Select(pair => pair.PValue)]);
            for (int i = 0; i < corrected.Length; i++) pairs[i].Corrected = corrected[i];
            all.AddRange(pairs);
        }
        return all;
    }
}
