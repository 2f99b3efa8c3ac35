using Mamba.Models.Data;
using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>All tables and figures of a report, each made once, for the page and for files.</summary>
internal sealed class StudyFigures
{
    private readonly Dictionary<Figure, string> _captions = [];
    private readonly List<Figure> _charts = [], _masks = [], _pairs = [];

    /// <summary>Makes them.</summary>
    /// <param name="view">The study.</param>
    /// <param name="folder">Its folder.</param>
    /// <param name="samples">The picture and the truth of a test image of a run, by name; null where it cannot be had.</param>
    public StudyFigures(StudyView view, string folder, Func<RunResult, string, SegmentationSample?> samples)
    {
        Scores = StudyTables.Scores(view);
        Cost = StudyTables.Cost(view);
        PairTable = StudyTables.Pairs(view);
        Protocols = StudyTables.Protocols(view);
        Splits = StudyTables.Splits(view);
        Runs = StudyTables.Runs(view);
        if (view.Headline is not null)
            foreach (string protocol in view.Protocols) Chart(view, protocol);
        Add(_charts, BarFigures.Splits(view), "");
        Curves = [.. view.Entries.Select(entry => CurveFigures.Draw(view, entry)).OfType<Figure>()];
        MaskFigures masks = new(view, folder, samples);
        if (view.IsSegmentation)
            foreach (string protocol in view.Protocols) _masks.AddRange(masks.Draw(protocol));
        Confusions = [.. view.Scored.Select(entry => MatrixFigures.Confusion(view, entry)).OfType<Figure>()];
        Reliability = [.. view.Scored.Select(entry => ReliabilityFigures.Draw(view, entry)).OfType<Figure>()];
        foreach (string protocol in view.Protocols) Add(_pairs, MatrixFigures.Pairs(view, protocol), "Blue: the row is better.");
    }

    public ReportTable Scores { get; }

    public ReportTable Cost { get; }

    public ReportTable PairTable { get; }

    public ReportTable? Protocols { get; }

    public ReportTable Splits { get; }

    public ReportTable Runs { get; }

    /// <summary>Bubbles and bars.</summary>
    public IReadOnlyList<Figure> Charts => _charts;

    public IReadOnlyList<Figure> Curves { get; }

    public IReadOnlyList<Figure> Masks => _masks;

    public IReadOnlyList<Figure> Confusions { get; }

    public IReadOnlyList<Figure> Reliability { get; }

    public IReadOnlyList<Figure> Pairs => _pairs;

    /// <summary>All figures.</summary>
    public IEnumerable<Figure> All => [.. Charts, .. Curves, .. Masks, .. Confusions, .. Reliability, .. Pairs];

    /// <summary>What stands below a figure; empty for nothing.</summary>
    public string Caption(Figure figure) => _captions.GetValueOrDefault(figure, "");

    private void Chart(StudyView view, string protocol)
    {
        bool paper = view.Of(protocol).Any(entry => entry.Example.Paper is not null && !StudyView.IsShort(entry));
        Add(
            _charts, BubbleFigures.Parameters(view, protocol), "The area of a bubble is the number of multiply-adds of an image."
                + (paper ? " A short line is the paper’s score." : ""));
        Add(
            _charts, BubbleFigures.Frontier(view, protocol),
            "The area of a bubble is the size of the weights. A filled one is on the frontier: no other model is at "
                + "least as good in score, time and size at once. The dashed line is the best score in a time.");
        Add(_charts, BarFigures.Time(view, protocol), "");
    }

    private void Add(List<Figure> to, Figure? figure, string caption)
    {
        if (figure is null) return;
        to.Add(figure);
        _captions.Add(figure, caption);
    }
}
