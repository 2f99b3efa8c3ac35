using System.Globalization;
using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>Squares of cells: confusions of classes, and differences of each pair of models.</summary>
internal static class MatrixFigures
{
    /// <summary>The most rows whose cells can be told apart, and the most with room for numbers.</summary>
    private const int MostRows = 100, MostNumbers = 20;

    /// <summary>The level below which a corrected p value marks a difference.</summary>
    public const double Significant = 0.05;

    private static readonly string[] s_presence = ["absent", "present"];

    /// <summary>
    /// Images by true and predicted class, over all runs; of a segmentation, by whether foreground is there. Null where that is not known.
    /// </summary>
    public static Figure? Confusion(StudyView view, StudyEntry entry)
    {
        long[,]? counts = view.IsSegmentation ? Presence(entry) : Classes(entry, view.Results.Labels.Count);
        if (counts is null || counts.GetLength(0) is 0 or > MostRows) return null;
        int n = counts.GetLength(0);
        string[] names = [.. view.IsSegmentation ? s_presence : view.Results.Labels.Select(label => Units.Cut(label, 16))];
        Grid grid = new(names, names, n <= 4 ? 64 : n <= MostNumbers ? 44 : 14, "predicted", "true") { Title = view.Name(entry) };
        for (int row = 0; row < n; row++)
        {
            long sum = 0;
            for (int column = 0; column < n; column++) sum += counts[row, column];
            for (int column = 0; column < n; column++)
            {
                if (counts[row, column] == 0) continue;
                // Square roots: confusions are rare, and would be invisible on a straight scale.
                double share = (double)counts[row, column] / sum;
                grid.Cell(
                    row, column, row == column ? 0 : 1, Math.Sqrt(share), n <= MostNumbers ? Units.Short(counts[row, column]) : "",
                    $"{names[row]} taken for {names[column]}: {Units.Of(counts[row, column], "image")}, "
                        + share.ToString("P1", CultureInfo.InvariantCulture));
            }
        }
        return grid.ToFigure(
            view.FileName("confusion", entry), $"Images by true and predicted class: {view.Name(entry)}", entry.Protocol);
    }

    /// <summary>The difference of each pair under a protocol, the row's minus the column's; null for fewer than two models.</summary>
    public static Figure? Pairs(StudyView view, string protocol)
    {
        PairedComparison[] pairs = [.. view.Pairs.Where(pair => pair.First.Protocol == protocol)];
        StudyEntry[] entries = [.. view.Of(protocol).Where(entry => pairs.Any(pair => pair.First == entry || pair.Second == entry))];
        if (entries.Length < 2 || entries.Length > MostNumbers) return null;
        string[] names = [.. entries.Select(entry => Units.Cut(entry.Label, 20))];
        double largest = Math.Max(1e-9, pairs.Max(pair => Math.Abs(pair.Difference)));
        Grid grid = new(names, names, 44, "", "");
        foreach (PairedComparison pair in pairs)
        {
            int first = Array.IndexOf(entries, pair.First), second = Array.IndexOf(entries, pair.Second);
            Draw(pair, first, second, pair.Difference);
            Draw(pair, second, first, -pair.Difference);
        }
        return grid.ToFigure(
            $"pairs{view.Suffix(protocol)}",
            $"{StudyView.Title(pairs[0].Measure)} in hundredths, row minus column, {StudyView.SplitName(protocol)}");

        void Draw(PairedComparison pair, int row, int column, double difference)
        {
            string text = (100 * difference).ToString("+0.0;−0.0;0.0", CultureInfo.InvariantCulture);
            grid.Cell(
                row, column, difference >= 0 ? 0 : 1, 0.85 * Math.Abs(difference) / largest,
                pair.Corrected < Significant ? text + "*" : text,
                $"{names[row]} − {names[column]}: {Units.Difference(difference)}, p {Units.PValue(pair.Corrected)} (Holm)");
        }
    }

    private static long[,]? Classes(StudyEntry entry, int classes)
    {
        long[,] counts = new long[classes, classes];
        foreach (RunResult run in entry.Ended)
        {
            if (run.Test!.Confusion.Count != classes || run.Test.Confusion.Any(row => row.Count != classes)) return null;
            for (int row = 0; row < classes; row++)
                for (int column = 0; column < classes; column++) counts[row, column] += run.Test.Confusion[row][column];
        }
        return counts;
    }

