using System.Globalization;
using System.Text;
using Mamba.Models.Metrics;
using Mamba.Models.Training;

namespace Mamba.Cli.Reports;

/// <summary>Scores as a line, as a table, as Markdown and as JSON: everything that differs by task stands here.</summary>
internal static class ScoreReport
{
    private static readonly Column[] s_ways =
        [new(""), new("global", 6) { Number = true }, new("image", 6) { Number = true }, new("paper", 6) { Number = true }];

    private static readonly Column[] s_classes =
        [new("class"), new("precision") { Number = true }, new("recall", 6) { Number = true }, new("F1", 6) { Number = true },
            new("images") { Number = true }];

    private static Column[] Regions(string unit) =>
        [new("class"), new("Dice", 6) { Number = true }, new("IoU", 6) { Number = true }, new("sens.", 6) { Number = true },
            new("spec.", 6) { Number = true }, new("prec.", 6) { Number = true }, new($"HD95 {unit}", 6) { Number = true },
            new("images") { Number = true }];

    /// <summary>The measures in short, as "Dice 0.64 global 0.79 image 0.59 paper".</summary>
    public static string Line(Scores scores) => scores switch
    {
        SegmentationScores s when Nothing(s.Detail) => $"Dice -, {Sentence(s.Detail!)}",
        SegmentationScores s => Invariant($"Dice {s.DiceGlobal:F4} global {s.DiceImage:F4} image {s.DicePaper:F4} paper"),
        MultiClassScores m when Nothing(m.Detail) => $"mean Dice -, {Sentence(m.Detail)}",
        MultiClassScores m => $"mean Dice {Four(m.MeanDice)} mean IoU {Four(m.MeanIou)} pixel accuracy {Four(m.Detail.PixelAccuracy)}",
        ClassificationScores c => Invariant($"macro F1 {c.MacroF1:F4} accuracy {c.Accuracy:P2}"),
        _ => Invariant($"{scores.Values[0].Name} {scores.Headline:F4}"),
    };

    /// <summary>
    /// As <see cref="Line"/>, in at most 27 characters, so that the line of an epoch fits into 80. Dice is global, image, paper; a dash
    /// where no image has a lesion.
    /// </summary>
    public static string Short(Scores scores) => scores switch
    {
        SegmentationScores s => $"Dice {Four(s.DiceGlobal)} {Four(s.DiceImage)} {Four(s.DicePaper)}",
        MultiClassScores m => $"Dice {Four(m.MeanDice)}  IoU {Four(m.MeanIou)}",
        ClassificationScores c => Invariant($"F1 {c.MacroF1:F4}  acc {c.Accuracy:F4}"),
        _ => Line(scores),
    };

    /// <summary>Writes all measures as a table.</summary>
    public static void Table(Terminal terminal, Scores scores)
    {
        if (scores is SegmentationScores s)
        {
            TableReport.Write(
                terminal, s_ways,
                [["Dice", .. Four(s.DiceGlobal, s.DiceImage, s.DicePaper)], ["IoU", .. Four(s.IouGlobal, s.IouImage, s.IouPaper)]]);
            if (s.Detail is { } detail)
            {
                terminal.Out.WriteLine(Ratios(detail));
                terminal.Out.WriteLine(Sentence(detail));
            }
        }
        else if (scores is MultiClassScores m)
        {
            WriteRegions(terminal, m.Detail);
            terminal.Out.WriteLine(
                $"mean Dice {Four(m.MeanDice)} (background out), mean IoU {Four(m.MeanIou)} (in), "
                    + $"pixel accuracy {Four(m.Detail.PixelAccuracy)}");
        }
        else if (scores is ClassificationScores c)
        {
            TableReport.Write(terminal, s_classes, c.Classes.Select(k => (string[])
                [PlainText.Printable(k.Label), .. Four(k.Precision, k.Recall, k.F1), Invariant($"{k.Support}")]));
            string top = c.Top5 is { } top5 ? $", top-5 accuracy {Four(top5)}" : "";
            terminal.Out.WriteLine(Invariant($"macro F1 {c.MacroF1:F4}, accuracy {c.Accuracy:F4}") + top);
        }
    }

