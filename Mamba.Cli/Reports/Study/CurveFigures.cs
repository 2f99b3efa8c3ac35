using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>The training of each entry in a small figure of its own: the losses above, the validation score below.</summary>
internal static class CurveFigures
{
    private const double Width = 360, Left = 46, Right = 12, LossTop = 42, LossHeight = 130, ScoreTop = 206, ScoreHeight = 84, Height = 354;
    private const string Training = "c0", Validation = "c1", Score = "c2";

    /// <summary>Draws the curves of all runs of an entry; null where it has none.</summary>
    public static Figure? Draw(StudyView view, StudyEntry entry)
    {
        RunResult[] runs = [.. entry.Runs.Where(run => run.Epochs.Count > 0)];
        if (runs.Length == 0) return null;
        IReadOnlyList<EpochPoint> paper = entry.Runs.FirstOrDefault(run => run.Paper?.Epochs.Count > 0)?.Paper!.Epochs ?? [];
        EpochPoint[] all = [.. runs.SelectMany(run => run.Epochs), .. paper];
        int last = Math.Max(all.Max(p => p.Epoch), runs.Max(run => run.PlannedEpochs)); // so that a run that was cut short looks so
        PlotAxis epochs = PlotAxis.Linear(1, Math.Max(2, last), 5, whole: false, "epoch");
        double[] losses = [.. all.SelectMany(p => new[] { p.TrainLoss, p.ValidationLoss }).Where(double.IsFinite)];
        PlotAxis loss = PlotAxis.Linear(0, losses.Length == 0 ? 1 : Ceiling(losses), 4, whole: true, "loss");
        PlotFrame above = new(Left, LossTop, Width - Left - Right, LossHeight, epochs, loss);
        PlotFrame below = new(
            Left, ScoreTop, Width - Left - Right, ScoreHeight, epochs, PlotAxis.Linear(0, 1, 4, whole: true, ScoreTitle(view)));
        Markup to = new();
        PlotFrame.Label(to, 2, 14, Units.Cut(view.Name(entry), 44), "strong");
        above.Draw(to, below: false);
        below.Draw(to);
        Curve(to, above, $"line dash faint {Training}", paper, p => p.TrainLoss);
        Curve(to, above, $"line dash faint {Validation}", paper, p => p.ValidationLoss);
        Curve(to, below, $"line dash faint {Score}", paper, p => p.Score);
        foreach (RunResult run in runs)
        {
            Curve(to, above, $"line thin {Training}", run.Epochs, p => p.TrainLoss);
            Curve(to, above, $"line thin {Validation}", run.Epochs, p => p.ValidationLoss);
            Curve(to, below, $"line thin {Score}", run.Epochs, p => p.Score);
        }
        Legend(to, paper.Count > 0);
        string title = $"Loss and score of {view.Name(entry)} by epoch";
        return new Figure(view.FileName("curves", entry), title, Width, Height, to.ToString()) { Group = entry.Protocol };
    }

    /// <summary>The largest loss that is shown: an early spike does not flatten the rest, and leaves at the upper edge.</summary>
    private static double Ceiling(double[] losses)
    {
        double[] sorted = [.. losses.Order()];
        return Math.Max(1e-6, Math.Min(sorted[^1], 3 * sorted[(int)(0.9 * (sorted.Length - 1))]));
    }

    private static string ScoreTitle(StudyView view) => view.IsSegmentation ? "validation Dice" : "validation macro F1";

    private static void Curve(
        Markup to, PlotFrame frame, string look, IReadOnlyList<EpochPoint> points, Func<EpochPoint, double> value)
    {
        if (points.Count == 1)
        {
            if (double.IsFinite(value(points[0])))
                to.Void("circle", "class", look, "cx", Markup.Number(frame.X(points[0].Epoch)), "cy",
                    Markup.Number(frame.Y(value(points[0]))), "r", "2");
            return;
        }
        frame.Curve(to, look, [.. points.Select(p => (double)p.Epoch)], [.. points.Select(value)]);
    }

    private static void Legend(Markup to, bool paper)
    {
        double x = 2;
        Entry("line " + Training, "training", 76);
        Entry("line " + Validation, "validation", 84);
        Entry("line " + Score, "score", 64);
        if (paper) Entry("line dash faint c6", "the paper’s, dashed", 0);

        void Entry(string look, string text, double width)
        {
            PlotFrame.Line(to, look, x, Height - 9, x + 18, Height - 9);
            PlotFrame.Label(to, x + 22, Height - 5, text, "small");
            x += width;
        }
    }
}
