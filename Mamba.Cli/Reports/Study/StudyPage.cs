using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>The page of a report: one file without anything from elsewhere.</summary>
internal sealed class StudyPage
{
    private readonly StudyView _view;
    private readonly StudyFigures _figures;
    private readonly Markup _to = new();

    private StudyPage(StudyView view, StudyFigures figures) => (_view, _figures) = (view, figures);

    /// <summary>Writes the page.</summary>
    public static string Write(StudyView view, StudyFigures figures)
    {
        StudyPage page = new(view, figures);
        page.Head();
        page.Beginning();
        page.Overview();
        page.Scores();
        page.Charts();
        page.Masks();
        page.Certainty();
        page.Pairs();
        page.Method();
        page._to.Close().Element("script", "").Close();
        return page.Finish();
    }

    /// <summary>The script goes in last: its text is no text of the page, and is not escaped.</summary>
    private string Finish()
    {
        string body = _to.Close().ToString();
        return "<!DOCTYPE html>\n" + body.Replace("<script></script>", $"<script>{PageStyle.Script}</script>") + "\n";
    }

    private void Head()
    {
        // The policy allows the one script by its hash and nothing from elsewhere, so that no text of a data set can ever run or load.
        string hash = Convert.ToBase64String(Sha256.HashData(Encoding.UTF8.GetBytes(PageStyle.Script)));
        string policy = $"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{hash}'";
        _to.Open("html", "lang", "en").Open("head").Line();
        _to.Void("meta", "charset", "utf-8").Void("meta", "http-equiv", "Content-Security-Policy", "content", policy).Line();
        _to.Void("meta", "name", "viewport", "content", "width=device-width, initial-scale=1").Line();
        _to.Element("title", _view.Results.Title).Line();
        _to.Void("link", "rel", "icon", "href", "data:,").Line(); // no request for an icon
        _to.Open("style").Raw("\n" + PageStyle.Rules + "\n" + Series.Rules + "\n").Close().Close().Line().Open("body").Line();
    }

    private void Beginning()
    {
        StudyResults results = _view.Results;
        int ended = results.Runs.Count(run => run.Test is not null);
        _to.Open("header").Open("div").Element("h1", results.Title);
        _to.Element(
            "p", $"{(_view.IsSegmentation ? "Segmentation" : "Classification")} of {string.Join(", ", results.Labels.Take(12))}"
                + (results.Labels.Count > 12 ? ", …" : "")
                + $". {Units.Of(_view.Entries.Select(entry => entry.Label).Distinct().Count(), "model")}, "
                + $"{ended} of {Units.Of(results.Runs.Count, "run")} ended, "
                + $"{string.Join(" and ", _view.Protocols.Select(StudyView.SplitName))}.",
            "class", "mute");
        _to.Close().Close().Line().Open("nav", "aria-label", "Sections").Open("ul");
        Link("scores", "Scores");
        Link("figures", "Figures");
        if (_figures.Masks.Count > 0) Link("masks", "Masks");
        if (_figures.Confusions.Count + _figures.Reliability.Count > 0) Link("certainty", "Errors");
        if (_view.Pairs.Count > 0) Link("pairs", "Pairs");
        Link("method", "Method");
        _to.Close().Close().Line().Open("main").Line();

        void Link(string id, string text) => _to.Open("li").Element("a", text, "href", "#" + id).Close();
    }

    /// <summary>What a reader wants to know first, under the study's first protocol.</summary>
    private void Overview()
    {
        if (_view.Headline is not { } measure)
        {
            _to.Element("p", "No run has ended yet, so that there is no score to report. The runs are listed below.", "class", "note");
            return;
        }
        string protocol = _view.Scored[0].Protocol;
        StudyEntry[] entries = [.. _view.Of(protocol).Where(entry => entry.Score(measure).Count > 0)];
        _to.Open("dl", "class", "cards");
        StudyEntry? best = entries.MaxBy(entry => entry.Score(measure).Mean);
        if (best is not null)
            Card($"Best {StudyView.Title(measure)}", best, $"{Units.Score(best.Score(measure).Mean)}, {StudyView.SplitName(protocol)}");
        StudyEntry? small = entries.Where(entry => entry.Example.Parameters > 0).MinBy(entry => entry.Example.Parameters);
        if (small is not null)
            Card("Smallest", small, $"{Units.Whole(small.Example.Parameters)} parameters, {Units.Score(small.Score(measure).Mean)}");
        StudyEntry? fast = entries.Where(entry => Time(entry).Count > 0).MinBy(entry => Time(entry).Mean);
        if (fast is not null) Card("Fastest", fast, $"{Units.Three(Time(fast).Mean)} ms an image, {Units.Score(fast.Score(measure).Mean)}");
        StudyEntry[] compared = [.. entries.Where(entry => entry.Example.Paper is not null && !StudyView.IsShort(entry))];
        if (compared.Length > 0)
        {
            SampleSummary gaps = new(compared.Select(entry => Math.Abs(entry.Score(measure).Mean - entry.Example.Paper!.Score)));
            Card("Mean distance to the paper", Units.Score(gaps.Mean), $"over {Units.Of(gaps.Count, "model")}");
        }
        _to.Close().Line();

        void Card(string what, object value, string text) => _to.Open("div").Element("dt", what)
            .Element("dd", value is StudyEntry entry ? entry.Label : (string)value).Element("dd", text).Close();

        static SampleSummary Time(StudyEntry entry) => entry.Figure(run => run.InferenceMilliseconds);
    }

