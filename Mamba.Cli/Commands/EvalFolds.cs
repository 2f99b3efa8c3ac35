using System.Globalization;
using Mamba.Cli.Reports;
using Mamba.Models.Data;
using Mamba.Models.Data.Splits;
using Mamba.Models.Files;
using Mamba.Models.Metrics;
using Mamba.Models.Training;

namespace Mamba.Cli.Commands;

/// <summary>
/// Several weights, each measured on its own images: a row each, their mean and standard deviation. What makes such a mean untrue is
/// refused before anything is measured.
/// </summary>
/// <param name="terminal">Where results and notes go.</param>
/// <param name="request">What to measure.</param>
/// <param name="runs">The weights.</param>
internal sealed class EvalFolds(Terminal terminal, EvalRequest request, IReadOnlyList<EvalRun> runs)
{
    private const int MeasuresOfTable = 4;

    private bool AreFolds => runs.Any(run => run.Info.Data.Fold is not null);

    private bool AreDifferent => runs.Any(run => run.Info.Model != runs[0].Info.Model || run.Info.Config != runs[0].Info.Config);

    /// <summary>Checks, measures and prints.</summary>
    /// <exception cref="ArgumentException">The runs do not go together.</exception>
    public int Run(CancellationToken stop)
    {
        if (runs.GroupBy(run => Path.GetFullPath(run.Weights)).FirstOrDefault(group => group.Skip(1).Any()) is { } twice)
            throw new ArgumentException($"{twice.First().Weights}: given twice in --weights; expected each run once");
        foreach (EvalRun run in runs)
        {
            terminal.Error.WriteLine(PlainText.Printable($"{run.Weights}:"));
            run.Open(stop);
            if (run.Images is { Part: SplitPart.Train } or { Trained: > 0 })
                throw new ArgumentException($"{run.Weights}: {run.Images.Trained} of {run.Images.Indices.Length} images were trained on; "
                    + "a mean over runs needs images that were not: --split test or val, or other data");
        }
        ThrowIfOtherOrder();
        bool same = ThrowIfShared();
        if (!same && AreFolds) ThrowIfOtherFolds();
        if (same && request.PerImage is not null)
            throw new ArgumentException("--per-image has a row an image, and these runs have the same ones; measure each run alone");
        string images = same ? "the same images: the deviation is that of the runs, not of folds"
            : AreFolds ? "images of their own, which they did not train on" : "images of their own; no folds of one cross-validation";
        terminal.Error.WriteLine($"note: {runs.Count} runs on {images}{Missing(same)}");
        if (AreDifferent)
            terminal.Error.WriteLine(
                $"note: the runs are of different models or sizes: {string.Join(", ", runs.Select(ModelOf).Distinct())}");
        Evaluation[] results = [.. runs.Select(run => run.Measure(stop))];
        EvalCommand.WritePerImage(request.PerImage, results);
        Report(results, same);
        return ExitCode.Success;
    }

    /// <summary>Refuses runs whose scores by class stand in different orders.</summary>
    private void ThrowIfOtherOrder()
    {
        if (runs.FirstOrDefault(run => ReorderedClasses.Are(run.Info.Labels, runs[0].Info.Labels)) is { } other)
            throw new ArgumentException(
                $"{other.Weights} has the classes {PlainText.Few(other.Info.Labels)}, {runs[0].Weights} the same ones in another order; "
                    + "measure each run alone");
    }

    /// <summary>Refuses runs that share some of their images, or folds that share all.</summary>
    /// <returns>Whether all runs have the same images.</returns>
    private bool ThrowIfShared()
    {
        HashSet<string>[] keys = [.. runs.Select(run => run.Keys().ToHashSet(StringComparer.Ordinal))];
        bool same = keys.Skip(1).All(keys[0].SetEquals), whole = runs.All(run => run.Images.Part == SplitPart.All);
        if (same && (whole || !AreFolds)) return true;
        for (int r = 1; r < keys.Length; r++)
            for (int other = 0; other < r; other++)
                if (keys[r].FirstOrDefault(keys[other].Contains) is { } shared)
                    throw new ArgumentException(
                        $"'{shared.Split('\n')[0]}' and {keys[r].Count(keys[other].Contains) - 1} more images are measured in both "
                            + $"{runs[other].Weights} and {runs[r].Weights}; expected folds without a common image, or the same images "
                            + "in all runs");
        return false;
    }

    /// <summary>Refuses folds of several cross-validations.</summary>
    private void ThrowIfOtherFolds()
    {
        EvalRun reference = runs.First(run => run.Info.Data.Fold is not null);
        RunData first = reference.Info.Data;
        foreach (EvalRun run in runs)
        {
            RunData data = run.Info.Data;
            if ((data.Protocol, data.Seed, data.Limit, data.Fold?.Count)
                != (first.Protocol, first.Seed, first.Limit, first.Fold?.Count))
                throw new ArgumentException(
                    $"{run.Weights} is {Describe(data)}, {reference.Weights} {Describe(first)}; expected folds of one cross-validation");
        }

        static string Describe(RunData data) => string.Create(
            CultureInfo.InvariantCulture,
            $"{(data.Fold is { } fold ? $"fold {fold}" : "no fold")} by {RunArguments.Name(data.Protocol)} of seed {data.Seed}");
    }

