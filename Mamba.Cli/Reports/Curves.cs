using System.Globalization;
using System.Text;
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
        PlotModel plot = new() { Title = title, Background = OxyColors.White, Culture = CultureInfo.InvariantCulture };
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Title = "epoch", Minimum = 0, Maximum = Math.Max(1, epochs.Count), MinimumMajorStep = 1 });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Left, Title = "loss", Key = LossAxis, Minimum = 0 });
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Right, Title = "validation Dice", Key = DiceAxis, Minimum = 0, Maximum = 1 });
        plot.Legends.Add(new Legend { LegendPosition = LegendPosition.TopCenter, LegendPlacement = LegendPlacement.Outside, LegendOrientation = LegendOrientation.Horizontal });
        plot.Series.Add(Line("training loss", OxyColors.SteelBlue, LossAxis, epochs, e => e.TrainLoss));
        plot.Series.Add(Line("validation loss", OxyColors.DarkOrange, LossAxis, epochs, e => e.Validation.Loss));
        plot.Series.Add(Line("Dice (global)", OxyColors.SeaGreen, DiceAxis, epochs, e => e.Validation.Scores.DiceGlobal));
        plot.Series.Add(Line("Dice (image)", OxyColors.MediumPurple, DiceAxis, epochs, e => e.Validation.Scores.DiceImage));
        plot.Series.Add(Line("Dice (paper)", OxyColors.IndianRed, DiceAxis, epochs, e => e.Validation.Scores.DicePaper));
        using MemoryStream buffer = new();
        SvgExporter.Export(plot, buffer, 900, 500, isDocument: true);
        return Encoding.UTF8.GetString(buffer.ToArray());
    }

    private static LineSeries Line(string title, OxyColor colour, string axis, IReadOnlyList<EpochResult> epochs, Func<EpochResult, double> value)
    {
        LineSeries line = new() { Title = title, Color = colour, YAxisKey = axis, MarkerType = epochs.Count < 30 ? MarkerType.Circle : MarkerType.None, MarkerSize = 2.5 };
        foreach (EpochResult epoch in epochs) line.Points.Add(new DataPoint(epoch.Epoch, value(epoch)));
        return line;
    }
}
