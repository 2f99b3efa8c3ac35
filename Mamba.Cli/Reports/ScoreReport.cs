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

    /// <summary>The measures in short, as "Dice 0.64 global 0.79 image 0.59 paper".</summary>
    public static string Line(Scores scores) => scores switch
    {
        SegmentationScores s => Invariant($"Dice {s.DiceGlobal:F4} global {s.DiceImage:F4} image {s.DicePaper:F4} paper"),
        ClassificationScores c => Invariant($"macro F1 {c.MacroF1:F4} accuracy {c.Accuracy:P2}"),
        _ => Invariant($"{scores.Values[0].Name} {scores.Headline:F4}"),
    };

    /// <summary>
    /// As <see cref="Line"/>, in at most 27 characters, so that the line of an epoch fits into 80. Dice is global, image, paper.
    /// </summary>
    public static string Short(Scores scores) => scores switch
    {
        SegmentationScores s => Invariant($"Dice {s.DiceGlobal:F4} {s.DiceImage:F4} {s.DicePaper:F4}"),
        ClassificationScores c => Invariant($"F1 {c.MacroF1:F4}  acc {c.Accuracy:F4}"),
        _ => Line(scores),
    };

    /// <summary>Writes all measures as a table.</summary>
    public static void Table(Terminal terminal, Scores scores)
    {
        if (scores is SegmentationScores s)
            TableReport.Write(
                terminal, s_ways,
                [["Dice", .. Four(s.DiceGlobal, s.DiceImage, s.DicePaper)], ["IoU", .. Four(s.IouGlobal, s.IouImage, s.IouPaper)]]);
        else if (scores is ClassificationScores c)
        {
            TableReport.Write(terminal, s_classes, c.Classes.Select(k => (string[])
                [PlainText.Printable(k.Label), .. Four(k.Precision, k.Recall, k.F1), Invariant($"{k.Support}")]));
            terminal.Out.WriteLine(Invariant($"macro F1 {c.MacroF1:F4}, accuracy {c.Accuracy:F4}"));
        }
    }

    /// <summary>All measures as Markdown.</summary>
    public static string Markdown(Scores scores)
    {
        StringBuilder text = new();
        if (scores is SegmentationScores s)
        {
            text.AppendLine("| | global | image | paper |\n|---|---|---|---|");
            text.AppendLine(Invariant($"| Dice | {s.DiceGlobal:F4} | {s.DiceImage:F4} | {s.DicePaper:F4} |"));
            text.AppendLine(Invariant($"| IoU | {s.IouGlobal:F4} | {s.IouImage:F4} | {s.IouPaper:F4} |"));
            text.AppendLine("\nglobal: all pixels pooled. image: mean over images, 1 where neither truth nor prediction has a lesion. "
                + "paper: pooled by batch, then averaged.");
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
        EvalDocument document = new(result.Images, skipped, result.Loss) { MsPerImage = result.MillisecondsPerImage };
        return result.Scores switch
        {
            SegmentationScores s => document with
            {
                Dice = new ThreeWays(s.DiceGlobal, s.DiceImage, s.DicePaper),
                Iou = new ThreeWays(s.IouGlobal, s.IouImage, s.IouPaper),
            },
            ClassificationScores c => document with { Accuracy = c.Accuracy, MacroF1 = c.MacroF1 },
            _ => document,
        };
    }

    private static string[] Four(params double[] values) => Array.ConvertAll(values, v => v.ToString("F4", CultureInfo.InvariantCulture));

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