    /// <summary>Which folds are not there, in words.</summary>
    private string Missing(bool same)
    {
        if (same || runs[0].Info.Data.Fold is not { Count: var count }) return "";
        string[] absent = [.. Enumerable.Range(1, count).Except(runs.Select(run => run.Info.Data.Fold!.Value.Number))
            .Select(number => new Fold(number, count).ToString())];
        return absent.Length == 0 ? $"; all {count} folds" : $"; missing folds: {string.Join(", ", absent)}";
    }

    private void Report(Evaluation[] results, bool same)
    {
        string[] names = [.. results[0].Scores.Values.Select(value => value.Name)];
        double[][] columns = [.. names.Select((_, i) => Array.ConvertAll(results, result => result.Scores.Values[i].Value))];
        double[] means = Array.ConvertAll(columns, SegmentationDetail.Mean), deviations = Array.ConvertAll(columns, Deviation);
        string? uneven = Uneven(results);
        if (uneven is not null)
            foreach (int i in Enumerable.Range(0, names.Length).Where(i => Scores.IsOverClasses(names[i])))
                means[i] = deviations[i] = double.NaN;
        if (uneven is not null) terminal.Error.WriteLine(PlainText.Printable($"note: {uneven}"));
        if (request.Json)
        {
            FoldsDocument document = new(
                same, results.Sum(result => result.Images),
                [.. runs.Select((run, i) => ScoreReport.Document(results[i], run.Skipped) with
                {
                    Weights = run.Weights,
                    Model = run.Info.Model,
                    Fold = run.Info.Data.Fold?.ToString(),
                })],
                Named(means), Named(deviations));
            JsonReport.Write(terminal.Out, document, ReportJson.Default.FoldsDocument);
            return;
        }
        IEnumerable<string> titles = names.Take(MeasuresOfTable).Select(name => name.Replace('_', ' '));
        Column[] table = [new(AreFolds ? "fold" : "run"), new("images") { Number = true },
            .. titles.Select(title => new Column(title, 6) { Number = true })];
        TableReport.Write(terminal, table, runs.Select((run, i) => (string[])
            [NameOf(run), results[i].Images.ToString(CultureInfo.InvariantCulture), .. Cells(columns.Select(column => column[i]))])
            .Append(["mean", "", .. Cells(means)]).Append(["deviation", "", .. Cells(deviations)]));
        int undefined = columns[0].Count(double.IsNaN);
        terminal.Out.WriteLine("mean and sample standard deviation (n - 1) over "
            + $"{runs.Count - undefined} runs{(undefined == 0 ? "" : $"; {undefined} without a lesion in the truth are left out")}");
        if (uneven is not null && results[0].Scores is ClassificationScores)
            terminal.Out.WriteLine($"macro F1 of the predictions of all runs together: {ScoreReport.Four(PooledF1(results))}");

        Dictionary<string, double> Named(double[] values) => names.Zip(values).ToDictionary(pair => pair.First, pair => pair.Second);
    }

    /// <summary>What is to be said where runs have other classes in their images; null where they have the same.</summary>
    private string? Uneven(Evaluation[] results)
    {
        (string Label, bool Occurs)[][] classes = Array.ConvertAll(results, result => result.Scores switch
        {
            ClassificationScores c => c.Classes.Select(k => (k.Label, k.Support > 0)).ToArray(),
            MultiClassScores m => [.. m.Detail.Classes.Select(k => (k.Label, k.Images > 0))],
            _ => [],
        });
        for (int r = 0; r < classes.Length; r++)
            foreach ((int place, (string label, bool occurs)) in classes[r].Index())
                if (!occurs && classes.Any(other => other[place].Occurs))
                    return $"{NameOf(runs[r])} has no image of {label}, and others have: "
                        + (results[r].Scores is MultiClassScores ? "mean Dice and mean IoU are" : "macro F1 is")
                        + " over other classes there, with no mean over runs";
        return null;
    }

    /// <summary>The macro F1 of all predictions: each image is measured once.</summary>
    private static double PooledF1(Evaluation[] results)
    {
        ClassificationScores[] scores = Array.ConvertAll(results, result => (ClassificationScores)result.Scores);
        string[] labels = [.. scores[0].Classes.Select(c => c.Label)];
        long[,] pooled = new long[labels.Length, labels.Length];
        foreach (ClassificationScores run in scores)
            for (int i = 0; i < pooled.Length; i++)
                pooled[i / labels.Length, i % labels.Length] += run.Confusion[i / labels.Length, i % labels.Length];
        return ClassificationScores.Of(labels, pooled).MacroF1;
    }

    private string NameOf(EvalRun run)
    {
        string name = AreFolds && run.Info.Data.Fold is { } fold ? fold.ToString() : run.Weights;
        return PlainText.Printable(AreDifferent ? $"{name} {ModelOf(run)}" : name);
    }

    private static string ModelOf(EvalRun run) =>
        string.Create(CultureInfo.InvariantCulture, $"{run.Info.Model} {run.Info.Data.Height}x{run.Info.Data.Width}");

    private static IEnumerable<string> Cells(IEnumerable<double> values) => values.Take(MeasuresOfTable).Select(ScoreReport.Four);

    /// <summary>The sample standard deviation of the numbers that are defined; NaN of fewer than two.</summary>
    private static double Deviation(double[] values)
    {
        double[] known = [.. values.Where(value => !double.IsNaN(value))];
        if (known.Length < 2) return double.NaN;
        double mean = known.Average();
        return Math.Sqrt(known.Sum(value => (value - mean) * (value - mean)) / (known.Length - 1));
    }
}
