using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Configuration of <see cref="Mamba2Mixer"/>; names and defaults are those of mamba_ssm's Mamba2.</summary>
/// <param name="DModel">Width of the tokens.</param>
/// <param name="DState">N, the number of states per channel.</param>
/// <param name="DConv">K, the number of taps of the causal convolution.</param>
/// <param name="Expand">Inner width over d_model.</param>
/// <param name="HeadDim">P, the number of channels per head.</param>
/// <param name="NGroups">G: heads of a group share B and C.</param>
public sealed record Mamba2Config(int DModel, int DState = 128, int DConv = 4, int Expand = 2, int HeadDim = 64, int NGroups = 1)
{
    /// <summary>The range of the uniform initial -A of each head: 0 &lt; low &lt;= high.</summary>
    public (double Low, double High) AInitRange { get; init; } = (1, 16);

    /// <summary>Whether D has one value per channel instead of one per head.</summary>
    public bool DHasHeadDim { get; init; }

    /// <summary>Whether a norm follows the scan; otherwise the gate is part of the scan.</summary>
    public bool RmsNorm { get; init; } = true;

    /// <summary>Whether that norm comes before the gate.</summary>
    public bool NormBeforeGate { get; init; }

    /// <summary>Added to the norm's mean square.</summary>
    public float Eps { get; init; } = Ops.NormEps;

    /// <summary>The range of the initial step sizes, 0 &lt; min &lt;= max, and their lower clamp.</summary>
    public double DtMin { get; init; } = 0.001;

    /// <inheritdoc cref="DtMin"/>
    public double DtMax { get; init; } = 0.1;

    /// <inheritdoc cref="DtMin"/>
    public double DtInitFloor { get; init; } = 1e-4;

    /// <summary>The bounds of the steps.</summary>
    public (float Low, float High) DtLimit { get; init; } = (0f, float.PositiveInfinity);

    /// <summary>Whether the projections have biases.</summary>
    public bool Bias { get; init; }

    /// <summary>Whether the convolution has a bias.</summary>
    public bool ConvBias { get; init; } = true;

    /// <summary>Inner width, H P of the scan.</summary>
    public int DInner => Expand * DModel;

    /// <summary>H, the heads.</summary>
    public int NHeads => DInner / HeadDim;

    /// <summary>Channels of the convolution: x, B and C.</summary>
    public int ConvDim => DInner + 2 * NGroups * DState;
}

/// <summary>The state of <see cref="Mamba2Mixer"/> between tokens, owned by the caller.</summary>
public sealed class Mamba2State : SequenceState
{
    /// <summary>The state before the first token: zeros.</summary>
    /// <param name="batch">Batch size.</param>
    /// <param name="config">The mixer's configuration.</param>
    public Mamba2State(int batch, Mamba2Config config)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        Conv = Tensor.Zeros(batch, config.DConv - 1, config.ConvDim);
        Ssm = Tensor.Zeros(batch, config.NHeads, config.HeadDim, config.DState);
        Tensors = [Conv, Ssm];
    }

    /// <summary>(B, K - 1, H P + 2 G N): the last inputs of the convolution, oldest first.</summary>
    public Tensor Conv { get; }

    /// <summary>(B, H, P, N): the state of the scan.</summary>
    public Tensor Ssm { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<Tensor> Tensors { get; }
}

