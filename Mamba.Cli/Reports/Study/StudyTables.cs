using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>The tables of a report.</summary>
internal static class StudyTables
{
    private static readonly TableColumn s_model = new("Model", false, "model"), s_protocol = new("Split", false, "split");

    /// <summary>Scores of each entry, beside the paper's.</summary>
    public static ReportTable Scores(StudyView view)
    {
        List<TableColumn> columns = [s_model, s_protocol, new("Runs", true, "runs")];
        foreach (string name in view.Measures)
        {
            columns.Add(new TableColumn(StudyView.Title(name), true, name, name + "_sd"));
            if (HasInterval(view, name)) columns.Add(new TableColumn("95 % interval", true, name + "_low", name + "_high"));
            if (name != view.Headline) continue;
            columns.Add(new TableColumn("Paper", true, "paper"));
            columns.Add(new TableColumn("Difference", true, "difference"));
        }
        if (IsCalibrated(view)) columns.Add(new TableColumn("ECE", true, "calibration_error"));
        ReportTable table = new("scores", "Scores on the test images: mean ± deviation over runs", [.. columns]);
        foreach (StudyEntry entry in view.Scored) table.Add([.. ScoreCells(view, entry)]);
        return table;
    }

    private static List<TableCell> ScoreCells(StudyView view, StudyEntry entry)
    {
        List<TableCell> cells =
            [TableCell.Of(entry.Label), TableCell.Of(entry.Protocol), TableCell.Of(entry.Ended.Count, Runs(entry))];
        foreach (string name in view.Measures)
        {
            SampleSummary score = entry.Score(name);
            cells.Add(TableCell.Mean(score.Mean, score.Deviation, Units.Score));
            if (HasInterval(view, name))
                cells.Add(view.StatisticsOf(entry).Interval(name) is { } interval
                    ? TableCell.Interval(interval.Low, interval.High, Units.Score)
                    : TableCell.Interval(double.NaN, double.NaN, Units.Score));
            if (name != view.Headline) continue;
            double paper = entry.Example.Paper?.Score ?? double.NaN;
            cells.Add(TableCell.Of(paper, Units.Score(paper)));
            double difference = StudyView.IsShort(entry) ? double.NaN : score.Mean - paper;
            cells.Add(TableCell.Of(difference, Units.Difference(difference)));
        }
        double error = StudyView.CalibrationError(entry);
        if (IsCalibrated(view)) cells.Add(TableCell.Of(error, Units.Score(error)));
        return cells;
    }

    /// <summary>What each entry costs: size, work, time and memory.</summary>
    public static ReportTable Cost(StudyView view)
    {
        ReportTable table = new(
            "cost", "Size and speed: mean ± deviation over runs", s_model, s_protocol, new("Parameters", true, "parameters"),
            new("MB", true, "bytes"), new("Multiply-adds", true, "multiply_adds"),
            new("Training, min", true, "training_s", "training_s_sd"), new("Paper, min", true, "paper_min"),
            new("Images/s", true, "images_per_s", "images_per_s_sd"),
            new("Inference, ms", true, "inference_ms", "inference_ms_sd"), new("Peak, MB", true, "peak_bytes"));
        foreach (StudyEntry entry in view.Scored)
        {
            RunResult run = entry.Example;
            double peak = entry.Figure(r => r.InferencePeakBytes).Mean, paper = run.Paper?.TrainingMinutes ?? double.NaN;
            table.Add(
                TableCell.Of(entry.Label), TableCell.Of(entry.Protocol), TableCell.Of(run.Parameters, Units.Whole(run.Parameters)),
                TableCell.Of(run.Bytes, Units.Three(run.Bytes / 1e6)), TableCell.Of(run.MultiplyAdds, Units.Short(run.MultiplyAdds)),
                Mean(entry, r => r.TrainingSeconds, seconds => Units.Three(seconds / 60)), TableCell.Of(paper, Units.Three(paper)),
                Mean(entry, r => r.ImagesPerSecond, Units.Three), Mean(entry, r => r.InferenceMilliseconds, Units.Three),
                TableCell.Of(peak, Units.Three(peak / 1e6)));
        }
        return table;
    }

    /// <summary>The difference of each pair of entries that were tested on the same images.</summary>
    public static ReportTable Pairs(StudyView view)
    {
        ReportTable table = new(
            "pairs", "Each pair of models on the same test images", new("First", false, "first"), new("Second", false, "second"),
            s_protocol, new("Score", false, "score"), new("Difference", true, "difference"), new("95 % interval", true, "low", "high"),
            new("p", true, "p"), new("p, Holm", true, "p_holm"));
        foreach (PairedComparison pair in view.Pairs)
            table.Add(
                TableCell.Of(pair.First.Label), TableCell.Of(pair.Second.Label), TableCell.Of(pair.First.Protocol),
                TableCell.Of(StudyView.Title(pair.Measure)), TableCell.Of(pair.Difference, Units.Difference(pair.Difference)),
                TableCell.Interval(pair.Interval.Low, pair.Interval.High, Units.Difference),
                TableCell.Of(pair.PValue, Units.PValue(pair.PValue)), TableCell.Of(pair.Corrected, Units.PValue(pair.Corrected)));
        return table;
    }

