using System.Globalization;
using Mamba.Models.Metrics;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace Mamba.Cli.Reports;

/// <summary>The confusion matrix as SVG: a row per true class, a column per predicted one, shaded by the share of the row.</summary>
internal static class ConfusionPlot
{
    /// <summary>The most classes whose cells can still be told apart.</summary>
    private const int MostClasses = 100;

    /// <summary>The most classes whose cells have room for a number.</summary>
    private const int MostNumbers = 20;

    private const int LongestLabel = 24;

    /// <summary>Draws it; null where there are too many classes to see anything.</summary>
    public static string? Draw(string title, ClassificationScores scores)
    {
        int n = scores.Classes.Count;
        if (n > MostClasses) return null;
        string[] labels = [.. scores.Classes.Select(c => Short(c.Label))];
        PlotModel plot = new()
        {
            Title = $"{title}: images by true and predicted class",
            TitleFontSize = 15,
            Background = OxyColors.White,
            Culture = CultureInfo.InvariantCulture,
            DefaultFont = "Arial",
            Padding = new OxyThickness(10),
        };
        plot.Axes.Add(Classes(labels, AxisPosition.Left));
        plot.Axes.Add(Classes(labels, AxisPosition.Bottom));
        plot.Axes.Add(new ShadeAxis { Position = AxisPosition.None, Minimum = -1, Maximum = 1 });
        plot.Series.Add(new Cells(scores.Confusion)
        {
            X0 = 0,
            X1 = n - 1,
            Y0 = 0,
            Y1 = n - 1,
            Data = Shades(scores),
            Interpolate = false,
            RenderMethod = HeatMapRenderMethod.Rectangles,
            LabelFontSize = n <= MostNumbers ? 0.3 : 0,
            TextColor = OxyColors.Black,
        });
        int cell = n <= MostNumbers ? 44 : 14, room = 80 + 8 * labels.Max(label => label.Length), side = Math.Max(480, n * cell + room);
        // The workaround places text by coordinates: not every viewer knows the attribute that OxyPlot uses otherwise.
        return new SvgExporter { Width = side, Height = side, UseVerticalTextAlignmentWorkaround = true }.ExportToString(plot).TrimStart(
            '\uFEFF');
    }

    private static CategoryAxis Classes(string[] labels, AxisPosition position) => new()
    {
        Position = position,
        ItemsSource = labels,
        Title = position == AxisPosition.Left ? "true" : "predicted",
        AxisTitleDistance = 8,
        Angle = position == AxisPosition.Left ? 0 : -90,
        StartPosition = position == AxisPosition.Left ? 1 : 0, // the first row at the top
        EndPosition = position == AxisPosition.Left ? 0 : 1,
        GapWidth = 0,
    };

    /// <summary>
    /// The shade of each cell by column and row: correct ones up to 1 (blue), confusions down to -1 (red), in square roots. Confusions are
    /// rare: a linear scale would leave them white.
    /// </summary>
    private static double[,] Shades(ClassificationScores scores)
    {
        int n = scores.Classes.Count;
        double[,] shades = new double[n, n];
        for (int row = 0; row < n; row++)
            for (int column = 0; column < n; column++)
            {
                double share = (double)scores.Confusion[row, column] / Math.Max(1, scores.Classes[row].Support);
                shades[column, row] = row == column ? Math.Sqrt(share) : -Math.Sqrt(share);
            }
        return shades;
    }

    private static string Short(string label) => label.Length <= LongestLabel ? label : label[..(LongestLabel - 1)] + "\u2026";

    /// <summary>Red at -1, white at 0, blue at 1. OxyPlot's own axis of colors would bring all its palettes into native programs.</summary>
    private sealed class ShadeAxis : LinearAxis, IColorAxis
    {
        private static readonly OxyPalette s_palette =
            OxyPalette.Interpolate(201, OxyColor.FromRgb(214, 39, 40), OxyColors.White, OxyColor.FromRgb(31, 119, 180));

        public OxyColor GetColor(int paletteIndex) => s_palette.Colors[paletteIndex - 1];

        public int GetPaletteIndex(double value)
        {
            int colors = s_palette.Colors.Count;
            return 1 + Math.Clamp((int)((value - ActualMinimum) / (ActualMaximum - ActualMinimum) * colors), 0, colors - 1);
        }
    }

    /// <summary>A heat map whose cells show the number of images.</summary>
    private sealed class Cells(long[,] counts) : HeatMapSeries
    {
        protected override string GetLabel(double v, int i, int j) =>
            counts[j, i] == 0 ? "" : counts[j, i].ToString(CultureInfo.InvariantCulture);
    }
}
