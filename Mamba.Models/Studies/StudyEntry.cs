using Mamba.Models.Metrics;

namespace Mamba.Models.Studies;

/// <summary>The runs of a study that tables show as one row: those of one label under one protocol, over seeds or folds.</summary>
public sealed class StudyEntry
{
    private StudyEntry(IReadOnlyList<RunResult> runs)
    {
        Runs = runs;
        Ended = [.. runs.Where(run => run.Test is not null)];
        IsUneven = Ended.Skip(1).Any(run => !Occurring(run.Test!).SequenceEqual(Occurring(Ended[0].Test!)));
    }

    /// <summary>Whether some test sets lack a class that others have: a mean over classes is another measure in each run.</summary>
    public bool IsUneven { get; }

    /// <summary>All its runs, in the order of the study; at least one.</summary>
    public IReadOnlyList<RunResult> Runs { get; }

    /// <summary>Those that have ended, and so have scores.</summary>
    public IReadOnlyList<RunResult> Ended { get; }

    /// <summary>What tables call it.</summary>
    public string Label => Runs[0].Label;

    /// <summary>The name of the split.</summary>
    public string Protocol => Runs[0].Protocol;

    /// <summary>A run that stands for what all runs have in common, such as the number of parameters: one that has ended, if any.</summary>
    public RunResult Example => Ended.Count > 0 ? Ended[0] : Runs[0];

    /// <summary>The entries of a study, in the order of their first runs.</summary>
    /// <param name="results">The study.</param>
    /// <returns>An entry for each label and protocol.</returns>
    public static IReadOnlyList<StudyEntry> Of(StudyResults results)
    {
        List<string> order = [];
        Dictionary<string, List<RunResult>> runs = [];
        foreach (RunResult run in results.Runs)
        {
            string key = $"{run.Label}\n{run.Protocol}";
            if (!runs.TryGetValue(key, out List<RunResult>? same))
            {
                runs.Add(key, same = []);
                order.Add(key);
            }
            same.Add(run);
        }
        return [.. order.Select(key => new StudyEntry(runs[key]))];
    }

    /// <summary>A score over the runs that have ended.</summary>
    /// <param name="measure">Its name in <see cref="TestScores.Measures"/>.</param>
    /// <returns>Mean and deviation over the runs that have it; nothing of a mean over classes, where <see cref="IsUneven"/>.</returns>
    public SampleSummary Score(string measure) => IsUneven && Scores.IsOverClasses(measure) ? new([])
        : new(Ended.Select(run => run.Test!.Measures.TryGetValue(measure, out double value) ? value : double.NaN));

    /// <summary>Which classes occur in the truth of a test set.</summary>
    private static IEnumerable<bool> Occurring(TestScores test) => test.Confusion.Count > 0 ? test.Confusion.Select(row => row.Sum() > 0)
        : test.Measures.ContainsKey("mean_dice") ? test.Measures.Where(IsOfClass).Select(measure => double.IsFinite(measure.Value)) : [];

    private static bool IsOfClass(KeyValuePair<string, double> measure) =>
        measure.Key.StartsWith("dice_", StringComparison.Ordinal) && measure.Key != "dice_image";

    /// <summary>A figure over the runs that have ended.</summary>
    /// <param name="figure">The figure of a run; 0 for one that was not measured.</param>
    /// <returns>Mean and deviation over the runs that have it.</returns>
    public SampleSummary Figure(Func<RunResult, double> figure) =>
        new(Ended.Select(figure).Select(value => value > 0 ? value : double.NaN));
}
