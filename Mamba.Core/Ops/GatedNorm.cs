namespace Mamba.Core;

/// <summary>Options of <see cref="Ops.RmsNormGated"/>.</summary>
public sealed record GatedNormOptions
{
    /// <summary>One group, gated before normalization.</summary>
    public static GatedNormOptions Default { get; } = new();

    /// <summary>Added to the mean square.</summary>
    public float Eps { get; init; } = Ops.NormEps;

    /// <summary>Channels per group; each group is normalized separately. Null for all channels.</summary>
    public int? GroupSize { get; init; }

    /// <summary>Whether the gate comes after the normalization.</summary>
    public bool NormBeforeGate { get; init; }
}

public static unsafe partial class Ops
{
    /// <summary>
    /// The gated norm of Mamba-2 (mamba_ssm's RMSNormGated): g / sqrt(mean(g^2) + eps) * weight of g = x silu(z); or, with the norm first,
    /// x / sqrt(mean(x^2) + eps) * weight * silu(z).
    /// </summary>
    /// <param name="x">(..., D).</param>
    /// <param name="weight">(D).</param>
    /// <param name="z">(..., D), the gate; or null.</param>
    /// <param name="options">Groups, and the order; <see cref="GatedNormOptions.Default"/> if null.</param>
    /// <returns>(..., D).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together, or the groups do not divide D.</exception>
    public static Tensor RmsNormGated(Tensor x, Tensor weight, Tensor? z = null, GatedNormOptions? options = null)
    {
        options ??= GatedNormOptions.Default;
        Check.That(x.Shape.Rank > 0, "RmsNormGated", $"input {x.Shape}; expected (..., D)");
        int channels = x.Shape[-1], size = options.GroupSize ?? channels;
        Check.Extents(weight, "RmsNormGated", "weight", channels);
        Check.That(
            size == channels || (size > 0 && channels % size == 0), "RmsNormGated", $"groups of {size} for {channels} channels");
        if (z is { } gate) Check.SameShape(x, gate, "RmsNormGated");
        bool gated = z is not null;
        Tensor input = gated && !options.NormBeforeGate ? Multiply(x, Silu(z!.Value)) : x, y;
        if (size == channels) y = NormalizeRows("RmsNormGated", input, weight, null, options.Eps, center: false);
        else
        {
            Tensor groups = input.Reshape(input.Count / size, size);
            y = Multiply(NormalizeRows("RmsNormGated", groups, null, null, options.Eps, center: false).Reshape(x.Shape), weight);
        }
        return gated && options.NormBeforeGate ? Multiply(y, Silu(z!.Value)) : y;
    }
}