    /// <summary>Writes the Dice of each volume, over all of its voxels: those of a few volumes, the others are in JSON.</summary>
    public static void Volumes(Terminal terminal, Scores scores)
    {
        const int Most = 30;
        if (Detail(scores) is not { Groups: { Count: > 0 and <= Most } groups }) return;
        SegmentClassScores[] classes = [.. groups[0].Classes.Skip(groups[0].Classes.Count > 1 ? 1 : 0)];
        IEnumerable<Column> labels = classes.Select(k => new Column(PlainText.Printable(k.Label), 6) { Number = true });
        Column[] columns = [new("volume"), new("slices") { Number = true }, .. labels];
        TableReport.Write(terminal, columns, groups.Select(group => (string[])
        [
            PlainText.Printable(group.Group), Invariant($"{group.Images}"),
            .. group.Classes.TakeLast(classes.Length).Select(k => Four(k.Dice)),
        ]));
    }

    /// <summary>All measures as Markdown.</summary>
    public static string Markdown(Scores scores)
    {
        StringBuilder text = new();
        if (scores is SegmentationScores s)
        {
            text.AppendLine("| | global | image | paper |\n|---|---|---|---|");
            text.AppendLine($"| Dice | {Four(s.DiceGlobal)} | {Four(s.DiceImage)} | {Four(s.DicePaper)} |");
            text.AppendLine($"| IoU | {Four(s.IouGlobal)} | {Four(s.IouImage)} | {Four(s.IouPaper)} |");
            text.AppendLine("\nglobal: all pixels pooled. image: mean over images, 1 where neither truth nor prediction has a lesion. "
                + "paper: pooled by batch, then averaged.");
            if (s.Detail is { } detail) text.AppendLine($"\n{Ratios(detail)}; {Sentence(detail)}.");
        }
        else if (scores is MultiClassScores m)
        {
            text.AppendLine($"**Mean Dice {Four(m.MeanDice)} without background, mean IoU {Four(m.MeanIou)} with it, "
                + $"pixel accuracy {Four(m.Detail.PixelAccuracy)}**\n");
            AppendRegions(text, m.Detail);
            text.AppendLine(Invariant($"\nMean over images: Dice {Four(m.DiceImage)} of {m.DiceImages} images with a class in truth or ")
                + "prediction. A class in no image's truth has no Dice (-), and no mean counts it.");
        }
        else if (scores is ClassificationScores c)
        {
            text.AppendLine(Invariant($"**Macro F1 {c.MacroF1:F4}, accuracy {c.Accuracy:P2}**\n"));
            text.AppendLine("| class | precision | recall | F1 | images |\n|---|---|---|---|---|");
            foreach (ClassScores k in c.Classes)
                text.AppendLine(Invariant($"| {k.Label} | {k.Precision:F4} | {k.Recall:F4} | {k.F1:F4} | {k.Support} |"));
            text.AppendLine("\n![confusion](confusion.svg)");
        }
        return text.ToString();
    }

    /// <summary>An evaluation as a document.</summary>
    public static EvalDocument Document(Evaluation result, int skipped)
    {
        EvalDocument document = With(
            new(result.Images, skipped, result.Loss) { MsPerImage = result.MillisecondsPerImage }, Detail(result.Scores));
        return result.Scores switch
        {
            SegmentationScores s => document with
            {
                Dice = new ThreeWays(s.DiceGlobal, s.DiceImage, s.DicePaper),
                Iou = new ThreeWays(s.IouGlobal, s.IouImage, s.IouPaper),
            },
            MultiClassScores m => document with { MeanDice = m.MeanDice, MeanIou = m.MeanIou, DiceImage = m.DiceImage },
            ClassificationScores c => document with
            {
                Accuracy = c.Accuracy,
                MacroF1 = c.MacroF1,
                Top5 = c.Top5,
                ClassScores = [.. c.Classes.Select(k => new ClassDocument(k.Label, k.Precision, k.Recall, k.F1, k.Support))],
            },
            _ => document,
        };
    }

