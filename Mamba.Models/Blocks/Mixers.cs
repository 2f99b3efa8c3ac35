using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>The kinds of token mixers.</summary>
public enum MixerKind
{
    /// <summary>Mamba (Gu and Dao 2023): a selective scan with a state for each channel.</summary>
    Mamba,

    /// <summary>Mamba-2 (Dao and Gu 2024): heads with one decay each.</summary>
    Mamba2,

    /// <summary>Mamba-3 (Lahoti et al. 2026): trapezoidal discretization and rotated states.</summary>
    Mamba3,

    /// <summary>S4D (Gu et al. 2022): a diagonal, input-independent system.</summary>
    S4d,
}

/// <summary>Configuration of a mixer. A null size means the kind's default; sizes that the kind does not have are ignored.</summary>
/// <param name="Kind">The kind.</param>
/// <param name="Width">Channels of a token, d_model.</param>
public sealed record MixerConfig(MixerKind Kind, int Width)
{
    /// <summary>N, the number of states per channel.</summary>
    public int? States { get; init; }

    /// <summary>K, the number of taps of the causal convolution.</summary>
    public int Taps { get; init; } = 4;

    /// <summary>Inner width over the width of a token.</summary>
    public int Expand { get; init; } = 2;

    /// <summary>Channels per head.</summary>
    public int? HeadWidth { get; init; }

    /// <summary>Groups of heads that share B and C.</summary>
    public int Groups { get; init; } = 1;

    /// <summary>What Mamba-2 has beside its sizes.</summary>
    public Mamba2Options Mamba2 { get; init; } = new();

    /// <summary>
    /// Configuration of the vision models' mixers, whose tokens may have only two channels: 16 states, like their Mamba, and heads of up to
    /// 64 channels that divide the inner width.
    /// </summary>
    /// <param name="kind">The kind.</param>
    /// <param name="width">Channels of a token.</param>
    /// <returns>The configuration.</returns>
    public static MixerConfig OfImages(MixerKind kind, int width)
    {
        MixerConfig config = new(kind, width) { States = 16 };
        int inner = config.Expand * width;
        return config with { HeadWidth = Math.Min(64, inner & -inner) }; // the largest power of two that divides it
    }
}

/// <summary>Creates mixers by kind.</summary>
public static class Mixers
{
    /// <summary>Declares a mixer in a scope.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The kind and its sizes.</param>
    /// <returns>The layer.</returns>
    /// <exception cref="ArgumentException">A size is not positive, or the kind is unknown.</exception>
    public static ISequenceMixer Create(Scope scope, MixerConfig config)
    {
        foreach ((string name, int? size) in new (string, int?)[]
            {
                ("width", config.Width), ("states", config.States), ("taps", config.Taps), ("expand", config.Expand),
                ("head width", config.HeadWidth), ("groups", config.Groups),
            })
            if (size <= 0) throw new ArgumentException($"{config.Kind}: {name} is {size}, expected a positive number");
        return config.Kind switch
        {
            MixerKind.Mamba => new MambaMixer(scope, new MambaConfig(config.Width, config.States ?? 16, config.Taps, config.Expand)),
            MixerKind.Mamba2 => new Mamba2Mixer(scope, Mamba2(config)),
            MixerKind.Mamba3 => new Mamba3Mixer(
                scope, new Mamba3Config(config.Width, config.States ?? 128, config.Expand, config.HeadWidth ?? 64, config.Groups)),
            MixerKind.S4d => new S4dMixer(scope, new S4dConfig(config.Width, config.States ?? 64, config.Taps, config.Expand)),
            _ => throw new ArgumentException($"mixer {config.Kind} is unknown; expected {string.Join(", ", Enum.GetNames<MixerKind>())}"),
        };
    }

    private static Mamba2Config Mamba2(MixerConfig config)
    {
        int states = config.States ?? 128, headWidth = config.HeadWidth ?? 64;
        Mamba2Options options = config.Mamba2;
        return new Mamba2Config(config.Width, states, config.Taps, config.Expand, headWidth, config.Groups)
        {
            RmsNorm = options.RmsNorm,
            NormBeforeGate = options.NormBeforeGate,
            Eps = options.NormEps,
            DHasHeadDim = options.DHasHeadDim,
            DtLimit = options.DtLimit,
            Bias = options.Bias,
            ConvBias = options.ConvBias,
        };
    }
}
