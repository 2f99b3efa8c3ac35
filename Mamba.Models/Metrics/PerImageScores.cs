using System.Globalization;

namespace Mamba.Models.Metrics;

/// <summary>The scores of one class in one image. What is not defined, such as the sensitivity where the class is absent, is NaN.</summary>
/// <param name="Name">The name of the image.</param>
/// <param name="Group">Its patient or volume; empty without groups.</param>
/// <param name="Label">The name of the class.</param>
/// <param name="Counts">Its pixels; Dice and the other ratios follow from them.</param>
/// <param name="Hausdorff95">See <see cref="HausdorffDistance"/>; NaN if it is not measured, or a region is empty.</param>
public sealed record PerImageScores(string Name, string Group, string Label, PixelCounts Counts, double Hausdorff95)
{
    /// <summary>The titles of the columns of <see cref="Write"/>.</summary>
    public const string Header = "image,group,class,dice,iou,sensitivity,specificity,precision,hd95,truth_pixels,predicted_pixels,pixels";

    /// <summary>Writes rows as CSV (RFC 4180) with a header; fields of undefined scores are empty.</summary>
    /// <param name="writer">Where to.</param>
    /// <param name="rows">The rows.</param>
    public static void Write(TextWriter writer, IEnumerable<PerImageScores> rows)
    {
        writer.Write(Header + "\n");
        foreach (PerImageScores row in rows)
        {
            PixelCounts c = row.Counts;
            string[] fields =
            [
                Text(row.Name), Text(row.Group), Text(row.Label), Number(c.Dice), Number(c.Iou), Number(c.Sensitivity),
                Number(c.Specificity), Number(c.Precision), Number(row.Hausdorff95), Whole(c.Truth), Whole(c.Predicted), Whole(c.Pixels),
            ];
            writer.Write(string.Join(',', fields) + "\n");
        }
    }

    private static string Text(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"")}\"";

    private static string Number(double value) => double.IsNaN(value) ? "" : value.ToString("F6", CultureInfo.InvariantCulture);

    private static string Whole(long value) => value.ToString(CultureInfo.InvariantCulture);
}
