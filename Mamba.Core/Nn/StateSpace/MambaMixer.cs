using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Configuration of <see cref="MambaMixer"/>; names are those of mamba_ssm.</summary>
/// <param name="DModel">Width of the tokens.</param>
/// <param name="DState">N, the number of states per channel.</param>
/// <param name="DConv">K, the number of taps of the causal convolution.</param>
/// <param name="Expand">Inner width over d_model.</param>
public sealed record MambaConfig(int DModel, int DState = 16, int DConv = 4, int Expand = 2)
{
    /// <summary>Whether the sequence is also scanned backwards, with separate weights (Vision Mamba's "v2").</summary>
    public bool Bidirectional { get; init; }

    /// <summary>Whether the sum of both directions is halved. It has no effect unless the block is <see cref="Bidirectional"/>.</summary>
    public bool DivideOut { get; init; }

    /// <summary>The inner width of a pruned block; null for <see cref="Expand"/> d_model.</summary>
    public int? InnerWidth { get; init; }

    /// <summary>The rank of a pruned block's projection to dt; null for ceil(d_model / 16).</summary>
    public int? Rank { get; init; }

    /// <summary>Inner width, D of the scan.</summary>
    public int DInner => InnerWidth ?? Expand * DModel;

    /// <summary>Rank of the projection to dt.</summary>
    public int DtRank => Rank ?? (DModel + 15) / 16;
}

/// <summary>The state of <see cref="MambaMixer"/> between tokens, owned by the caller.</summary>
public sealed class MambaState : SequenceState
{
    /// <summary>The state before the first token: zeros.</summary>
    /// <param name="batch">Batch size.</param>
    /// <param name="config">The mixer's configuration.</param>
    public MambaState(int batch, MambaConfig config)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        Conv = Tensor.Zeros(batch, config.DConv - 1, config.DInner);
        Ssm = Tensor.Zeros(batch, config.DInner, config.DState);
        Tensors = [Conv, Ssm];
    }

    /// <summary>(B, K - 1, D): the last inputs of the convolution, oldest first.</summary>
    public Tensor Conv { get; }

    /// <summary>(B, D, N): the state of the scan.</summary>
    public Tensor Ssm { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<Tensor> Tensors { get; }
}

/// <summary>
/// The Mamba block (Gu and Dao 2023, figure 3): in_proj to x and z, causal convolution and SiLU on x, selective scan gated by z, out_proj.
/// Parameters have the names and initial values of mamba_ssm: S4D-real A (A_log = log 1 ... log N), D = 1, dt bias by inverse softplus.
/// </summary>
public sealed class MambaMixer : ISequenceMixer
{
    private readonly MambaConfig _config;
    private readonly Linear _inProj;
    private readonly Linear _outProj;
    private readonly DerivedWeight _halfOutProj;
    private readonly Direction _forward;
    private readonly Direction? _backward;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is not positive.</exception>
    public MambaMixer(Scope scope, MambaConfig config)
    {
        CheckSizes("MambaMixer", config.DModel, config.DState, config.DConv, config.Expand);
        _config = config = config with
        {
            InnerWidth = scope.Width(config.DInner),
            Rank = (scope / "dt_proj").Width(config.DtRank),
        };
        // Declared in the order of mamba_ssm's state_dict: bare parameters first, then modules.
        (Tensor aLog, Tensor d) = Direction.Bare(scope, config);
        (Tensor ALog, Tensor D)? back = config.Bidirectional ? Direction.Bare(scope, config, reverse: true) : null;
        _inProj = new Linear(scope / "in_proj", config.DModel, 2 * config.DInner, bias: false);
        _forward = new Direction(scope, config, aLog, d);
        if (back is { } b) _backward = new Direction(scope, config, b.ALog, b.D, reverse: true);
        _outProj = new Linear(scope / "out_proj", config.DInner, config.DModel, bias: false);
        _halfOutProj = new DerivedWeight(_outProj.Weight, static weight => Ops.Scale(weight, 0.5f));
    }

    /// <summary>Mixes a whole sequence.</summary>
    /// <param name="x">(B, L, d_model).</param>
    /// <returns>(B, L, d_model).</returns>
    public Tensor Forward(Tensor x) => Forward(x, null);

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">A state is given, but a bidirectional block needs the whole sequence.</exception>
    public Tensor Forward(Tensor x, Tensor? residual, SequenceState? state = null)
    {
        Check.Residual(x, residual, "MambaMixer");
        MambaState? memory = state is null ? null : Checked("MambaMixer", state, x.Shape[0]);
        using MemoryScope scope = new();
        (Tensor u, Tensor z) = Project(x);
        Tensor y = memory is null ? _forward.Scan(u, z) : _forward.Resume(u, z, memory);
        if (_backward is not null) y = _backward.Scan(u, z, y);
        // Halving the weight halves the sum, to the last bit.
        return scope.Return(
            _config is { Bidirectional: true, DivideOut: true }
                ? Ops.Linear(y, _halfOutProj.Value, residual: residual)
                : _outProj.Forward(y, residual));
    }