    private static long[,]? Presence(StudyEntry entry)
    {
        long[,] counts = new long[2, 2];
        foreach (RunResult run in entry.Ended)
        {
            if (run.Test!.Images.Count == 0) return null;
            foreach (ImageCounts image in run.Test.Images) counts[image.Truth > 0 ? 1 : 0, image.Predicted > 0 ? 1 : 0]++;
        }
        return counts;
    }

    /// <summary>Cells between names of rows and of columns.</summary>
    private sealed class Grid
    {
        /// <summary>The shade from which on a number needs another color than the page's to be read.</summary>
        private const double Heavy = 0.7;

        private readonly Markup _to = new();
        private readonly string[] _rows, _columns;
        private readonly string _across, _down;
        private readonly double _side, _left, _top;

        public Grid(string[] rows, string[] columns, double side, string across, string down)
        {
            (_rows, _columns, _side, _across, _down) = (rows, columns, side, across, down);
            _left = 16 + rows.Max(LabelPlacer.Width) + (down.Length > 0 ? 18 : 0);
            _top = 14 + (across.Length > 0 ? 46 : 6) + (Upright ? 8 : 0.75 * columns.Max(LabelPlacer.Width));
        }

        /// <summary>What stands above it.</summary>
        public string Title { get; init; } = "";

        /// <summary>Whether the names of columns fit above them.</summary>
        private bool Upright => _columns.Max(LabelPlacer.Width) <= _side;

        public void Cell(int row, int column, int color, double shade, string text, string tip)
        {
            double x = _left + column * _side, y = _top + row * _side;
            _to.Open(
                "rect", "class", "bar " + Series.Class(color), "fill-opacity", Markup.Number(Math.Clamp(shade, 0.04, 1)),
                "x", Markup.Number(x), "y", Markup.Number(y), "width", Markup.Number(_side), "height", Markup.Number(_side))
                .Element("title", tip).Close();
            if (text.Length > 0)
                PlotFrame.Label(
                    _to, x + _side / 2, y + _side / 2 + 4, text, shade > Heavy ? $"small on{color}" : "small", "middle");
        }

        public Figure ToFigure(string name, string title, string group = "")
        {
            double right = _left + _columns.Length * _side, bottom = _top + _rows.Length * _side;
            for (int i = 0; i <= _rows.Length; i++) PlotFrame.Line(_to, "grid", _left, _top + i * _side, right, _top + i * _side);
            for (int i = 0; i <= _columns.Length; i++) PlotFrame.Line(_to, "grid", _left + i * _side, _top, _left + i * _side, bottom);
            for (int i = 0; i < _rows.Length; i++)
                PlotFrame.Label(_to, _left - 6, _top + (i + 0.5) * _side + 4, _rows[i], "", "end");
            for (int i = 0; i < _columns.Length; i++)
            {
                double x = _left + (i + 0.5) * _side, y = _top - 7;
                if (Upright) PlotFrame.Label(_to, x, y, _columns[i], "", "middle");
                else
                    _to.Element(
                        "text", _columns[i], "x", Markup.Number(x), "y", Markup.Number(y), "transform",
                        $"rotate(-45 {Markup.Number(x)} {Markup.Number(y)})");
            }
            if (Title.Length > 0) PlotFrame.Label(_to, 2, 14, Units.Cut(Title, 44), "strong");
            if (_across.Length > 0) PlotFrame.Label(_to, (_left + right) / 2, 34, _across, "mute", "middle");
            double side = Upright ? 8 : 0.75 * LabelPlacer.Width(_columns[^1]);
            string middle = Markup.Number((_top + bottom) / 2);
            if (_down.Length > 0)
                _to.Element(
                    "text", _down, "class", "mute", "text-anchor", "middle", "x", "12", "y", middle, "transform",
                    $"rotate(-90 12 {middle})");
            double width = Math.Max(right + side + 8, Title.Length == 0 ? 0 : LabelPlacer.Width(Units.Cut(Title, 44)) + 10);
            return new Figure(name, title, width, bottom + 10, _to.ToString()) { Group = group };
        }
    }
}
