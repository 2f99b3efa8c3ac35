using System.Globalization;
using Mamba.Models.Metrics;
using Mamba.Models.Training;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace Mamba.Cli.Reports;

/// <summary>The curves of a run: losses and scores over epochs, as SVG.</summary>
internal static class Curves
{
    private static readonly (double Thickness, LineStyle Style)[] s_strokes =
        [(9, LineStyle.Solid), (5, LineStyle.LongDash), (1.5, LineStyle.Solid)];

    public static string Draw(string title, IReadOnlyList<EpochResult> epochs)
    {
        const string LossAxis = "loss", ScoreAxis = "score";
        OxyColor[] colors = [OxyColors.LightGreen, OxyColors.MediumPurple, OxyColors.Firebrick];
        PlotModel plot = new()
        {
            Title = title,
            TitleFontSize = 15,
            Background = OxyColors.White,
            Culture = CultureInfo.InvariantCulture,
            DefaultFont = "Arial",
            Padding = new OxyThickness(10),
        };
        plot.Axes.Add(new LinearAxis
        {
            Position = AxisPosition.Bottom,
            Title = "epoch",
            Minimum = 0,
            Maximum = Math.Max(1, epochs.Count),
            MinimumMajorStep = 1,
            MinimumMinorStep = 1,
        });
        plot.Axes.Add(Values("loss", LossAxis, AxisPosition.Left));
        LinearAxis scores = Values("validation score", ScoreAxis, AxisPosition.Right);
        scores.Maximum = 1;
        plot.Axes.Add(scores);
        plot.Legends.Add(new Legend
        {
            LegendPosition = LegendPosition.TopCenter,
            LegendPlacement = LegendPlacement.Outside,
            LegendOrientation = LegendOrientation.Horizontal,
            LegendItemSpacing = 36,
            LegendPadding = 12,
        });
        plot.Series.Add(Line("training loss", OxyColors.SteelBlue, LossAxis, epochs, e => e.TrainLoss));
        plot.Series.Add(Line("validation loss", OxyColors.DarkOrange, LossAxis, epochs, e => e.Validation.Loss));
        for (int i = 0; i < colors.Length && epochs.Count > 0 && i < epochs[0].Validation.Scores.Values.Count; i++)
        {
            int measure = i;
            string name = epochs[0].Validation.Scores.Values[i].Name.Replace('_', ' ');
            LineSeries line = Line(name, colors[i], ScoreAxis, epochs, e => e.Validation.Scores.Values[measure].Value);
            // Curves that coincide stay visible: the first is wide and light, those upon it are broken, or thin and dark.
            (line.StrokeThickness, line.LineStyle) = s_strokes[i];
            plot.Series.Add(line);
        }
        // The workaround places text by coordinates: not every viewer knows the attribute that OxyPlot uses otherwise.
        return new SvgExporter { Width = 900, Height = 500, UseVerticalTextAlignmentWorkaround = true }.ExportToString(plot).TrimStart(
            '\uFEFF');
    }

    private static LinearAxis Values(string title, string key, AxisPosition position) =>
        new() { Position = position, Title = title, AxisTitleDistance = 12, Key = key, Minimum = 0 };

    private static LineSeries Line(
        string title, OxyColor color, string axis, IReadOnlyList<EpochResult> epochs, Func<EpochResult, double> value)
    {
        LineSeries line = new()
        {
            // Room at the end of a title: a viewer without the font draws with a wider one, and the legend clips it.
            Title = title + new string('\u00A0', 6),
            Color = color,
            YAxisKey = axis,
            MarkerType = epochs.Count < 30 ? MarkerType.Circle : MarkerType.None,
            MarkerSize = 2.5,
        };
        foreach (EpochResult epoch in epochs) line.Points.Add(new DataPoint(epoch.Epoch, value(epoch)));
        return line;
    }
}
