using System.Globalization;
using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>How often predictions are right at each confidence, with the number of predictions below.</summary>
internal static class ReliabilityFigures
{
    private const double Width = 300, Height = 368, Left = 48, Top = 62, Side = 230;

    /// <summary>Draws the diagram of an entry; null where its bins were not kept.</summary>
    public static Figure? Draw(StudyView view, StudyEntry entry)
    {
        IReadOnlyList<CalibrationBin> bins = StudyView.Bins(entry);
        long most = bins.Count == 0 ? 0 : bins.Max(bin => bin.Count);
        if (most == 0) return null;
        string unit = view.IsSegmentation ? "pixels" : "images";
        PlotFrame frame = new(
            Left, Top, Side, Side, PlotAxis.Linear(0, 1, 5, whole: true, $"confidence of {unit}"),
            PlotAxis.Linear(0, 1, 5, whole: true, "share that is right"));
        Markup to = new();
        PlotFrame.Label(to, 2, 14, Units.Cut(view.Name(entry), 38), "strong");
        PlotFrame.Label(to, 2, 32, $"expected calibration error {Units.Score(Calibration.Error(bins))}", "mute");
        frame.Draw(to);
        foreach (CalibrationBin bin in bins)
        {
            if (bin.Count <= 0) continue;
            double x = frame.X(bin.Low), right = frame.X(bin.High), y = frame.Y(bin.Accuracy), sure = frame.Y(bin.Confidence);
            PlotFrame.Box(to, "bar c0", x + 1, y, right - x - 2, frame.Bottom - y, Tip(bin));
            // The gap to the confidence: hatched in prints it is the outline that counts.
            PlotFrame.Box(to, "ring c1", x + 1, Math.Min(y, sure), right - x - 2, Math.Abs(sure - y), Tip(bin));
            double share = 24 * bin.Count / (double)most;
            PlotFrame.Box(to, "bar c6", x + 1, Height - 4 - share, right - x - 2, share, Units.Of(bin.Count, "prediction"));
        }
        PlotFrame.Line(to, "line dash c6", frame.Left, frame.Bottom, frame.Right, frame.Top);
        return new Figure(view.FileName("reliability", entry), $"Reliability of {view.Name(entry)}", Width, Height, to.ToString())
        {
            Group = entry.Protocol,
        };
    }

    private static string Tip(CalibrationBin bin) => string.Create(
        CultureInfo.InvariantCulture,
        $"confidence {bin.Low:0.##} to {bin.High:0.##}: {bin.Accuracy:P1} right, mean confidence {bin.Confidence:P1}");
}
