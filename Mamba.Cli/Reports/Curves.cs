using System.Globalization;
using Mamba.Models.Training;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace Mamba.Cli.Reports;

/// <summary>The curves of a run: losses and Dice over epochs, as SVG.</summary>
internal static class Curves
{
    public static string Draw(string title, IReadOnlyList<EpochResult> epochs)
    {
        const string LossAxis = "loss", DiceAxis = "dice";
        PlotModel plot = new() { Title = title, TitleFontSize = 15, Background = OxyColors.White, Culture = CultureInfo.InvariantCulture, DefaultFont = "Arial", Padding = new OxyThickness(10) };
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Title = "epoch", Minimum = 0, Maximum = Math.Max(1, epochs.Count), MinimumMajorStep = 1, MinimumMinorStep = 1 });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Title = "loss", AxisTitleDistance = 12, Key = LossAxis, Minimum = 0 });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Right, Title = "validation Dice", AxisTitleDistance = 12, Key = DiceAxis, Minimum = 0, Maximum = 1 });
        plot.Legends.Add(new Legend { LegendPosition = LegendPosition.TopCenter, LegendPlacement = LegendPlacement.Outside, LegendOrientation = LegendOrientation.Horizontal, LegendItemSpacing = 36, LegendPadding = 12 });
        plot.Series.Add(Line("training loss", OxyColors.SteelBlue, LossAxis, epochs, e => e.TrainLoss));
        plot.Series.Add(Line("validation loss", OxyColors.DarkOrange, LossAxis, epochs, e => e.Validation.Loss));
        plot.Series.Add(Line("Dice (global)", OxyColors.SeaGreen, DiceAxis, epochs, e => e.Validation.Scores.DiceGlobal));
        plot.Series.Add(Line("Dice (image)", OxyColors.MediumPurple, DiceAxis, epochs, e => e.Validation.Scores.DiceImage));
        plot.Series.Add(Line("Dice (paper)", OxyColors.IndianRed, DiceAxis, epochs, e => e.Validation.Scores.DicePaper));
        // The workaround places text by coordinates: not every viewer knows the attribute that OxyPlot uses otherwise.
        return new SvgExporter { Width = 900, Height = 500, UseVerticalTextAlignmentWorkaround = true }.ExportToString(plot).TrimStart('\uFEFF');
    }

    private static LineSeries Line(string title, OxyColor colour, string axis, IReadOnlyList<EpochResult> epochs, Func<EpochResult, double> value)
    {
        // Room at the end of a title: a viewer without the font draws with a wider one, and the legend clips it.
        LineSeries line = new() { Title = title + new string('\u00A0', 6), Color = colour, YAxisKey = axis, MarkerType = epochs.Count < 30 ? MarkerType.Circle : MarkerType.None, MarkerSize = 2.5 };
        foreach (EpochResult epoch in epochs) line.Points.Add(new DataPoint(epoch.Epoch, value(epoch)));
        return line;
    }
}