    /// <inheritdoc/>
    public SequenceState NewState(int batch) => new MambaState(batch, _config);

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The block is bidirectional: it needs the whole sequence.</exception>
    public Tensor Step(Tensor x, SequenceState state)
    {
        Check.That(
            x.Shape.Rank == 2 && x.Shape[1] == _config.DModel, "MambaMixer.Step", $"{x.Shape}; expected a token (B, {_config.DModel})");
        int batch = x.Shape[0];
        MambaState memory = Checked("MambaMixer.Step", state, batch);
        using MemoryScope scope = new();
        (Tensor u, Tensor z) = Project(x.Reshape(batch, 1, _config.DModel));
        Tensor y = _forward.Resume(u, z, memory);
        return scope.Return(_outProj.Forward(y.Reshape(batch, _config.DInner)));
    }

    internal static void CheckSizes(string name, int width, int states, int kernel, int expand)
    {
        Check.Positive(width, name, nameof(MambaConfig.DModel));
        Check.Positive(states, name, nameof(MambaConfig.DState));
        Check.Positive(kernel, name, nameof(MambaConfig.DConv));
        Check.Positive(expand, name, nameof(MambaConfig.Expand));
    }

    private MambaState Checked(string name, SequenceState state, int batch)
    {
        if (_backward is not null) throw new InvalidOperationException("MambaMixer: a bidirectional block needs the whole sequence.");
        MambaState? own = state as MambaState;
        Check.That(
            own is not null && own.Conv.Shape == new Shape(batch, _config.DConv - 1, _config.DInner)
                && own.Ssm.Shape == new Shape(batch, _config.DInner, _config.DState),
            name,
            $"a state of {string.Join(" and ", state.Tensors.Select(t => t.Shape))}; expected one of this block and batch {batch}");
        return own!;
    }

    /// <summary>u and the gate z, (B, L, D). Each is a product with a view of in_proj's rows; splitting one product would copy.</summary>
    private (Tensor U, Tensor Z) Project(Tensor x)
    {
        int inner = _config.DInner;
        Tensor weight = _inProj.Weight;
        return (Ops.Linear(x, Ops.Slice(weight, 0, 0, inner)), Ops.Linear(x, Ops.Slice(weight, 0, inner, inner)));
    }

    /// <summary>One scan direction with its weights.</summary>
    private sealed class Direction(Scope scope, MambaConfig c, Tensor aLog, Tensor d, bool reverse = false)
    {
        private readonly string _layer = scope.Path;

        private readonly Tensor _convWeight =
            (scope / Name("conv1d", reverse)).Parameter("weight", Init.KaimingUniform(c.DConv), c.DInner, 1, c.DConv);

        private readonly Tensor _convBias = (scope / Name("conv1d", reverse)).Parameter("bias", Init.KaimingUniform(c.DConv), c.DInner);
        private readonly Linear _xProj = new(scope / Name("x_proj", reverse), c.DInner, c.DtRank + 2 * c.DState, bias: false);
        private readonly Linear _dtProj = new(
            scope / Name("dt_proj", reverse), c.DtRank, c.DInner, weightInit: Init.Uniform(1 / Math.Sqrt(c.DtRank)),
            biasInit: Init.InverseSoftplusOfLogUniform(1e-3, 0.1, floor: 1e-4));

        private readonly DerivedWeight _a = new(aLog, static logarithm => Ops.Scale(Ops.Exp(logarithm), -1f));

        /// <summary>A_log and D, declared before the modules.</summary>
        public static (Tensor ALog, Tensor D) Bare(Scope scope, MambaConfig c, bool reverse = false) =>
            (scope.Parameter(Name("A", reverse) + "_log", Init.LogOfIndex(c.DState), c.DInner, c.DState),
            scope.Parameter(Name("D", reverse), Init.Ones, c.DInner));

        /// <summary>The output of this direction, plus that of the other where it is given.</summary>
        public Tensor Scan(Tensor u, Tensor z, Tensor? other = null) =>
            SelectiveScan(Ops.CausalConv1d(u, _convWeight, _convBias, Activation.Silu, reverse), z, null, other).Output;

        /// <summary>Scans the next tokens, starting from the state.</summary>
        public Tensor Resume(Tensor u, Tensor z, MambaState state)
        {
            ConvWindow window = new(state.Conv, u);
            (Tensor y, Tensor last) = SelectiveScan(window.Convolve(_convWeight, _convBias), z, state.Ssm);
            window.MoveState();
            last.Span.CopyTo(state.Ssm.Span);
            return y;
        }

        private static string Name(string name, bool reverse) => reverse ? name + "_b" : name;

        private (Tensor Output, Tensor LastState) SelectiveScan(Tensor x, Tensor z, Tensor? initialState, Tensor? residual = null)
        {
            using MemoryScope scope = new();
            TensorList projected = Ops.Split(_xProj.Forward(x), c.DtRank, c.DState, c.DState); // dt, B, C: (B, L, ...)
            Tensor delta = Ops.Linear(projected[0], _dtProj.Weight), a = _a.Value; // the bias of delta is added inside the scan
            LayerObserver.Current?.Scan(new ObservedSelectiveScan
            {
                Layer = _layer,
                Reverse = reverse,
                Delta = delta,
                DeltaBias = _dtProj.Bias!.Value,
                A = a,
                B = projected[1],
                C = projected[2],
            });
            ScanOptions options = new()
            {
                D = d,
                Z = z,
                DeltaBias = _dtProj.Bias,
                DeltaSoftplus = true,
                InitialState = initialState,
                Residual = residual,
                Reverse = reverse,
            };
            (Tensor y, Tensor last) = Ops.SelectiveScan(x, delta, a, projected[1], projected[2], options);
            return (scope.Return(y), scope.Return(last));
        }
    }
}