    /// <summary>The document with what is known of each class, beyond the headline.</summary>
    private static EvalDocument With(EvalDocument document, SegmentationDetail? detail) => detail is null ? document : document with
    {
        ImagesWithForeground = detail.ImagesWithForeground,
        PixelAccuracy = detail.PixelAccuracy,
        HausdorffUnit = detail.DistanceUnit,
        Classes = [.. detail.Classes.Select(RegionDocument.Of)],
        Groups = detail.Groups.Count == 0 ? null
            : [.. detail.Groups.Select(g => new GroupDocument(g.Group, g.Images, [.. g.Classes.Select(RegionDocument.Of)]))],
    };

    /// <summary>Details of a segmentation; null for other scores.</summary>
    public static SegmentationDetail? Detail(Scores scores) => scores switch
    {
        SegmentationScores s => s.Detail,
        MultiClassScores m => m.Detail,
        _ => null,
    };

    private static bool Nothing(SegmentationDetail? detail) => detail is { ImagesWithForeground: 0 };

    /// <summary>How much there was to find, in words; and the mean over groups.</summary>
    private static string Sentence(SegmentationDetail detail)
    {
        string what = detail.Classes.Count == 1 ? PlainText.Printable(detail.Classes[0].Label) : "foreground";
        string images = Invariant($"{detail.Images} image{(detail.Images == 1 ? "" : "s")}");
        string found = detail.ImagesWithForeground == 0 ? $"no {what} in the truth of {images}: nothing to measure"
            : Invariant($"{what} in {detail.ImagesWithForeground} of {images}");
        return detail.Groups.Count == 0 ? found
            : found + Invariant($"; mean Dice {Four(detail.GroupDice)} over {detail.Groups.Count} groups");
    }

    /// <summary>The ratios of the one class of a mask, over all pixels.</summary>
    private static string Ratios(SegmentationDetail detail)
    {
        SegmentClassScores k = detail.Classes[0];
        PixelCounts c = k.Counts;
        string ratios = $"sensitivity {Four(c.Sensitivity)}, specificity {Four(c.Specificity)}, precision {Four(c.Precision)}";
        return k.HausdorffImages == 0 ? ratios
            : ratios + Invariant($", HD95 {k.Hausdorff95:F2} {detail.DistanceUnit} ({k.HausdorffImages})");
    }

    private static void WriteRegions(Terminal terminal, SegmentationDetail detail)
    {
        TableReport.Write(terminal, Regions(detail.DistanceUnit), detail.Classes.Select(k => (string[])
            [PlainText.Printable(k.Label), .. Cells(k)]));
        terminal.Out.WriteLine(Sentence(detail));
    }

    private static void AppendRegions(StringBuilder text, SegmentationDetail detail)
    {
        text.AppendLine($"| class | Dice | IoU | sensitivity | specificity | precision | Hausdorff 95, {detail.DistanceUnit} | images |");
        text.AppendLine("|---|---|---|---|---|---|---|---|");
        foreach (SegmentClassScores k in detail.Classes)
            text.AppendLine($"| {PlainText.Printable(k.Label)} | {string.Join(" | ", Cells(k))} |");
        text.AppendLine($"\n{Sentence(detail)}.");
    }

    /// <summary>The cells of a class after its name. A distance says of how many images it is the mean.</summary>
    private static string[] Cells(SegmentClassScores k)
    {
        PixelCounts c = k.Counts;
        string distance = k.HausdorffImages == 0 ? "-" : Invariant($"{k.Hausdorff95:F2} ({k.HausdorffImages})");
        return [.. Four(k.Dice, k.Iou, c.Sensitivity, c.Specificity, c.Precision), distance, Invariant($"{k.Images}")];
    }

    private static string[] Four(params double[] values) => Array.ConvertAll(values, Four);

    /// <summary>Four decimals; a dash for what is not defined.</summary>
    public static string Four(double value) => double.IsNaN(value) ? "-" : value.ToString("F4", CultureInfo.InvariantCulture);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
