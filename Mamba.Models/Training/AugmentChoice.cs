using Mamba.Models.Data.Augmentation;
using Mamba.Models.Tasks;
using Mamba.Models.Words;

namespace Mamba.Models.Training;

/// <summary>How training images are changed: by one of the words of <see cref="AugmentKind"/>, or by a list of operations.</summary>
public sealed record AugmentChoice
{
    private static readonly AugmentKind[] s_kinds = Enum.GetValues<AugmentKind>();

    private AugmentChoice(AugmentKind kind, SegmentationAugment? list) => (Kind, List) = (kind, list);

    /// <summary>The word; none where there is a list.</summary>
    public AugmentKind Kind { get; }

    /// <summary>The list; null where there is a word.</summary>
    public SegmentationAugment? List { get; }

    /// <summary>The choice of a word.</summary>
    /// <param name="kind">The word.</param>
    public static implicit operator AugmentChoice(AugmentKind kind) => FromAugmentKind(kind);

    /// <summary>The choice of a word.</summary>
    /// <param name="kind">The word.</param>
    /// <returns>The choice.</returns>
    public static AugmentChoice FromAugmentKind(AugmentKind kind) => new(kind, null);

    /// <summary>Reads what <see cref="ToString"/> writes.</summary>
    /// <param name="text">none, crop, basic, randaugment, or a list as <see cref="SegmentationAugment.Parse"/> reads it.</param>
    /// <returns>The choice.</returns>
    /// <exception cref="ArgumentException">It is something else; the message names the word, the nearest one and the range.</exception>
    public static AugmentChoice Parse(string text)
    {
        string[] words = [.. s_kinds.Select(RunArguments.Name)];
        if (Array.IndexOf(words, text) is >= 0 and var at) return s_kinds[at];
        string[] items = [.. text.Split(',', StringSplitOptions.TrimEntries).Select(item => item.Split(':')[0])];
        if (items.FirstOrDefault(words.Contains) is { } alone)
            throw new ArgumentException($"{alone} stands alone; expected one of {string.Join(", ", words)}, or a list without it");
        if (items is [var single] && !SegmentationAugment.Words.Contains(single))
        {
            string meant = EditDistance.Meant(single, [.. words, .. SegmentationAugment.Words]);
            throw new ArgumentException(
                $"unknown word '{single}'{(meant.Length > 0 ? $"{meant} Expected" : "; expected")} one of {string.Join(", ", words)}, "
                    + $"or a list of {string.Join(", ", SegmentationAugment.Words)}");
        }
        SegmentationAugment list = SegmentationAugment.Parse(text);
        return list == new SegmentationAugment { AtModelSize = true } ? AugmentKind.None : new AugmentChoice(AugmentKind.None, list);
    }

    /// <summary>The changes for a model.</summary>
    /// <param name="task">The model's task.</param>
    /// <param name="model">The model's name, for messages.</param>
    /// <returns>The changes; null for none.</returns>
    /// <exception cref="ArgumentException">The word is not for the task.</exception>
    public IAugmentation? For(ModelTask task, string model) => List ?? (IAugmentation?)((Kind, task) switch
    {
        (AugmentKind.None, _) => null,
        (AugmentKind.Basic, ModelTask.Segmentation) =>
            new SegmentationAugment { Flips = true, QuarterTurns = true, Brightness = 0.1f, Contrast = 0.1f },
        (AugmentKind.Crop, ModelTask.Classification) => new ClassificationAugment { Flip = false },
        (AugmentKind.Basic, ModelTask.Classification) => new ClassificationAugment(),
        (AugmentKind.RandAugment, ModelTask.Classification) => new ClassificationAugment { RandAugment = new RandAugment() },
        _ => throw new ArgumentException($"augmentation {Kind} is for classification; {model} is for segmentation"),
    });

    /// <summary>The word, or the list with all strengths.</summary>
    /// <returns>For instance "basic", or "flips,rotate:15".</returns>
    public override string ToString() => List?.ToString() ?? RunArguments.Name(Kind);
}
