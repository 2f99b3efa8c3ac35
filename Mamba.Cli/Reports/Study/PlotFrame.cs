using System.Text;

namespace Mamba.Cli.Reports.Study;

/// <summary>The rectangle of a plot with its axes; every plot of the report is drawn into one.</summary>
/// <param name="left">The left edge.</param>
/// <param name="top">The upper edge.</param>
/// <param name="width">The width of the area of data.</param>
/// <param name="height">Its height.</param>
/// <param name="x">The horizontal axis.</param>
/// <param name="y">The vertical axis.</param>
internal sealed class PlotFrame(double left, double top, double width, double height, PlotAxis x, PlotAxis y)
{
    /// <summary>The left edge.</summary>
    public double Left => left;

    /// <summary>The upper edge.</summary>
    public double Top => top;

    /// <summary>The right edge.</summary>
    public double Right => left + width;

    /// <summary>The lower edge.</summary>
    public double Bottom => top + height;

    /// <summary>Where a value of the horizontal axis is.</summary>
    public double X(double value) => left + width * x.Place(value);

    /// <summary>Where a value of the vertical axis is.</summary>
    public double Y(double value) => top + height * (1 - y.Place(value));

    /// <summary>Draws grid lines, ticks and titles.</summary>
    /// <param name="to">The figure.</param>
    /// <param name="below">Whether the horizontal axis has numbers and a title; not so where another plot below shares it.</param>
    public void Draw(Markup to, bool below = true)
    {
        foreach (double tick in y.Ticks)
        {
            Line(to, "grid", left, Y(tick), Right, Y(tick));
            Label(to, left - 7, Y(tick) + 4, y.Format(tick), "mute", "end");
        }
        foreach (double tick in x.Ticks)
        {
            Line(to, "grid", X(tick), top, X(tick), Bottom);
            if (below) Label(to, X(tick), Bottom + 17, x.Format(tick), "mute", "middle");
        }
        Line(to, "axis", left, Bottom, Right, Bottom);
        if (below && x.Title.Length > 0) Label(to, left + width / 2, Bottom + 36, x.Title, "", "middle");
        // Above the axis: a rotated title costs width, which a phone does not have.
        if (y.Title.Length > 0) Label(to, Math.Max(2, left - 44), top - 13, y.Title, "", "start");
    }

    /// <summary>A curve through points; it is broken where a value is not finite.</summary>
    public void Curve(Markup to, string look, IReadOnlyList<double> xs, IReadOnlyList<double> ys)
    {
        StringBuilder path = new();
        bool pen = false;
        for (int i = 0; i < xs.Count; i++)
        {
            if (!double.IsFinite(ys[i]))
            {
                pen = false;
                continue;
            }
            path.Append(pen ? 'L' : 'M').Append(Markup.Number(X(xs[i]))).Append(' ').Append(Markup.Number(Y(ys[i])));
            pen = true;
        }
        if (path.Length > 0) to.Void("path", "class", look, "d", path.ToString());
    }

    public static void Line(Markup to, string look, double x1, double y1, double x2, double y2) => to.Void(
        "path", "class", look, "d", $"M{Markup.Number(x1)} {Markup.Number(y1)}L{Markup.Number(x2)} {Markup.Number(y2)}");

    public static void Label(Markup to, double x, double y, string text, string look = "", string anchor = "start") => to.Element(
        "text", text, "x", Markup.Number(x), "y", Markup.Number(y), "class", look, "text-anchor", anchor == "start" ? "" : anchor);

    public static void Box(Markup to, string look, double x, double y, double width, double height, string tip = "")
    {
        to.Open(
            "rect", "class", look, "x", Markup.Number(x), "y", Markup.Number(y), "width", Markup.Number(Math.Max(0, width)),
            "height", Markup.Number(Math.Max(0, height)));
        if (tip.Length > 0) to.Element("title", tip);
        to.Close();
    }
}
