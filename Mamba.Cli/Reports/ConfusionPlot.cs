using System.Globalization;
using System.Security;
using System.Text;
using Mamba.Models.Metrics;

namespace Mamba.Cli.Reports;

/// <summary>The confusion matrix as SVG: a row a true class, a column a predicted one, shaded by the share of the row.</summary>
internal static class ConfusionPlot
{
    /// <summary>The most classes whose cells can still be told apart.</summary>
    private const int MostClasses = 100;

    /// <summary>Draws it; null where there are too many classes to see anything.</summary>
    public static string? Draw(string title, ClassificationScores scores)
    {
        int n = scores.Classes.Count;
        if (n > MostClasses) return null;
        int cell = n <= 20 ? 44 : 14, left = 24 + 8 * Math.Min(24, scores.Classes.Max(c => c.Label.Length)), top = 60 + left - 24, width = left + n * cell + 30, height = top + n * cell + 30;
        StringBuilder svg = new();
        Add($"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"Arial, sans-serif\" font-size=\"12\">");
        Add($"<rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>");
        Add($"<text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{Escape(title)}</text>");
        Add($"<text x=\"12\" y=\"40\" fill=\"#555\">rows: true class; columns: predicted; images, shaded by their share of the row</text>");
        for (int row = 0; row < n; row++)
        {
            string label = Escape(Short(scores.Classes[row].Label));
            int y = top + row * cell, x = left + row * cell;
            Add($"<text x=\"{left - 8}\" y=\"{y + cell / 2 + 4}\" text-anchor=\"end\">{label}</text>");
            Add($"<text transform=\"translate({x + cell / 2 + 4},{top - 8}) rotate(-90)\">{label}</text>");
            long total = Math.Max(1, scores.Classes[row].Support);
            for (int column = 0; column < n; column++)
            {
                long count = scores.Confusion[row, column];
                double share = (double)count / total;
                string colour = row == column ? Shade(share, 31, 119, 180) : Shade(share, 214, 39, 40);
                Add($"<rect x=\"{left + column * cell}\" y=\"{y}\" width=\"{cell}\" height=\"{cell}\" fill=\"{colour}\" stroke=\"#ddd\" stroke-width=\"0.5\"/>");
                if (n <= 20 && count > 0)
                    Add($"<text x=\"{left + column * cell + cell / 2}\" y=\"{y + cell / 2 + 4}\" text-anchor=\"middle\" fill=\"{(share > 0.5 ? "white" : "black")}\">{count}</text>");
            }
        }
        Add($"</svg>");
        return svg.ToString();

        void Add(FormattableString line) => svg.AppendLine(line.ToString(CultureInfo.InvariantCulture));
    }

    private static string Shade(double share, int red, int green, int blue)
    {
        double weight = Math.Sqrt(share); // confusions are rare: a linear scale would leave them white
        return $"#{Mix(red):x2}{Mix(green):x2}{Mix(blue):x2}";

        int Mix(int colour) => (int)Math.Round(255 + (colour - 255) * weight);
    }

    private static string Short(string label) => label.Length <= 24 ? label : label[..23] + "\u2026";

    private static string Escape(string text) => SecurityElement.Escape(text);
}