/// <summary>
/// The Mamba-2 block (Dao and Gu 2024, figure 6): in_proj to z, x, B, C and dt, causal convolution and SiLU on x, B and C, the state-space
/// duality layer, gated norm, out_proj. Parameters have the names, order and initial values of mamba_ssm's Mamba2.
/// </summary>
public sealed class Mamba2Mixer : ISequenceMixer
{
    private readonly Mamba2Config _config;
    private readonly string _layer;
    private readonly Tensor _dtBias, _aLog, _d, _convWeight;
    private readonly Tensor? _convBias, _normWeight;
    private readonly Linear _inProj, _outProj;
    private readonly DerivedWeight _a;
    private readonly GatedNormOptions _norm;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentException">
    /// A size is not positive, heads do not divide the inner width, or groups do not divide the heads. Or the range of the initial -A, or
    /// of the step sizes, is not positive or not in order.
    /// </exception>
    public Mamba2Mixer(Scope scope, Mamba2Config config)
    {
        MambaMixer.CheckSizes("Mamba2Mixer", config.DModel, config.DState, config.DConv, config.Expand);
        if (config.HeadDim <= 0 || config.DInner % config.HeadDim != 0 || config.NGroups <= 0 || config.NHeads % config.NGroups != 0)
            throw new ArgumentException(
                $"Mamba2Mixer: inner width {config.DInner}, heads of {config.HeadDim} and {config.NGroups} groups; expected heads that "
                + "divide the inner width, and groups that divide the number of heads.", nameof(config));
        Check.PositiveRange(config.AInitRange.Low, config.AInitRange.High, "Mamba2Mixer: the initial -A");
        (_config, _layer) = (config, scope.Path);
        // Declared in the order of mamba_ssm's state_dict: bare parameters first, then modules.
        int heads = config.NHeads;
        _dtBias = scope.Parameter(
            "dt_bias", Init.InverseSoftplusOfLogUniform(config.DtMin, config.DtMax, config.DtInitFloor), heads);
        _aLog = scope.Parameter("A_log", LogOfUniform(config.AInitRange), heads);
        _d = scope.Parameter("D", Init.Ones, config.DHasHeadDim ? config.DInner : heads);
        _inProj = new Linear(scope / "in_proj", config.DModel, config.DInner + config.ConvDim + heads, config.Bias);
        Scope conv = scope / "conv1d";
        _convWeight = conv.Parameter("weight", Init.KaimingUniform(config.DConv), config.ConvDim, 1, config.DConv);
        _convBias = config.ConvBias ? conv.Parameter("bias", Init.KaimingUniform(config.DConv), config.ConvDim) : null;
        _normWeight = config.RmsNorm ? (scope / "norm").Parameter("weight", Init.Ones, config.DInner) : null;
        _outProj = new Linear(scope / "out_proj", config.DInner, config.DModel, config.Bias);
        _a = new DerivedWeight(_aLog, static logarithm => Ops.Scale(Ops.Exp(logarithm), -1f));
        _norm = new GatedNormOptions
        {
            Eps = config.Eps,
            GroupSize = config.DInner / config.NGroups,
            NormBeforeGate = config.NormBeforeGate,
        };
    }

    /// <summary>Mixes a whole sequence.</summary>
    /// <param name="x">(B, L, d_model).</param>
    /// <returns>(B, L, d_model).</returns>
    public Tensor Forward(Tensor x) => Forward(x, null);

    /// <inheritdoc/>
    public Tensor Forward(Tensor x, Tensor? residual, SequenceState? state = null)
    {
        Check.That(
            x.Shape.Rank == 3 && x.Shape[2] == _config.DModel, "Mamba2Mixer", $"{x.Shape}; expected tokens (B, L, {_config.DModel})");
        Check.Residual(x, residual, "Mamba2Mixer");
        Mamba2State? memory = state is null ? null : Checked("Mamba2Mixer", state, x.Shape[0]);
        using MemoryScope scope = new();
        return scope.Return(_outProj.Forward(Mix(x, memory), residual));
    }

    /// <inheritdoc/>
    public SequenceState NewState(int batch) => new Mamba2State(batch, _config);

    /// <inheritdoc/>
    public Tensor Step(Tensor x, SequenceState state)
    {
        Check.That(
            x.Shape.Rank == 2 && x.Shape[1] == _config.DModel, "Mamba2Mixer.Step", $"{x.Shape}; expected a token (B, {_config.DModel})");
        int batch = x.Shape[0];
        Mamba2State memory = Checked("Mamba2Mixer.Step", state, batch);
        using MemoryScope scope = new();
        return scope.Return(_outProj.Forward(Mix(x.Reshape(batch, 1, _config.DModel), memory).Reshape(batch, _config.DInner)));
    }

