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

    /// <summary>The scaling of the input; null for values from 0 to 1.</summary>
    public Normalization? Normalization { get; init; }

    /// <summary>The seed of order and augmentation.</summary>
    public ulong Seed { get; init; }

    /// <summary>Whether each epoch has an order of its own, drawn by (seed, epoch); else the order given.</summary>
    public bool Shuffle { get; init; }

    /// <summary>Augmentation; null for none.</summary>
    public IAugmentation? Augment { get; init; }

    /// <summary>
    /// The alpha of MixUp (Zhang et al. 2018), for classes alone; null for none. As in timm, each picture and its target are mixed with those at the
    /// mirrored place of their batch, all by one share, drawn from Beta(alpha, alpha).
    /// </summary>
    public double? MixUp { get; init; }

    /// <summary>Batches that are made ahead of the one in use.</summary>
    public int Prefetch { get; init; } = 2;
}
