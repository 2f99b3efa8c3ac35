namespace Mamba.Models.Metrics;

/// <summary>The scores of a set of images that are segmented into several classes; see <see cref="MultiClassMetrics"/>.</summary>
/// <param name="MeanDice">The mean Dice of the classes that occur in the truth, without the background; NaN if none does.</param>
/// <param name="MeanIou">The mean IoU of the classes that occur in the truth, with the background, as Pascal VOC counts.</param>
/// <param name="DiceImage">
/// The mean over images of the mean Dice of the classes that occur in the image's truth or prediction, without the background. Images
/// without such a class are left out.
/// </param>
/// <param name="DiceImages">The images in that mean.</param>
/// <param name="Detail">Scores by class, by image and by group.</param>
public sealed record MultiClassScores(double MeanDice, double MeanIou, double DiceImage, int DiceImages, SegmentationDetail Detail) : Scores
{
    /// <inheritdoc/>
    /// <remarks>After the means, Dice and IoU of each class, as dice_NAME with letters and digits of the name alone.</remarks>
    public override IReadOnlyList<(string Name, double Value)> Values
    {
        get
        {
            List<(string, double)> values =
            [
                ("mean_dice", MeanDice), ("mean_iou", MeanIou), ("pixel_accuracy", Detail.PixelAccuracy), ("dice_image", DiceImage),
            ];
            for (int c = 0; c < Detail.Classes.Count; c++)
            {
                string word = Word(c);
                values.Add(("dice_" + word, Detail.Classes[c].Dice));
                values.Add(("iou_" + word, Detail.Classes[c].Iou));
            }
            return values;
        }
    }

    /// <summary>A class's name as part of a column's name, with its index where two classes would share it.</summary>
    private string Word(int index)
    {
        string word = Plain(Detail.Classes[index].Label);
        bool taken = word is "image" or "" || Detail.Classes.Where((c, i) => i != index && Plain(c.Label) == word).Any();
        return taken ? string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{word}{index}") : word;

        static string Plain(string label) => string.Concat(label.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_'));
    }
}
