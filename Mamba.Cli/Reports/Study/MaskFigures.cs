using Mamba.Models.Data;
using Mamba.Models.Data.Formats;
using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>The masks of every model side by side, on the test images on which the models disagree most.</summary>
internal sealed class MaskFigures
{
    /// <summary>The most images that are shown of a protocol.</summary>
    public const int MostImages = 6;

    private const double Width = 760, Cell = 140, Gap = 14, Caption = 36, Head = 26, Foot = 26;
    private const int Columns = 5;

    private readonly StudyView _view;
    private readonly string _folder;
    private readonly Func<RunResult, string, SegmentationSample?> _samples;

    /// <summary>Prepares to draw.</summary>
    /// <param name="view">The study.</param>
    /// <param name="folder">The study's folder.</param>
    /// <param name="samples">The picture and the truth of a test image of a run, by name; null where it cannot be had.</param>
    public MaskFigures(StudyView view, string folder, Func<RunResult, string, SegmentationSample?> samples) =>
        (_view, _folder, _samples) = (view, Path.GetFullPath(folder), samples);

    /// <summary>A figure for each image of a protocol; none where fewer than two models kept masks of the same images.</summary>
    public IReadOnlyList<Figure> Draw(string protocol)
    {
        List<StudyEntry> entries = [];
        List<RunResult> runs = [];
        foreach (StudyEntry entry in _view.Of(protocol))
            if (entry.Ended.FirstOrDefault(run => run.Test!.Masks is not null && run.Test.Images.Count > 0
                && (runs.Count == 0 || SameImages(run, runs[0]))) is { } run)
            {
                entries.Add(entry);
                runs.Add(run);
            }
        List<Figure> figures = [];
        foreach (Disagreement image in Disagreement.Of(runs, MostImages))
            if (Draw(image, entries, $"masks{_view.Suffix(protocol)}-{figures.Count + 1}") is { } figure) figures.Add(figure);
        return figures;
    }

    private static bool SameImages(RunResult a, RunResult b) =>
        a.Test!.Images.Select(image => image.Image).SequenceEqual(b.Test!.Images.Select(image => image.Image), StringComparer.Ordinal);

    /// <summary>The masks of an image; null where none can be read, as when the study was copied without them.</summary>
    private Figure? Draw(Disagreement image, List<StudyEntry> entries, string name)
    {
        SegmentationSample? sample = _samples(image.Runs[0], image.Image);
        LabelMap?[] masks = [.. image.Runs.Select(run => Load(run, image.Place))];
        if (masks.All(mask => mask is null)) return null;
        Image? picture = sample is null ? null : MaskShapes.Shrunk(sample.Image);
        (int width, int height) = picture is not null ? (picture.Width, picture.Height) : SizeOf(masks);
        LabelMap? truth = sample is null ? null : MaskShapes.Resized(sample.Mask, width, height);
        double tall = Cell * height / width;
        Panel panel = new(name, width, height, tall, picture);
        int cells = 0;
        if (picture is not null)
        {
            panel.Add(cells++, "picture", "", null, null);
            panel.Add(cells++, "truth", "", truth, truth);
        }
        for (int i = 0; i < masks.Length; i++)
        {
            double dice = Disagreement.Dice(image.Runs[i].Test!.Images[image.Place]);
            LabelMap? mask = masks[i] is { } map ? MaskShapes.Resized(map, width, height) : null;
            panel.Add(cells++, entries[i].Label, $"Dice {dice:0.000}{(mask is null ? ", no mask" : "")}", mask, truth);
        }
        int rows = (cells + Columns - 1) / Columns;
        double bottom = Head + rows * (tall + Caption);
        return new Figure(
            name, $"Masks of {image.Image}: deviation of Dice over models {Units.Score(image.Deviation)}", Width, bottom + Foot,
            panel.Finish(Units.Cut(image.Image, 90), bottom + 14, truth is not null));
    }

    private static (int Width, int Height) SizeOf(LabelMap?[] masks)
    {
        LabelMap first = masks.First(mask => mask is not null)!;
        int factor = Math.Max(1, (Math.Max(first.Width, first.Height) + MaskShapes.LargestSide - 1) / MaskShapes.LargestSide);
        return (Math.Max(1, first.Width / factor), Math.Max(1, first.Height / factor));
    }

