using System.Globalization;
using System.Text;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace Mamba.Samples.StateSpacePlots;

/// <summary>Plots side by side in one SVG.</summary>
internal static class Panels
{
    public const int Width = 460, Height = 300;

    // Colours that the colour-blind tell apart (Okabe and Ito 2008).
    private static readonly OxyColor[] s_colors =
    [
        OxyColor.FromRgb(0, 114, 178), OxyColor.FromRgb(213, 94, 0), OxyColor.FromRgb(0, 158, 115), OxyColor.FromRgb(204, 121, 167),
        OxyColor.FromRgb(230, 159, 0), OxyColor.FromRgb(86, 180, 233),
    ];

    /// <summary>An empty plot with named axes.</summary>
    public static PlotModel New(string title, string x, string y, bool logarithmic = false)
    {
        PlotModel plot = new()
        {
            Title = title,
            TitleFontSize = 13,
            Background = OxyColors.White,
            Culture = CultureInfo.InvariantCulture,
            DefaultFont = "Arial",
        };
        plot.Axes.Add(new LinearAxis { Position = AxisPosition.Bottom, Title = x, AxisTitleDistance = 6 });
        plot.Axes.Add(logarithmic
            ? new LogarithmicAxis { Position = AxisPosition.Left, Title = y, StringFormat = "#,##0.###", AxisTitleDistance = 14 }
            : new LinearAxis { Position = AxisPosition.Left, Title = y, AxisTitleDistance = 14 });
        plot.Legends.Add(new Legend
        {
            LegendPosition = LegendPosition.RightTop,
            LegendBackground = OxyColor.FromAColor(180, OxyColors.White), // the curves shine through
            LegendLineSpacing = 4,
        });
        return plot;
    }

    /// <summary>Adds a curve.</summary>
    public static void Add(PlotModel plot, string title, IEnumerable<(double X, double Y)> points, double thickness = 1.5)
    {
        LineSeries line = new()
        {
            // Room at the end: a viewer without the font draws with a wider one, and the legend clips it.
            Title = title + new string('\u00A0', 4 + title.Length / 2),
            Color = s_colors[plot.Series.Count % s_colors.Length],
            StrokeThickness = thickness,
        };
        foreach ((double x, double y) in points) line.Points.Add(new DataPoint(x, y));
        plot.Series.Add(line);
    }

    /// <summary>Adds points.</summary>
    public static void AddDots(PlotModel plot, string title, IEnumerable<(double X, double Y)> points)
    {
        ScatterSeries dots = new()
        {
            Title = title + new string('\u00A0', 4 + title.Length / 2),
            MarkerType = MarkerType.Circle,
            MarkerSize = 1,
            MarkerFill = s_colors[plot.Series.Count % s_colors.Length],
        };
        foreach ((double x, double y) in points) dots.Points.Add(new ScatterPoint(x, y));
        plot.Series.Add(dots);
    }

    /// <summary>Writes plots as one picture, two in a row.</summary>
    public static void Write(string path, params PlotModel[] plots)
    {
        int columns = Math.Min(2, plots.Length), rows = (plots.Length + columns - 1) / columns;
        StringBuilder svg = new($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{columns * Width}\" height=\"{rows * Height}\">\n");
        for (int i = 0; i < plots.Length; i++)
        {
            SvgExporter exporter = new() { Width = Width, Height = Height, IsDocument = false, UseVerticalTextAlignmentWorkaround = true };
            svg.Append(CultureInfo.InvariantCulture, $"<g transform=\"translate({i % columns * Width}, {i / columns * Height})\">\n");
            string plot = exporter.ExportToString(plots[i]);
            svg.Append(plot[plot.IndexOf("<svg", StringComparison.Ordinal)..]).Append("</g>\n"); // one declaration for all
        }
        File.WriteAllText(path, svg.Append("</svg>\n").ToString());
        Console.WriteLine(path);
    }
}