    /// <summary>The score of each model under each protocol; null where there is one protocol.</summary>
    public static ReportTable? Protocols(StudyView view)
    {
        if (view.Protocols.Count < 2 || view.Headline is not { } measure) return null;
        List<TableColumn> columns = [s_model];
        foreach (string protocol in view.Protocols)
            columns.Add(new TableColumn(Units.Upper(StudyView.SplitName(protocol)), true, protocol, protocol + "_sd"));
        foreach (string protocol in view.Protocols.Skip(1))
            columns.Add(new TableColumn($"{protocol} − {view.Protocols[0]}", true, $"{protocol}_minus_{view.Protocols[0]}"));
        ReportTable table = new("protocols", $"The protocols side by side: {StudyView.Title(measure)}", [.. columns]);
        foreach (IGrouping<string, StudyEntry> model in view.Scored.GroupBy(entry => entry.Label))
        {
            SampleSummary[] scores =
            [
                .. view.Protocols.Select(p => model.FirstOrDefault(entry => entry.Protocol == p)?.Score(measure) ?? new SampleSummary([])),
            ];
            List<TableCell> cells = [TableCell.Of(model.Key)];
            foreach (SampleSummary score in scores) cells.Add(TableCell.Mean(score.Mean, score.Deviation, Units.Score));
            foreach (SampleSummary score in scores.Skip(1))
                cells.Add(TableCell.Of(score.Mean - scores[0].Mean, Units.Difference(score.Mean - scores[0].Mean)));
            table.Add([.. cells]);
        }
        return table;
    }

    /// <summary>The splits that runs were trained on.</summary>
    public static ReportTable Splits(StudyView view)
    {
        ReportTable table = new(
            "splits", "Splits", s_protocol, new("Seed", true, "seed"), new("Fold", false, "fold"), new("Training", true, "train"),
            new("Validation", true, "validation"), new("Test", true, "test"), new("Patients", true, "patients"),
            new("On both sides", true, "shared_patients"), new("SHA-256 of the names", false, "digest"));
        HashSet<string> seen = [];
        foreach (RunResult run in view.Results.Runs)
        {
            if (run.Split is not { } split || !seen.Add($"{run.Protocol}\n{run.Seed}\n{run.Fold}\n{split.Digest}")) continue;
            table.Add(
                TableCell.Of(run.Protocol), Whole(run.Seed), TableCell.Of(run.Fold ?? Units.None), Whole(split.Train),
                Whole(split.Validation), Whole(split.Test), Known(split.Groups, split.Groups),
                Known(split.SharedGroups, split.Groups), TableCell.Beginning(split.Digest));
        }
        return table;

        static TableCell Whole(long value) => TableCell.Of(value, Units.Whole(value));

        static TableCell Known(long value, long groups) => groups > 0 ? Whole(value) : TableCell.Of(double.NaN, Units.None);
    }

    /// <summary>All runs, also those that have not ended, with the command of each.</summary>
    public static ReportTable Runs(StudyView view)
    {
        ReportTable table = new(
            "runs", "Runs", new("Run", false, "run"), new("Model", false, "model"), s_protocol, new("Seed", true, "seed"),
            new("Fold", false, "fold"), new("Epochs", true, "epochs"), new("Of", true, "planned"), new("State", false, "state"),
            new("Command", false, "command"));
        foreach (RunResult run in view.Results.Runs)
            table.Add(
                TableCell.Of(run.Id), TableCell.Of(run.Model), TableCell.Of(run.Protocol), TableCell.Of(run.Seed, $"{run.Seed}"),
                TableCell.Of(run.Fold ?? Units.None), TableCell.Of(run.Epochs.Count, $"{run.Epochs.Count}"),
                run.PlannedEpochs == 0 ? TableCell.Of(double.NaN, Units.None) : TableCell.Of(run.PlannedEpochs, $"{run.PlannedEpochs}"),
                TableCell.Of(State(run)), TableCell.Of(run.Command));
        return table;
    }

    /// <summary>How far a run is.</summary>
    public static string State(RunResult run) =>
        run.Failure is { } failure ? $"failed: {failure}"
        : run.Test is null ? run.Epochs.Count == 0 && !run.HasBegun ? "not begun" : "not ended"
        : run.EndedBy is { } why ? $"ended by {why}" : "ended";

    private static bool IsCalibrated(StudyView view) => view.Scored.Any(entry => double.IsFinite(StudyView.CalibrationError(entry)));

    private static bool HasInterval(StudyView view, string measure) => view.Statistics.Any(s => s.Interval(measure) is not null);

    private static string Runs(StudyEntry entry) =>
        entry.Ended.Count == entry.Runs.Count ? $"{entry.Runs.Count}" : $"{entry.Ended.Count} of {entry.Runs.Count}";

    private static TableCell Mean(StudyEntry entry, Func<RunResult, double> figure, Func<double, string> format)
    {
        SampleSummary summary = entry.Figure(figure);
        return TableCell.Mean(summary.Mean, summary.Deviation, format);
    }
}