    /// <summary>A mask of a run; null where it cannot be read, or the path leads out of the study's folder.</summary>
    private LabelMap? Load(RunResult run, int place)
    {
        string path = Path.GetFullPath(Path.Combine(_folder, run.Test!.Masks!, FormattableString.Invariant($"{place:D5}.png")));
        if (!path.StartsWith(_folder + Path.DirectorySeparatorChar, StringComparison.Ordinal)) return null;
        try
        {
            RawMask mask = ImageFile.LoadMask(path);
            return new LabelMap(mask.Width, mask.Height, Array.ConvertAll(mask.Values, value => value == 0 ? (byte)0 : (byte)1));
        }
        catch (ImageException)
        {
            return null;
        }
    }

    /// <summary>The cells of one test image.</summary>
    private sealed class Panel
    {
        private readonly Markup _to = new();
        private readonly string _id;
        private readonly int _width, _height;
        private readonly double _tall;
        private readonly bool _picture;

        public Panel(string name, int width, int height, double tall, Image? picture)
        {
            (_id, _width, _height, _tall, _picture) = (name + "-picture", width, height, tall, picture is not null);
            if (picture is null) return;
            _to.Open("defs").Void(
                "image", "id", _id, "width", $"{width}", "height", $"{height}",
                "href", "data:image/png;base64," + Convert.ToBase64String(ImageFile.ToPng(picture))).Close();
        }

        /// <summary>Draws a cell: the picture, and on it what a mask found, missed and made up.</summary>
        public void Add(int place, string name, string text, LabelMap? mask, LabelMap? truth)
        {
            double x = place % Columns * (Cell + Gap), y = Head + place / Columns * (_tall + Caption);
            _to.Open(
                "svg", "x", Markup.Number(x), "y", Markup.Number(y), "width", Markup.Number(Cell), "height", Markup.Number(_tall),
                "viewBox", $"0 0 {_width} {_height}", "preserveAspectRatio", "none");
            PlotFrame.Box(_to, "pale c6", 0, 0, _width, _height);
            // In gray under a mask, whose colors then stand out.
            if (_picture) _to.Void("use", "href", "#" + _id, "style", mask is null ? "" : "filter:grayscale(1)");
            if (mask is not null) Regions(mask.Classes, truth?.Classes);
            _to.Close();
            PlotFrame.Label(_to, x, y + _tall + 14, Units.Cut(name, 21));
            if (text.Length > 0) PlotFrame.Label(_to, x, y + _tall + 28, text, "small mute");
        }

        public string Finish(string title, double legend, bool truth)
        {
            PlotFrame.Label(_to, 0, 15, title, "strong");
            double x = 0;
            string[] entries = truth ? ["bar c2", "found", "bar c5", "missed", "bar c1", "made up"] : ["bar c0", "predicted"];
            for (int i = 0; i < entries.Length; i += 2)
            {
                PlotFrame.Box(_to, entries[i], x, legend - 10, 12, 12);
                PlotFrame.Label(_to, x + 17, legend, entries[i + 1]);
                x += 40 + LabelPlacer.Width(entries[i + 1]);
            }
            return _to.ToString();
        }

        private void Regions(byte[] mask, byte[]? truth)
        {
            if (truth is null)
            {
                Region("bar c0", i => mask[i] != 0);
                return;
            }
            Region("bar c2", i => Foreground(truth[i]) && mask[i] != 0);
            Region("bar c5", i => Foreground(truth[i]) && mask[i] == 0);
            Region("bar c1", i => truth[i] == 0 && mask[i] != 0);

            // Of several classes all but the background are foreground, as in the masks.
            static bool Foreground(byte value) => value is not (0 or LabelMap.Ignored);
        }

        private void Region(string look, Func<int, bool> wanted)
        {
            string path = MaskShapes.Path(_width, _height, wanted);
            if (path.Length > 0) _to.Void("path", "class", look, "fill-opacity", "0.62", "d", path);
        }
    }
}
