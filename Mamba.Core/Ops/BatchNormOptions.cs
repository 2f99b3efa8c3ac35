namespace Mamba.Core;

/// <summary>Options of batch normalization, with PyTorch's names and defaults. Reuse the record in hot paths, as layers do.</summary>
public sealed record BatchNormOptions
{
    /// <summary>Normalization by the running statistics.</summary>
    public static BatchNormOptions Default { get; } = new();

    /// <summary>Whether to normalize by the statistics of this batch and update the running ones.</summary>
    public bool Training { get; init; }

    /// <summary>The weight of this batch in the update of the running statistics.</summary>
    public float Momentum { get; init; } = 0.1f;

    /// <summary>Added to the variance.</summary>
    public float Eps { get; init; } = Ops.NormEps;

    /// <summary>Applied to the result. The backward pass recomputes it where needed, so that only the input is kept.</summary>
    public Activation Activation { get; init; }
}
