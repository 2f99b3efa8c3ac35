namespace Mamba.Models.Blocks;

/// <summary>What a Mamba-2 layer has beside its sizes; the defaults are those of the published models.</summary>
public sealed record Mamba2Options
{
    /// <summary>Whether a norm follows the scan; without it the gate is in the scan.</summary>
    public bool RmsNorm { get; init; } = true;

    /// <summary>Whether that norm comes before the gate.</summary>
    public bool NormBeforeGate { get; init; }

    /// <summary>Added to that norm's mean square.</summary>
    public float NormEps { get; init; } = 1e-5f;

    /// <summary>Whether D is a number a channel instead of one a head.</summary>
    public bool DHasHeadDim { get; init; }

    /// <summary>The bounds of the steps.</summary>
    public (float Low, float High) DtLimit { get; init; } = (0f, float.PositiveInfinity);

    /// <summary>Whether the projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>Whether the convolution has a bias.</summary>
    public bool ConvBias { get; init; } = true;
}
