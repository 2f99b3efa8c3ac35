using System.Text;

namespace Mamba.Cli.Reports.Study;

/// <summary>
/// The colors of series, those of Okabe and Ito (2008), which people with any kind of color blindness tell apart; lighter ones on a dark
/// page. A shape goes with each color, so that a print in gray can be read, too.
/// </summary>
internal static class Series
{
    private static readonly string[] s_light = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#B87D00", "#3A93CC", "#5F5F5F"];
    private static readonly string[] s_dark = ["#4FB0E8", "#F58B45", "#2FC79F", "#E5A3C8", "#EBB23F", "#9AD4F7", "#B8B8B8"];

    /// <summary>The number of colors.</summary>
    public static int Count => s_light.Length;

    /// <summary>The class of a color.</summary>
    public static string Class(int index) => $"c{index % Count}";

    /// <summary>The rules that give figures their colors, on a light and on a dark page.</summary>
    public static string Rules { get; } = Build();

    /// <summary>A mark of a point: color and shape by the place of its entry.</summary>
    /// <param name="to">The figure.</param>
    /// <param name="index">The place.</param>
    /// <param name="x">The center.</param>
    /// <param name="y">The center.</param>
    /// <param name="radius">The radius of a circle of the same area.</param>
    /// <param name="filled">Whether it is filled; otherwise an outline.</param>
    /// <param name="tip">What is told where the mouse rests on it.</param>
    public static void Mark(Markup to, int index, double x, double y, double radius, bool filled, string tip)
    {
        string look = $"{Class(index)} {(filled ? "mark" : "ring")}";
        int shape = index / Count % 3;
        if (shape == 0)
            to.Open("circle", "class", look, "cx", Markup.Number(x), "cy", Markup.Number(y), "r", Markup.Number(radius));
        else if (shape == 1)
        {
            double half = radius * 0.886; // the square of the same area
            to.Open(
                "rect", "class", look, "x", Markup.Number(x - half), "y", Markup.Number(y - half),
                "width", Markup.Number(2 * half), "height", Markup.Number(2 * half));
        }
        else
        {
            double half = radius * 1.253; // the diamond of the same area
            to.Open(
                "path", "class", look,
                "d", $"M{Markup.Number(x)} {Markup.Number(y - half)}L{Markup.Number(x + half)} {Markup.Number(y)}"
                    + $"L{Markup.Number(x)} {Markup.Number(y + half)}L{Markup.Number(x - half)} {Markup.Number(y)}Z");
        }
        if (tip.Length > 0) to.Element("title", tip);
        to.Close();
    }

    private static string Build()
    {
        StringBuilder rules = new();
        rules.Append("svg text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;font-size:12px;fill:#1f2328}")
            .Append("svg .small{font-size:10.5px}svg .mute{fill:#59636e}svg .strong{font-weight:600}")
            .Append("svg .grid{stroke:#d8dee4;stroke-width:1;fill:none}svg .axis{stroke:#818b98;stroke-width:1;fill:none}")
            .Append("svg .leader{stroke:#818b98;stroke-width:.75;fill:none}svg .back{fill:#fff}svg .on0{fill:#fff}")
            .Append("svg .on1{fill:#1f2328}svg .halo{paint-order:stroke;stroke:#fff;stroke-width:3px;stroke-linejoin:round}")
            .Append("svg .mark{fill:currentColor;fill-opacity:.55;stroke:currentColor;stroke-width:1.25}")
            .Append("svg .ring{fill:currentColor;fill-opacity:.1;stroke:currentColor;stroke-width:1.5}")
            .Append("svg .bar{fill:currentColor}svg .pale{fill:currentColor;fill-opacity:.3}")
            .Append("svg .line{fill:none;stroke:currentColor;stroke-width:1.75;stroke-linejoin:round}")
            .Append("svg .thin{stroke-width:1.25}")
            .Append("svg .dash{stroke-dasharray:5 4;stroke-width:1.25}svg .faint{stroke-opacity:.75}");
        for (int i = 0; i < Count; i++) rules.Append($"svg .c{i}{{color:{s_light[i]}}}");
        rules.Append("@media (prefers-color-scheme:dark){@media screen{svg text{fill:#e6edf3}svg .mute{fill:#9aa4ae}")
            .Append("svg .grid{stroke:#30363d}svg .axis,svg .leader{stroke:#6e7681}svg .back,svg .on0,svg .on1{fill:#0d1117}")
            .Append("svg .halo{stroke:#0d1117}");
        for (int i = 0; i < Count; i++) rules.Append($"svg .c{i}{{color:{s_dark[i]}}}");
        return rules.Append("}}").ToString();
    }
}
