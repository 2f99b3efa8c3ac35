namespace Mamba.Models.Data.Splits;

/// <summary>How to split a data set.</summary>
public sealed record SplitOptions
{
    /// <summary>By image, by patient, or the official split.</summary>
    public SplitProtocol Protocol { get; init; }

    /// <summary>The seed of a random split.</summary>
    public ulong Seed { get; init; }

    /// <summary>The number of samples to choose at random first; null for all.</summary>
    public int? Limit { get; init; }

    /// <summary>Cross-validation: the fold that is for test; null for a split of 8 : 1 : 1.</summary>
    public Fold? Fold { get; init; }

    /// <summary>Whether classes, or images with and without a lesion, are spread evenly over the parts.</summary>
    public bool Stratified { get; init; } = true;
}
