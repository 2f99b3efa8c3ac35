using Mamba.Models.Data.Augmentation;

namespace Mamba.Models.Data.Loading;

/// <summary>How samples become batches.</summary>
public sealed record BatchOptions
{
    /// <summary>Samples in a batch; the last one may be smaller.</summary>
    public int BatchSize { get; init; } = 2;

    /// <summary>Rows of the model's input.</summary>
    public int Height { get; init; } = 256;

    /// <summary>Columns of the model's input.</summary>
    public int Width { get; init; } = 256;

    /// <summary>Channels of the model's input: 1 or 3.</summary>
    public int Channels { get; init; } = 3;

    /// <summary>The normalization of the input; null for values from 0 to 1.</summary>
    public Normalization? Normalization { get; init; }

    /// <summary>How a picture of another size is resized.</summary>
    public Resampling Resampling { get; init; }

    /// <summary>How the values of a picture become numbers from 0 to 1, before the normalization.</summary>
    public Intensity Intensity { get; init; } = Intensity.None;

    /// <summary>The seed of order and augmentation.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether each epoch is shuffled, keyed by (seed, epoch). Otherwise the given order is kept.</summary>
    public bool Shuffle { get; init; }

    /// <summary>
    /// Whether an epoch has as many samples of each <see cref="IImageData.Stratum"/>: those of a rare one come several times, those of a
    /// frequent one in turn over the epochs. The number of samples stays.
    /// </summary>
    public bool Balance { get; init; }

    /// <summary>
    /// Rows and columns of a random square that is cut out of each picture before all else; null for whole pictures. A smaller picture lies
    /// at random in a square that is black around it, and background in the mask. Another square in each epoch.
    /// </summary>
    public int? Crop { get; init; }

    /// <summary>Augmentation; null for none.</summary>
    public IAugmentation? Augment { get; init; }

    /// <summary>
    /// The alpha of MixUp (Zhang et al. 2018) for classification; null for none. As in timm, sample i of a batch is mixed with sample n - 1
    /// - i. One share, sampled from Beta(alpha, alpha), serves the whole batch.
    /// </summary>
    public double? MixUp { get; init; }

    /// <summary>The number of batches to prefetch.</summary>
    public int Prefetch { get; init; } = 2;
}
