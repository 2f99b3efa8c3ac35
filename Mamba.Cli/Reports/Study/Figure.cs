namespace Mamba.Cli.Reports.Study;

/// <summary>A drawing, for the page and as a file of its own.</summary>
/// <param name="name">The name of its file, without the extension, and the prefix of ids in it.</param>
/// <param name="title">What it shows, in a line.</param>
/// <param name="width">Its width in pixels of its own.</param>
/// <param name="height">Its height.</param>
/// <param name="body">What is drawn, as SVG.</param>
internal sealed class Figure(string name, string title, double width, double height, string body)
{
    /// <summary>The name of its file, without the extension.</summary>
    public string Name => name;

    /// <summary>What it shows, in a line.</summary>
    public string Title => title;

    /// <summary>The protocol of an entry's figure; empty where it is of no single entry.</summary>
    public string Group { get; init; } = "";

    /// <summary>Its place in a page, whose rules it follows.</summary>
    public string Inline() => Draw(alone: false);

    /// <summary>A file with rules of its own.</summary>
    public string Standalone() => "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" + Draw(alone: true) + "\n";

    private string Draw(bool alone)
    {
        string w = Markup.Number(width), h = Markup.Number(height);
        // On a narrow window a figure scrolls within itself before its letters become too small to read.
        string most = Markup.Number(Math.Round(1.15 * width)), least = Markup.Number(Math.Round(0.8 * width));
        Markup svg = new();
        svg.Open(
            "svg", "xmlns", "http://www.w3.org/2000/svg", "viewBox", $"0 0 {w} {h}", "role", "img", "aria-label", title,
            "width", alone ? w : "", "height", alone ? h : "", "style", alone ? "" : $"max-width:{most}px;min-width:{least}px");
        if (alone)
        {
            svg.Element("title", title).Open("style").Raw(Series.Rules).Close();
            svg.Void("rect", "class", "back", "width", w, "height", h);
        }
        return svg.Raw(body).Close().ToString();
    }
}
