using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>Bars: the time of training by entry, and the images of each part of a split.</summary>
internal static class BarFigures
{
    private const double Width = 760, Row = 26, Bar = 15, Top = 34, Below = 50, Right = 60;

    /// <summary>Minutes of training, beside the paper's; null where none was measured.</summary>
    public static Figure? Time(StudyView view, string protocol)
    {
        StudyEntry[] entries = [.. view.Of(protocol).Where(entry => entry.Figure(run => run.TrainingSeconds).Count > 0)];
        if (entries.Length == 0) return null;
        double[] ours = [.. entries.Select(entry => entry.Figure(run => run.TrainingSeconds).Mean / 60)];
        double[] paper = [.. entries.Select(entry => entry.Example.Paper?.TrainingMinutes ?? double.NaN)];
        string[] names = [.. entries.Select(entry => Units.Cut(entry.Label, 26))];
        PlotFrame frame = Frame(names, ours.Concat(paper).Where(double.IsFinite).Max(), "minutes of training", out double height);
        Markup to = new();
        frame.Draw(to);
        bool any = paper.Any(double.IsFinite);
        for (int i = 0; i < entries.Length; i++)
        {
            double y = Top + i * Row + (Row - Bar) / 2;
            PlotFrame.Label(to, frame.Left - 8, y + 12, names[i], "", "end");
            double half = double.IsFinite(paper[i]) ? Bar / 2 : Bar, end = frame.X(ours[i]);
            PlotFrame.Box(to, "bar c0", frame.Left, y, end - frame.Left, half, $"{entries[i].Label}: {Units.Three(ours[i])} min");
            if (double.IsFinite(paper[i]))
            {
                PlotFrame.Box(
                    to, "pale c1", frame.Left, y + half, frame.X(paper[i]) - frame.Left, Bar - half,
                    $"the paper, four T4: {Units.Three(paper[i])} min");
                end = Math.Max(end, frame.X(paper[i]));
            }
            PlotFrame.Label(to, end + 6, y + 12, Units.Three(ours[i]), "small mute");
        }
        Legend(to, frame.Left, any ? ["bar c0", "here", "pale c1", "the paper, on four T4"] : ["bar c0", "here"]);
        string title = $"Time of training, {StudyView.SplitName(protocol)}";
        return new Figure($"time{view.Suffix(protocol)}", title, Width, height, to.ToString());
    }

    /// <summary>Images of each part of each protocol's first split; null where no run has one.</summary>
    public static Figure? Splits(StudyView view)
    {
        List<string> names = [];
        List<int> counts = [], positive = [];
        foreach (string protocol in view.Protocols)
        {
            RunResult? run = view.Results.Runs.FirstOrDefault(run => run.Protocol == protocol && run.Split is not null);
            if (run?.Split is not { } split) continue;
            names.AddRange([$"{protocol}: training", $"{protocol}: validation", $"{protocol}: test"]);
            counts.AddRange([split.Train, split.Validation, split.Test]);
            positive.AddRange([split.TrainPositive, split.ValidationPositive, split.TestPositive]);
        }
        if (names.Count == 0 || counts.Max() == 0) return null;
        PlotFrame frame = Frame(names, counts.Max(), "images", out double height);
        Markup to = new();
        frame.Draw(to);
        for (int i = 0; i < names.Count; i++)
        {
            double y = Top + i * Row + (Row - Bar) / 2, middle = frame.X(positive[i]), end = frame.X(counts[i]);
            PlotFrame.Label(to, frame.Left - 8, y + 12, Units.Cut(names[i], 26), "", "end");
            if (positive[i] > 0) PlotFrame.Box(to, "bar c1", frame.Left, y, middle - frame.Left, Bar, $"{Units.Of(positive[i], "image")}");
            PlotFrame.Box(
                to, view.IsSegmentation ? "pale c0" : "bar c0", middle, y, end - middle, Bar, Units.Of(counts[i] - positive[i], "image"));
            PlotFrame.Label(to, end + 6, y + 12, Units.Whole(counts[i]), "small mute");
        }
        Legend(to, frame.Left, view.IsSegmentation ? ["bar c1", "with foreground", "pale c0", "without"] : ["bar c0", "images"]);
        return new Figure("splits", "Images by part of the split", Width, height, to.ToString());
    }

    private static PlotFrame Frame(IReadOnlyList<string> names, double most, string title, out double height)
    {
        double left = Math.Min(190, 16 + names.Max(LabelPlacer.Width)), inner = names.Count * Row;
        height = Top + inner + Below;
        PlotAxis values = PlotAxis.Linear(0, Math.Max(most, 1e-9), 6, whole: true, title, Units.Short);
        return new PlotFrame(left, Top, Width - left - Right, inner, values, PlotAxis.Linear(0, 1, 1, whole: false, "", _ => ""));
    }

    /// <summary>Looks and names in turn, above the bars.</summary>
    private static void Legend(Markup to, double x, string[] entries)
    {
        for (int i = 0; i < entries.Length; i += 2)
        {
            PlotFrame.Box(to, entries[i], x, 9, 12, 12);
            PlotFrame.Label(to, x + 18, 19, entries[i + 1]);
            x += 46 + LabelPlacer.Width(entries[i + 1]);
        }
    }
}
