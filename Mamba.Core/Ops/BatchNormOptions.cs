namespace Mamba.Core;

/// <summary>The options of batch normalization, with PyTorch's names and defaults. Keep the record where the operator runs often, as
/// layers do.</summary>
public sealed record BatchNormOptions
{
    /// <summary>Normalization by the running statistics.</summary>
    public static BatchNormOptions Default { get; } = new();

    /// <summary>Whether to use, and learn from, the statistics of this batch.</summary>
    public bool Training { get; init; }

    /// <summary>The weight of this batch in the running statistics.</summary>
    public float Momentum { get; init; } = 0.1f;

    /// <summary>Added to the variance.</summary>
    public float Eps { get; init; } = Ops.NormEps;

    /// <summary>What is applied to the result. It is computed again for a backward pass that needs it, so that the input alone is
    /// kept.</summary>
    public Activation Activation { get; init; }
}