    private void Scores()
    {
        Heading("scores", "Scores");
        Unfinished();
        if (_view.Headline is null) return;
        TableFormats.Html(_to, _figures.Scores);
        StudyText.Scores(_to, _view);
        TableFormats.Html(_to, _figures.Cost);
        StudyText.Cost(_to);
        if (_figures.Protocols is not { } protocols) return;
        TableFormats.Html(_to, protocols);
    }

    /// <summary>Runs without scores, so that nobody takes a part for the whole.</summary>
    private void Unfinished()
    {
        RunResult[] open = [.. _view.Results.Runs.Where(run => run.Test is null)];
        if (open.Length == 0) return;
        _to.Open("div", "class", "note").Text(
            $"{Units.Of(open.Length, "run")} without scores, of {_view.Results.Runs.Count}: what is not ended is not scored. ");
        _to.Text(string.Join("; ", open.Take(20).Select(run => $"{run.Id} ({StudyTables.State(run)}{Epochs(run)})"))
            + (open.Length > 20 ? "; …" : "."));
        _to.Close().Line();

        static string Epochs(RunResult run) =>
            run.Epochs.Count == 0 ? "" : run.PlannedEpochs == 0 ? $", {Units.Of(run.Epochs.Count, "epoch")}"
                : $", {run.Epochs.Count} of {Units.Of(run.PlannedEpochs, "epoch")}";
    }

    private void Charts()
    {
        Heading("figures", "Figures");
        foreach (Figure figure in _figures.Charts) Wide(figure);
        if (_figures.Curves.Count == 0) return;
        _to.Element("h3", "Loss and validation score by epoch");
        Panels(_figures.Curves, "21rem");
    }

    private void Masks()
    {
        if (_figures.Masks.Count == 0) return;
        Heading("masks", "Where the models disagree");
        _to.Element(
            "p", "The test images whose Dice differs most between the models: those with foreground first, and one of a patient as long as "
                + "there are others. Under a mask the picture is gray.");
        foreach (Figure figure in _figures.Masks) Wide(figure);
    }

    private void Certainty()
    {
        if (_figures.Confusions.Count + _figures.Reliability.Count == 0) return;
        Heading("certainty", "Errors and certainty");
        if (_figures.Confusions.Count > 0)
        {
            _to.Element("h3", "Confusion");
            _to.Element(
                "p", _view.IsSegmentation
                    ? "Test images by whether foreground is there and whether any was predicted, over all runs of a model."
                    : "Test images by true and predicted class, over all runs of a model. Shades are square roots of shares of a row.");
            if (_view.IsSegmentation || _view.Results.Labels.Count <= 4) Panels(_figures.Confusions, "14rem");
            else
                foreach (Figure figure in _figures.Confusions) Wide(figure);
        }
        if (_figures.Reliability.Count == 0) return;
        _to.Element("h3", "Reliability");
        _to.Element(
            "p", "How often predictions are right (bars) at each confidence; the outline is the gap to the mean confidence, the dashed "
                + "line perfect calibration, and the small bars below count predictions. The expected calibration error (ECE) is the mean "
                + "gap.");
        Panels(_figures.Reliability, "17rem");
    }

    private void Pairs()
    {
        if (_view.Pairs.Count == 0) return;
        Heading("pairs", "Pairs of models");
        StudyText.Pairs(_to, _view);
        foreach (Figure figure in _figures.Pairs) Wide(figure);
        _to.Open("details").Element("summary", $"All {Units.Of(_view.Pairs.Count, "pair")} as a table");
        TableFormats.Html(_to, _figures.PairTable);
        _to.Close().Line();
    }

    private void Method()
    {
        Heading("method", "Method");
        StudyText.Method(_to, _view);
        if (_figures.Splits.Rows.Count > 0) TableFormats.Html(_to, _figures.Splits);
        _to.Open("details").Element("summary", $"All {Units.Of(_view.Results.Runs.Count, "run")} with their commands");
        TableFormats.Html(_to, _figures.Runs);
        _to.Close().Line();
    }

    private void Heading(string id, string text) => _to.Line().Element("h2", text, "id", id).Line();

    private void Wide(Figure figure)
    {
        _to.Open("figure", "class", "wide").Open("div", "class", "pan", "tabindex", "0").Raw(figure.Inline()).Close();
        string text = _figures.Caption(figure);
        _to.Element("figcaption", text.Length > 0 ? $"{figure.Title}. {text}" : $"{figure.Title}.").Close().Line();
    }

    /// <summary>Small figures side by side; of several protocols, the later ones are folded away.</summary>
    private void Panels(IReadOnlyList<Figure> figures, string width)
    {
        string[] groups = [.. figures.Select(figure => figure.Group).Distinct()];
        foreach (string group in groups)
        {
            Figure[] own = [.. figures.Where(figure => figure.Group == group)];
            if (groups.Length > 1)
                _to.Open("details", "open", group == groups[0] ? "open" : "")
                    .Element("summary", $"{own.Length} figures, {StudyView.SplitName(group)}");
            Row(own, width);
            if (groups.Length > 1) _to.Close().Line();
        }
    }

    private void Row(Figure[] figures, string width)
    {
        _to.Open("div", "class", "panels", "style", $"--panel:{width}");
        foreach (Figure figure in figures)
            _to.Open("figure").Open("div", "class", "pan", "tabindex", "0").Raw(figure.Inline()).Close().Close().Line();
        _to.Close().Line();
    }
}
