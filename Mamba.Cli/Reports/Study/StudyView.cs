using Mamba.Models.Studies;
using Mamba.Models.Tasks;

namespace Mamba.Cli.Reports.Study;

/// <summary>A study as tables and figures see it: its entries, their statistics, and what scores are called.</summary>
internal sealed class StudyView
{
    private static readonly string[] s_measures =
    [
        "dice_paper", "dice_global", "dice_image", "iou_paper", "iou_global", "iou_image", "mean_dice", "mean_iou", "pixel_accuracy",
        "macro_f1", "accuracy", "top5",
    ];

    private static readonly string[] s_titles =
    [
        "Dice, paper’s", "Dice, global", "Dice, image", "IoU, paper’s", "IoU, global", "IoU, image", "Mean Dice", "Mean IoU",
        "Pixel accuracy", "Macro F1", "Accuracy", "Top-5 accuracy",
    ];

    private readonly string[] _labels;

    public StudyView(StudyResults results, int draws = Bootstrap.Draws)
    {
        Results = results;
        Entries = StudyEntry.Of(results);
        Scored = [.. Entries.Where(entry => entry.Ended.Count > 0)];
        Statistics = [.. Scored.Select(entry => new EntryStatistics(entry, draws))];
        Pairs = PairedComparison.Of(Statistics);
        Protocols = [.. Entries.Select(entry => entry.Protocol).Distinct()];
        Measures = [.. s_measures.Where(name => Scored.Any(entry => entry.Score(name).Count > 0))];
        _labels = [.. Entries.Select(entry => entry.Label).Distinct()];
    }

    public StudyResults Results { get; }

    /// <summary>All entries.</summary>
    public IReadOnlyList<StudyEntry> Entries { get; }

    /// <summary>Those with scores.</summary>
    public IReadOnlyList<StudyEntry> Scored { get; }

    /// <summary>The statistics of <see cref="Scored"/>, in the same order.</summary>
    public IReadOnlyList<EntryStatistics> Statistics { get; }

    public IReadOnlyList<PairedComparison> Pairs { get; }

    /// <summary>The protocols, in the order of the study.</summary>
    public IReadOnlyList<string> Protocols { get; }

    /// <summary>The names of the scores that there are.</summary>
    public IReadOnlyList<string> Measures { get; }

    /// <summary>The score that figures show, and that the paper reports; null where nothing was scored.</summary>
    public string? Headline => Measures.Count > 0 ? Measures[0] : null;

    public bool IsSegmentation => Results.Task == ModelTask.Segmentation;

    /// <summary>What people call a score.</summary>
    public static string Title(string measure) => Array.IndexOf(s_measures, measure) is >= 0 and var at ? s_titles[at] : measure;

    /// <summary>What a figure of one protocol is called and how it is named; other protocols have figures of their own.</summary>
    public string Suffix(string protocol)
    {
        if (Protocols.Count < 2) return "";
        string[] names = [.. Protocols.Select(FileName)];
        int place = 0;
        while (Protocols[place] != protocol) place++;
        return names.Distinct().Count() == names.Length ? $"-{names[place]}" : $"-split{place + 1}";
    }

    /// <summary>The entries with scores under a protocol.</summary>
    public StudyEntry[] Of(string protocol) => [.. Scored.Where(entry => entry.Protocol == protocol)];

    /// <summary>The statistics of an entry with scores.</summary>
    public EntryStatistics StatisticsOf(StudyEntry entry) => Statistics.First(s => s.Entry == entry);

    /// <summary>What an entry is called where entries of several protocols stand together.</summary>
    public string Name(StudyEntry entry) => Protocols.Count > 1 ? $"{entry.Label} ({entry.Protocol})" : entry.Label;

    /// <summary>The place of an entry's label, which decides its color: the same under each protocol.</summary>
    public int Place(StudyEntry entry) => Array.IndexOf(_labels, entry.Label);

    /// <summary>Whether a model that the paper has was trained for fewer epochs here, so that their scores do not compare.</summary>
    public static bool IsShort(StudyEntry entry) =>
        entry.Example.Paper is not null && entry.Ended.Any(run => run.Epochs.Count < PaperFigures.Epochs);

    /// <summary>How a protocol splits, in words.</summary>
    public static string SplitName(string protocol) => protocol switch
    {
        "official" => "official split",
        "holdout" => "official split, validation held out",
        _ => $"split by {protocol}",
    };

    /// <summary>Text as part of a file's name or an id: letters and digits of ASCII and dashes.</summary>
    public static string FileName(string text)
    {
        string plain = string.Concat(text.ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : '-')).Trim('-');
        return plain.Length > 60 ? plain[..60] : plain;
    }

    /// <summary>A name for the file of an entry's figure, which no other entry has.</summary>
    public string FileName(string prefix, StudyEntry entry)
    {
        int place = 0;
        while (Entries[place] != entry) place++;
        return $"{prefix}-{place + 1:D2}-{FileName(entry.Label)}{Suffix(entry.Protocol)}";
    }

    /// <summary>How sure an entry is of its predictions; NaN where that was not kept.</summary>
    public static double CalibrationError(StudyEntry entry) => Calibration.Error(Bins(entry));

    /// <summary>The bins of confidence over an entry's runs.</summary>
    public static IReadOnlyList<CalibrationBin> Bins(StudyEntry entry) =>
        Calibration.Pool([.. entry.Ended.Select(run => run.Test!.Calibration)]);
}
