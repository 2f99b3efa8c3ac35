using System.Globalization;
using Mamba.Models.Measurement;
using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace Mamba.Cli.Reports;

/// <summary>A cost of layers over the length of the sequence, both logarithmic, as SVG.</summary>
internal static class ScalingPlot
{
    // Colours that the colour-blind tell apart (Okabe and Ito 2008).
    private static readonly OxyColor[] s_colors =
    [
        OxyColor.FromRgb(0, 114, 178), OxyColor.FromRgb(86, 180, 233), OxyColor.FromRgb(213, 94, 0), OxyColor.FromRgb(0, 158, 115),
        OxyColor.FromRgb(204, 121, 167), OxyColor.FromRgb(230, 159, 0), OxyColor.FromRgb(0, 0, 0), OxyColor.FromRgb(120, 120, 120),
        OxyColor.FromRgb(240, 228, 66), OxyColor.FromRgb(117, 60, 20),
    ];

    /// <param name="title">The plot's title.</param>
    /// <param name="unit">The title of the vertical axis.</param>
    /// <param name="measurements">A curve each; those of quadratic cost are dashed.</param>
    /// <param name="value">The cost at a length.</param>
    public static string Draw(
        string title, string unit, IReadOnlyList<ScalingMeasurement> measurements, Func<ScalingPoint, double> value)
    {
        PlotModel plot = new()
        {
            Title = title,
            TitleFontSize = 15,
            Background = OxyColors.White,
            Culture = CultureInfo.InvariantCulture,
            DefaultFont = "Arial",
            Padding = new OxyThickness(10),
        };
        plot.Axes.Add(Axis(AxisPosition.Bottom, "tokens", @base: 2));
        plot.Axes.Add(Axis(AxisPosition.Left, unit, @base: 10));
        // Costs rise from the lower left to the upper right, so the upper left corner is free.
        plot.Legends.Add(new Legend
        {
            LegendPosition = LegendPosition.LeftTop,
            LegendPlacement = LegendPlacement.Inside,
            LegendBackground = OxyColors.White,
            LegendLineSpacing = 6,
        });
        for (int i = 0; i < measurements.Count; i++)
        {
            string name = measurements[i].Layer.Name;
            LineSeries line = new()
            {
                // Room at the end: a viewer without the font draws with a wider one, and the legend clips it.
                Title = name + new string('\u00A0', 6 + name.Length),
                Color = s_colors[i % s_colors.Length],
                LineStyle = measurements[i].Layer.Order == ScalingOrder.Quadratic ? LineStyle.Dash : LineStyle.Solid,
                MarkerType = MarkerType.Circle,
                MarkerSize = 2.5,
            };
            foreach (ScalingPoint point in measurements[i].Points) line.Points.Add(new DataPoint(point.Length, value(point)));
            plot.Series.Add(line);
        }
        return new SvgExporter { Width = 1000, Height = 560, UseVerticalTextAlignmentWorkaround = true }.ExportToString(plot).TrimStart(
            '\uFEFF');
    }

    private static LogarithmicAxis Axis(AxisPosition position, string title, double @base) => new()
    {
        Position = position,
        Title = title,
        AxisTitleDistance = 12,
        Base = @base,
        MajorGridlineStyle = LineStyle.Dot,
        StringFormat = "#,##0.####",
    };
}
