using Mamba.Models.Studies;

namespace Mamba.Cli.Reports.Study;

/// <summary>The sentences of a report: what scores mean, how they were made, and what they do not say.</summary>
internal static class StudyText
{
    /// <summary>What the table of scores shows.</summary>
    public static void Scores(Markup to, StudyView view)
    {
        if (view.Measures.Contains("dice_paper"))
            to.Element(
                "p", "Dice and IoU are counted in three ways. Global: all pixels of the test set together. Image: the mean over images, 1 "
                    + "where nothing is true or predicted. The paper’s: the mean over batches in file order, as the paper’s code "
                    + "counts.");
        string[] measures = [.. view.Measures.Where(m => view.Statistics.Any(s => s.Interval(m) is not null))];
        if (measures.Length > 0)
            to.Element(
                "p", $"Intervals hold 95 % of {Units.Whole(Bootstrap.Draws)} bootstrap draws of {Drawn(view)}; of "
                    + "several runs, the mean score of a draw. They tell how the score depends on who was tested, and not on the seed, "
                    + "which is the deviation."
                    + (view.Measures.Contains("dice_paper")
                        ? " The paper’s way of counting depends on the order of images and has no interval." : ""));
        IGrouping<string, EntryStatistics>[] problems =
            [.. view.Statistics.Where(s => s.Problem is not null).GroupBy(s => s.Problem!)];
        foreach (IGrouping<string, EntryStatistics> problem in problems)
            to.Element(
                "p", $"No interval for {string.Join(", ", problem.Select(s => view.Name(s.Entry)))}: {problem.Key}.", "class", "note");
        StudyEntry[] uneven = [.. view.Scored.Where(entry => entry.IsUneven)];
        if (uneven.Length > 0)
            to.Element(
                "p", $"No mean over classes for {string.Join(", ", uneven.Select(view.Name))}: some of their test sets lack a class that "
                    + "others have.", "class", "note");
        StudyEntry[] brief = [.. view.Scored.Where(StudyView.IsShort)];
        if (brief.Length > 0)
            to.Element(
                "p", $"The paper trained {PaperFigures.Epochs} epochs. Its scores are no measure for those who had fewer: "
                    + string.Join(", ", brief.Select(entry => $"{view.Name(entry)} {entry.Ended.Min(run => run.Epochs.Count)}"))
                    + ". The curves compare epoch by epoch.", "class", "note");
        RunResult[] cut = [.. view.Results.Runs.Where(run => run.Test is not null && run.EndedBy is not null)];
        if (cut.Length > 0)
            to.Element(
                "p", $"{Units.Of(cut.Length, "run")} ended before the planned epochs: "
                    + string.Join("; ", cut.Take(20).Select(run => $"{run.Id} by {run.EndedBy}, after {run.Epochs.Count} of "
                        + Units.Of(run.PlannedEpochs, "epoch"))) + (cut.Length > 20 ? "; …" : "."), "class", "note");
    }

    /// <summary>What the table of costs shows.</summary>
    public static void Cost(Markup to) => to.Element(
        "p", "Multiply-adds are those of convolutions, linear layers, attention and the selective scan for one image. MB are millions of "
            + "bytes of the weights as stored. Training includes validation. Inference is the median of one image at batch 1 with frozen "
            + "weights. The paper’s minutes are those of four T4, and no measure of this machine.");

    /// <summary>How pairs are compared.</summary>
    public static void Pairs(Markup to, StudyView view)
    {
        string unit = KnowsPatients(view) ? "patients" : "images";
        to.Element(
            "p", $"Paired bootstrap over {unit}: both models of a pair are scored on the same draws, so that what is hard for both does "
                + "not count as a difference. Two-sided p values, corrected for the number of pairs of a protocol (Holm); * marks those "
                + FormattableString.Invariant($"below {MatrixFigures.Significant}. Models with other test images are not compared."));
    }

    /// <summary>Protocols, machine and commands.</summary>
    public static void Method(Markup to, StudyView view)
    {
        StudyResults results = view.Results;
        foreach (string protocol in view.Protocols) Leak(to, view, protocol);
        StudyMachine machine = results.Machine;
        to.Open("dl", "class", "facts");
        Fact("Study", results.Name);
        Fact("Seeds", string.Join(", ", results.Runs.Select(run => run.Seed).Distinct().Order()));
        if (results.Runs.Any(run => run.Fold is not null))
            Fact(
                "Folds",
                string.Join(", ", results.Runs.Select(run => run.Fold).OfType<string>().Distinct().Order(StringComparer.Ordinal)));
        Fact("Processor", machine.Processor);
        Fact("Threads", $"{machine.Threads}; they change the time and no score");
        Fact("Vectors", $"{machine.VectorWidth} bits; other widths change the last bits of scores");
        Fact("System", machine.System);
        Fact("Runtime", machine.Runtime);
        Fact("Mamba", machine.Version);
        to.Close().Line();
        to.Element("p", "To repeat it:").Open("pre").Element("code", results.Command).Close().Line();

        void Fact(string what, string value) => to.Element("dt", what).Element("dd", value);
    }

    /// <summary>Whether patients are on both sides of a split, which flatters scores.</summary>
    private static void Leak(Markup to, StudyView view, string protocol)
    {
        SplitSizes[] splits = [.. view.Results.Runs.Where(run => run.Protocol == protocol).Select(run => run.Split).OfType<SplitSizes>()];
        SplitSizes? worst = splits.MaxBy(split => split.SharedGroups);
        if (worst is null) return;
        string images = $"{Units.Upper(StudyView.SplitName(protocol))}: {Units.Whole(worst.Train)} training, "
            + $"{Units.Whole(worst.Validation)} validation and {Units.Whole(worst.Test)} test images";
        if (worst.ValidatesOnTest)
            to.Element(
                "p", "The validation images are the test images: the test chose the epoch of the weights, so that scores are optimistic. "
                    + "The protocol holdout keeps them apart.", "class", "note");
        if (worst.Groups == 0 && !view.IsSegmentation)
            to.Element("p", $"{images}.");
        else if (worst.Groups == 0)
            to.Element("p", $"{images}. Who the patients are is not known, so that it is not known either whether one is on both sides.");
        else if (worst.SharedGroups == 0)
            to.Element("p", $"{images} of {Units.Of(worst.Groups, "patient")}. No patient is both in training and test.");
        else
            to.Element(
                "p", $"{images} of {Units.Of(worst.Groups, "patient")}. {Units.Whole(worst.SharedGroups)} of them have images both in "
                    + "training and test. Neighboring slices of a patient are almost the same picture, so that these scores say how well a "
                    + "model knows patients that it has seen, and flatter it for new ones. A split by patient measures those.", "class",
                "note");
    }

    private static bool KnowsPatients(StudyView view) => view.Statistics.Any(s => s.Groups.ArePatients);

    private static string Drawn(StudyView view) => KnowsPatients(view) ? "patients with all their images"
        : view.IsSegmentation ? "images, since patients are not known" : "images";
}