    private (float Low, float High)? DtLimit => _config.DtLimit is (0f, float.PositiveInfinity) ? null : _config.DtLimit;

    private Mamba2State Checked(string name, SequenceState state, int batch)
    {
        Mamba2Config c = _config;
        Mamba2State? own = state as Mamba2State;
        Check.That(
            own is not null && own.Conv.Shape == new Shape(batch, c.DConv - 1, c.ConvDim)
                && own.Ssm.Shape == new Shape(batch, c.NHeads, c.HeadDim, c.DState),
            name,
            $"a state of {string.Join(" and ", state.Tensors.Select(t => t.Shape))}; expected one of this block and batch {batch}");
        return own!;
    }

    /// <summary>Everything between the projections: (B, L, d_inner). Reads and updates the state.</summary>
    private Tensor Mix(Tensor x, Mamba2State? memory)
    {
        Mamba2Config c = _config;
        int batch = x.Shape[0], length = x.Shape[1], heads = c.NHeads;
        // Products with views of in_proj's rows: splitting one product would also copy the gate.
        Tensor z = Project(x, 0, c.DInner), dt = Project(x, c.DInner + c.ConvDim, heads);
        Tensor inputs = Project(x, c.DInner, c.ConvDim);
        ConvWindow? window = memory is null ? null : new ConvWindow(memory.Conv, inputs);
        Tensor mixed = window?.Convolve(_convWeight, _convBias) ?? Ops.CausalConv1d(inputs, _convWeight, _convBias, Activation.Silu);
        int factors = c.NGroups * c.DState;
        TensorList parts = Ops.Split(mixed, c.DInner, factors, factors); // x, B, C: (B, L, ...)
        Tensor factorsB = parts[1].Reshape(batch, length, c.NGroups, c.DState), a = _a.Value;
        Tensor factorsC = parts[2].Reshape(batch, length, c.NGroups, c.DState);
        DualityOptions options = new()
        {
            D = c.DHasHeadDim ? _d.Reshape(heads, c.HeadDim) : _d,
            Z = c.RmsNorm ? null : z.Reshape(batch, length, heads, c.HeadDim),
            DeltaBias = _dtBias,
            DeltaSoftplus = true,
            DtLimit = DtLimit,
            InitialState = memory?.Ssm,
            UpdateState = true,
        };
        LayerObserver.Current?.Scan(Observed(dt, a, factorsB, factorsC));
        (Tensor y, Tensor last) = Ops.StateSpaceDuality(
            parts[0].Reshape(batch, length, heads, c.HeadDim), dt, a, factorsB, factorsC, options);
        window?.MoveState();
        if (memory is not null && last != memory.Ssm) last.Span.CopyTo(memory.Ssm.Span);
        Tensor rows = y.Reshape(batch, length, c.DInner);
        return _normWeight is { } weight ? Ops.RmsNormGated(rows, weight, z, _norm) : rows;
    }

    private ObservedSelectiveScan Observed(Tensor dt, Tensor a, Tensor b, Tensor c) => new()
    {
        Layer = _layer,
        Delta = dt,
        DeltaBias = _dtBias,
        DeltaLimit = DtLimit,
        A = a,
        B = b,
        C = c,
    };

    private Tensor Project(Tensor x, int first, int count) =>
        Ops.Linear(x, Ops.Slice(_inProj.Weight, 0, first, count), _inProj.Bias is { } bias ? Ops.Slice(bias, 0, first, count) : null);

    /// <summary>The logarithm of uniform numbers.</summary>
    private static Initializer LogOfUniform((double Low, double High) range) => (values, random) =>
    {
        foreach (ref float value in values) value = (float)Math.Log(random.NextDouble(range.Low, range.High));
    };
}
