using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Configuration of <see cref="Mamba3Mixer"/>; names and defaults are those of state-spaces/mamba's mamba3 module.</summary>
/// <param name="DModel">Width of the tokens.</param>
/// <param name="DState">N, the state size of a head.</param>
/// <param name="Expand">Inner width over d_model.</param>
/// <param name="HeadDim">P, the number of channels per head.</param>
/// <param name="NGroups">G: heads of a group share B and C.</param>
public sealed record Mamba3Config(int DModel, int DState = 128, int Expand = 2, int HeadDim = 64, int NGroups = 1)
{
    /// <summary>The fraction of the state's components that are rotated: 0.5 or 1.</summary>
    public double RopeFraction { get; init; } = 0.5;

    /// <summary>The smallest initial step size: 0 &lt; min &lt;= max.</summary>
    public double DtMin { get; init; } = 0.001;

    /// <summary>The largest initial step size.</summary>
    public double DtMax { get; init; } = 0.1;

    /// <summary>Initial step sizes are clamped to at least this.</summary>
    public double DtInitFloor { get; init; } = 1e-4;

    /// <summary>The smallest -A.</summary>
    public double AFloor { get; init; } = 1e-4;

    /// <summary>Whether y is normalized over each head before the gate.</summary>
    public bool IsOutprojNorm { get; init; }

    /// <summary>Added to mean squares under the root of the norms.</summary>
    public double Eps { get; init; } = 1e-5;

    /// <summary>Inner width, H P.</summary>
    public int DInner => checked(Expand * DModel);

    /// <summary>H, the heads.</summary>
    public int Heads => DInner / HeadDim;

    /// <summary>S, the number of rotated pairs of components.</summary>
    public int RopeAngles => (int)(DState * RopeFraction) / 2;

    /// <summary>Rows of in_proj: z, x, B, C, dt, A, the logit of lambda, angles.</summary>
    internal int Projected => checked(2 * DInner + 2 * NGroups * DState + 3 * Heads + RopeAngles);

    /// <summary>Throws unless the sizes are consistent.</summary>
    /// <exception cref="ArgumentException">They are not.</exception>
    internal void Validate()
    {
        Check.Positive(DModel, "Mamba3Config", nameof(DModel));
        Check.Positive(DState, "Mamba3Config", nameof(DState));
        Check.Positive(Expand, "Mamba3Config", nameof(Expand));
        Check.Positive(HeadDim, "Mamba3Config", nameof(HeadDim));
        Check.Positive(NGroups, "Mamba3Config", nameof(NGroups));
        if (DInner % HeadDim != 0 || Heads % NGroups != 0)
            throw new ArgumentException(
                $"Mamba3Config: inner width {DInner}, headdim {HeadDim}, ngroups {NGroups}; "
                + "expected headdim to divide the inner width, and ngroups the heads.");
        if (RopeFraction is not (0.5 or 1))
            throw new ArgumentException($"Mamba3Config: rope_fraction {RopeFraction}; expected 0.5 or 1.");
        if (!(AFloor > 0)) throw new ArgumentException($"Mamba3Config: A_floor {AFloor}; expected more than 0.");
    }
}

/// <summary>The state of <see cref="Mamba3Mixer"/> between tokens, owned by the caller.</summary>
public sealed class Mamba3State : SequenceState
{
    /// <summary>The state before the first token: zeros.</summary>
    /// <param name="batch">Batch size.</param>
    /// <param name="config">The mixer's configuration.</param>
    /// <exception cref="ArgumentException">The configuration's sizes do not fit together.</exception>
    public Mamba3State(int batch, Mamba3Config config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        using MemoryScope _ = MemoryScope.Suspend();
        Memory = new Mamba3Memory(
            Tensor.Zeros(batch, config.Heads, config.RopeAngles), Tensor.Zeros(batch, config.Heads, config.DState, config.HeadDim),
            Tensor.Zeros(batch, config.Heads, config.DState), Tensor.Zeros(batch, config.Heads, config.HeadDim))
        {
            AngleRests = Tensor.Zeros(batch, config.Heads, config.RopeAngles),
        };
        Tensors = [Memory.Angles, Memory.AngleRests.Value, Memory.Ssm, Memory.Key, Memory.Value];
    }

    /// <summary>Angles, state, key and value of the scan.</summary>
    public Mamba3Memory Memory { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<Tensor> Tensors { get; }
}
