using Mamba.Core;

namespace Mamba.Models.Data.Augmentation;

/// <summary>
/// Augmentation for classification, in this order: crop, flip, RandAugment. The default is crop and flip. It acts at the model's size.
/// </summary>
public sealed record ClassificationAugment : IAugmentation
{
    /// <summary>Black pixels added on each side before a random crop of the picture's own size.</summary>
    /// <exception cref="ArgumentOutOfRangeException">It is not from 0 to 4096.</exception>
    public int CropPadding
    {
        get;
        init => field = value is >= 0 and <= 4096 ? value
            : throw new ArgumentOutOfRangeException(
                nameof(CropPadding), value, "ClassificationAugment: expected a padding from 0 to 4096 pixels.");
    } = 4;

    /// <summary>Flip left to right with probability one half.</summary>
    public bool Flip { get; init; } = true;

    /// <summary>RandAugment; null for none.</summary>
    public RandAugment? RandAugment { get; init; }

    /// <inheritdoc/>
    public bool AtModelSize => true;

    /// <inheritdoc/>
    public Sample Apply(Sample sample, ulong seed, int epoch, int index)
    {
        RandomStream random = new(seed, $"augment/{epoch}/{index}");
        // All three are sampled always, so that one option does not change the effect of another.
        int down = random.NextInt(2 * CropPadding + 1) - CropPadding, right = random.NextInt(2 * CropPadding + 1) - CropPadding;
        bool mirror = random.NextInt(2) == 1 && Flip;
        Image image = sample.Image;
        image = new CropWindow(right, down, image.Width, image.Height).Apply(image);
        image = new Symmetry(Transpose: false, mirror, Upend: false).Apply(image);
        return new ClassificationSample(RandAugment?.Apply(image, random) ?? image, ((ClassificationSample)sample).Label);
    }
}
