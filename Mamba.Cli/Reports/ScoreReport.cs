using System.Globalization;
using System.Text;
using System.Text.Json;
using Mamba.Models.Metrics;

namespace Mamba.Cli.Reports;

/// <summary>Scores as a line, as a table for people, as Markdown and as JSON: what differs by task stands here alone.</summary>
internal static class ScoreReport
{
    /// <summary>The measures in short, as "Dice 0.64 global 0.79 image 0.59 paper".</summary>
    public static string Line(Scores scores) => scores switch
    {
        SegmentationScores s => Invariant($"Dice {s.DiceGlobal:F4} global {s.DiceImage:F4} image {s.DicePaper:F4} paper"),
        ClassificationScores c => Invariant($"macro F1 {c.MacroF1:F4} accuracy {c.Accuracy:P2}"),
        _ => Invariant($"{scores.Values[0].Name} {scores.Headline:F4}"),
    };

    /// <summary>All measures, aligned for a terminal.</summary>
    public static string Table(Scores scores)
    {
        StringBuilder text = new();
        if (scores is SegmentationScores s)
        {
            text.AppendLine("         global    image    paper");
            text.AppendLine(Invariant($"Dice   {s.DiceGlobal,8:F4} {s.DiceImage,8:F4} {s.DicePaper,8:F4}"));
            text.AppendLine(Invariant($"IoU    {s.IouGlobal,8:F4} {s.IouImage,8:F4} {s.IouPaper,8:F4}"));
        }
        else if (scores is ClassificationScores c)
        {
            int room = Math.Max(5, c.Classes.Max(k => k.Label.Length));
            text.AppendLine($"{"class".PadRight(room)} precision   recall       F1   images");
            foreach (ClassScores k in c.Classes)
                text.AppendLine(Invariant($"{k.Label.PadRight(room)}  {k.Precision,8:F4} {k.Recall,8:F4} {k.F1,8:F4} {k.Support,8}"));
            text.AppendLine(Invariant($"macro F1 {c.MacroF1:F4}, accuracy {c.Accuracy:F4}"));
        }
        return text.ToString();
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
            text.AppendLine("\nglobal: all pixels of the set pooled; image: mean over images, 1 where neither truth nor prediction has a lesion; paper: pooled by batch, then averaged.");
        }
        else if (scores is ClassificationScores c)
        {
            text.AppendLine(Invariant($"**Macro F1 {c.MacroF1:F4}, accuracy {c.Accuracy:P2}**\n"));
            text.AppendLine("| class | precision | recall | F1 | images |\n|---|---|---|---|---|");
            foreach (ClassScores k in c.Classes) text.AppendLine(Invariant($"| {k.Label} | {k.Precision:F4} | {k.Recall:F4} | {k.F1:F4} | {k.Support} |"));
            text.AppendLine("\n![confusion](confusion.svg)");
        }
        return text.ToString();
    }

    /// <summary>The measures as properties of an object.</summary>
    public static void Json(Utf8JsonWriter w, Scores scores)
    {
        if (scores is SegmentationScores s)
        {
            Three("dice", s.DiceGlobal, s.DiceImage, s.DicePaper);
            Three("iou", s.IouGlobal, s.IouImage, s.IouPaper);
        }
        else if (scores is ClassificationScores c)
        {
            JsonReport.Number(w, "accuracy", c.Accuracy);
            JsonReport.Number(w, "macro_f1", c.MacroF1);
        }

        void Three(string name, double global, double image, double paper)
        {
            w.WriteStartObject(name);
            JsonReport.Number(w, "global", global);
            JsonReport.Number(w, "image", image);
            JsonReport.Number(w, "paper", paper);
            w.WriteEndObject();
        }
    }

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
