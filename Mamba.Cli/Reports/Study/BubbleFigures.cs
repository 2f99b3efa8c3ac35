using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>The score of models against what they cost, a bubble each.</summary>
internal static class BubbleFigures
{
    private const double Width = 760, Height = 470, Left = 64, Top = 34, Right = 24, Below = 52;
    private const double LeastRadius = 4, LargestRadius = 24;

    /// <summary>The score against the number of parameters, as in the paper; the area is the work of an image.</summary>
    public static Figure? Parameters(StudyView view, string protocol)
    {
        List<Bubble> bubbles = [];
        foreach (StudyEntry entry in view.Of(protocol))
        {
            RunResult run = entry.Example;
            Bubble bubble = new(entry, run.Parameters, entry.Score(view.Headline!).Mean, run.MultiplyAdds)
            {
                Paper = StudyView.IsShort(entry) ? double.NaN : run.Paper?.Score ?? double.NaN,
            };
            bubble.Tip = $"{entry.Label}: {Units.Whole(bubble.X)} parameters, {Units.Short(bubble.Size)} multiply-adds, "
                + $"{StudyView.Title(view.Headline!)} {Units.Score(bubble.Y)}"
                + (double.IsNaN(bubble.Paper) ? "" : $", the paper {Units.Score(bubble.Paper)}");
            bubbles.Add(bubble);
        }
        return Draw(
            view, bubbles, $"parameters{view.Suffix(protocol)}",
            $"{StudyView.Title(view.Headline!)} against parameters, {StudyView.SplitName(protocol)}", "parameters (logarithmic)",
            Units.Short, frontier: false);
    }

    /// <summary>
    /// The score against the time of an image; the area is the size of the weights. A model is filled where no other is better in all.
    /// </summary>
    public static Figure? Frontier(StudyView view, string protocol)
    {
        List<Bubble> bubbles = [];
        foreach (StudyEntry entry in view.Of(protocol))
        {
            double milliseconds = entry.Figure(run => run.InferenceMilliseconds).Mean, score = entry.Score(view.Headline!).Mean;
            bubbles.Add(new Bubble(entry, milliseconds, score, entry.Example.Bytes)
            {
                Tip = $"{entry.Label}: {Units.Three(milliseconds)} ms, {Units.Three(entry.Example.Bytes / 1e6)} MB, "
                    + $"{StudyView.Title(view.Headline!)} {Units.Score(score)}",
            });
        }
        foreach (Bubble bubble in bubbles) bubble.IsBest = !bubbles.Any(other => other.Dominates(bubble));
        return Draw(
            view, bubbles, $"frontier{view.Suffix(protocol)}",
            $"{StudyView.Title(view.Headline!)} against time and size, {StudyView.SplitName(protocol)}",
            "milliseconds an image, batch 1 (logarithmic)", Units.Short, frontier: true);
    }

    /// <summary>Draws bubbles with their names; null where fewer than two can be placed.</summary>
    private static Figure? Draw(
        StudyView view, List<Bubble> bubbles, string name, string title, string xTitle, Func<double, string> format, bool frontier)
    {
        bubbles = [.. bubbles.Where(b => b.X > 0 && double.IsFinite(b.X) && double.IsFinite(b.Y))];
        if (bubbles.Count < 2) return null;
        double largest = Math.Max(1, bubbles.Max(b => b.Size));
        PlotFrame frame = Frame(bubbles, xTitle, StudyView.Title(view.Headline!), format);
        Markup to = new();
        frame.Draw(to);
        if (frontier) Staircase(to, frame, bubbles);
        // The largest first, so that it hides no other.
        foreach (Bubble bubble in bubbles.OrderByDescending(b => b.Size))
        {
            bubble.Radius = Math.Max(LeastRadius, LargestRadius * Math.Sqrt(bubble.Size / largest));
            if (double.IsFinite(bubble.Paper)) Paper(to, frame, bubble, view.Place(bubble.Entry));
            Series.Mark(
                to, view.Place(bubble.Entry), frame.X(bubble.X), frame.Y(bubble.Y), bubble.Radius, bubble.IsBest || !frontier, bubble.Tip);
        }
        LabelPlacer labels = new(new Area(frame.Left, frame.Top, Width - 2, frame.Bottom));
        foreach (Bubble bubble in bubbles)
            labels.Add(frame.X(bubble.X), frame.Y(bubble.Y), bubble.Radius, Units.Cut(bubble.Entry.Label, 24));
        labels.Draw(to);
        return new Figure(name, title, Width, Height, to.ToString());
    }

    private static PlotFrame Frame(List<Bubble> bubbles, string xTitle, string yTitle, Func<double, string> format)
    {
        double[] scores = [.. bubbles.Select(b => b.Y).Concat(bubbles.Select(b => b.Paper)).Where(double.IsFinite)];
        double low = scores.Min(), high = scores.Max(), margin = Math.Max(0.005, 0.1 * (high - low));
        PlotAxis x = PlotAxis.Logarithmic(bubbles.Min(b => b.X), bubbles.Max(b => b.X), xTitle, format);
        PlotAxis y = PlotAxis.Linear(low - margin, Math.Min(high + margin, Math.Max(1, high)), 6, whole: true, yTitle);
        return new PlotFrame(Left, Top, Width - Left - Right, Height - Top - Below, x, y);
    }

    /// <summary>The best score that can be had in a time.</summary>
    private static void Staircase(Markup to, PlotFrame frame, List<Bubble> bubbles)
    {
        List<double> xs = [], ys = [];
        double best = double.NegativeInfinity;
        foreach (Bubble bubble in bubbles.OrderBy(b => b.X))
        {
            if (bubble.Y <= best) continue;
            if (xs.Count > 0)
            {
                xs.Add(bubble.X);
                ys.Add(best);
            }
            xs.Add(bubble.X);
            ys.Add(best = bubble.Y);
        }
        xs.Add(bubbles.Max(b => b.X));
        ys.Add(best);
        frame.Curve(to, "line dash faint c6", xs, ys);
    }

    /// <summary>The paper's score: a short line, which a thin one joins to ours.</summary>
    private static void Paper(Markup to, PlotFrame frame, Bubble bubble, int place)
    {
        double x = frame.X(bubble.X), y = frame.Y(bubble.Paper);
        PlotFrame.Line(to, "leader", x, frame.Y(bubble.Y), x, y);
        PlotFrame.Line(to, $"line {Series.Class(place)}", x - 7, y, x + 7, y);
    }

    private sealed class Bubble(StudyEntry entry, double x, double y, double size)
    {
        public StudyEntry Entry => entry;

        public double X => x;

        public double Y => y;

        public double Size => size;

        public double Paper { get; init; } = double.NaN;

        public string Tip { get; set; } = "";

        public double Radius { get; set; }

        /// <summary>Whether no other is at least as good in score, time and size, and better in one of them.</summary>
        public bool IsBest { get; set; }

        public bool Dominates(Bubble other) =>
            y >= other.Y && x <= other.X && size <= other.Size && (y > other.Y || x < other.X || size < other.Size);
    }
}
