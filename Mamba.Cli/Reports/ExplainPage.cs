using System.Globalization;
using System.Net;
using System.Text;
using Mamba.Models.Explanation;

namespace Mamba.Cli.Reports;

/// <summary>The page of <c>mamba explain</c>: one file with all maps inside, which needs nothing from elsewhere.</summary>
/// <param name="document">What was found.</param>
/// <param name="folder">Where the pictures are.</param>
internal sealed class ExplainPage(ExplainDocument document, string folder)
{
    private const string Style = """
        :root{color-scheme:light dark;--ink:#1a1a1a;--paper:#fff;--soft:#666;--line:#ccc;--map:#b3380f}
        @media(prefers-color-scheme:dark){:root{--ink:#e8e8e8;--paper:#161616;--soft:#a0a0a0;--line:#444;--map:#ff9a5c}}
        body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:70rem;margin:auto;padding:1rem}
        h1{font-size:1.5rem}h2{font-size:1.2rem;margin-top:2.5rem}h3{font-size:1rem}
        .maps{display:grid;grid-template-columns:repeat(auto-fill,minmax(9rem,1fr));gap:.75rem}
        figure{margin:0}img{width:100%;display:block}figcaption,.soft{font-size:.8rem;color:var(--soft);overflow-wrap:anywhere}
        .curves{display:flex;flex-wrap:wrap;gap:1rem}svg{max-width:100%;height:auto}text{fill:var(--soft);font-size:11px}
        .axis{stroke:var(--line);fill:none}.map{stroke:var(--map);stroke-width:2;fill:none}
        .random{stroke:var(--soft);stroke-width:2;stroke-dasharray:5 4;fill:none}
        """;

    private readonly StringBuilder _html = new();

    /// <summary>Writes the page.</summary>
    /// <param name="describe">What a method shows, in two sentences, with its source.</param>
    /// <param name="verdicts">The faithfulness of each method in a line; none where it was not measured.</param>
    /// <returns>HTML.</returns>
    public string Write(Func<string, string> describe, IReadOnlyList<string> verdicts)
    {
        string title = $"What {document.Model} looks at";
        _html.Append("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n")
            .Append("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n")
            .Append($"<title>{Safe(title)}</title>\n<style>\n{Style}\n</style>\n</head>\n<body>\n<h1>{Safe(title)}</h1>\n")
            .Append($"<p class=\"soft\">{Safe(document.Weights)}, {Count(document.Images.Length, "image")}</p>\n");
        for (int i = 0; i < document.Methods.Length; i++)
        {
            ExplainedMethod method = document.Methods[i];
            _html.Append($"<h2>{Safe(method.Method)}</h2>\n<p>{Safe(describe(method.Method))}</p>\n");
            if (method.Faithfulness is { } curves) Curves(curves, verdicts[i]);
            foreach (ExplainedImage image in document.Images) Maps(image, method.Method);
        }
        return _html.Append("</body>\n</html>\n").ToString();
    }

    private void Curves(FaithfulnessDocument curves, string verdict)
    {
        _html.Append($"<p><strong>Faithfulness: {Safe(verdict)}.</strong></p>\n<p class=\"soft\">")
            .Append($"Blocks of {curves.Block} x {curves.Block} pixels are replaced by a blurred copy of the image, the most important ")
            .Append("first (deletion), or given back to the blurred image in the same order (insertion). The score is the mean ")
            .Append("probability of the target. A faithful map has a small area below deletion and a large one below insertion. ")
            .Append($"Solid: this map. Dashed: the mean of random orders. Both are means of {Count(curves.Images, "image")}. ")
            .Append("Source: Petsiuk, Das and Saenko 2018, RISE.</p>\n<div class=\"curves\">\n");
        Plot("deletion", curves.Deletion, curves.RandomDeletion);
        Plot("insertion", curves.Insertion, curves.RandomInsertion);
        _html.Append("</div>\n");
    }

    private void Plot(string name, double[] map, double[] random) =>
        _html.Append($"<svg viewBox=\"0 0 320 210\" width=\"320\" role=\"img\" aria-label=\"{name}\">")
            .Append("<path class=\"axis\" d=\"M40 20V170H310M40 20h-4M40 95h-4M40 170h-4M310 170v4\"/>")
            .Append("<text x=\"30\" y=\"24\" text-anchor=\"end\">1</text><text x=\"30\" y=\"99\" text-anchor=\"end\">0.5</text>")
            .Append("<text x=\"30\" y=\"174\" text-anchor=\"end\">0</text>")
            .Append($"<text x=\"175\" y=\"196\" text-anchor=\"middle\">share of the blocks, {name}</text>")
            .Append($"<polyline class=\"random\" points=\"{Points(random)}\"/><polyline class=\"map\" points=\"{Points(map)}\"/></svg>\n");

    private static string Points(double[] curve) => string.Join(' ', curve.Select((score, i) => string.Create(
        CultureInfo.InvariantCulture, $"{40 + 270.0 * i / (curve.Length - 1):F1},{170 - 150 * Math.Clamp(score, 0, 1):F1}")));

    private void Maps(ExplainedImage image, string method)
    {
        string from = image.Pixel is [int x, int y] ? $", seen from pixel {x},{y}" : "";
        _html.Append($"<h3>{Safe(image.Image)}</h3>\n<p class=\"soft\">")
            .Append(CultureInfo.InvariantCulture, $"{Safe(image.Target)}, probability {image.Probability:F2}{from}</p>\n")
            .Append("<div class=\"maps\">\n");
        Figure(image.File, "the image as the model reads it");
        foreach (ExplainedMap map in image.Maps.Where(map => map.Method == method))
        {
            string name = map.Layer.Length == 0 ? "mean of the layers" : $"{map.Layer} {map.Direction}".TrimEnd();
            Figure(map.File, string.Create(
                CultureInfo.InvariantCulture, $"{name}, {map.Height} x {map.Width}; {map.Min:G3} to {map.Max:G3}, mean {map.Mean:G3}"));
        }
        _html.Append("</div>\n");
    }

    private void Figure(string file, string caption)
    {
        string data = Convert.ToBase64String(File.ReadAllBytes(Path.Combine(folder, file)));
        _html.Append($"<figure><img alt=\"{Safe(caption)}\" src=\"data:image/png;base64,{data}\">")
            .Append($"<figcaption>{Safe(caption)}</figcaption></figure>\n");
    }

    private static string Count(int count, string noun) => count == 1 ? $"1 {noun}" : $"{count} {noun}s";

    private static string Safe(string text) => WebUtility.HtmlEncode(PlainText.Printable(text));
}
