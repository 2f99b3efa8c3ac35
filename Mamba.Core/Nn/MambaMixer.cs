using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>What a <see cref="MambaMixer"/> is made of; the names are those of mamba_ssm.</summary>
/// <param name="DModel">Width of the tokens.</param>
/// <param name="DState">N, the states of a channel.</param>
/// <param name="DConv">K, the taps of the causal convolution.</param>
/// <param name="Expand">Inner width over d_model.</param>
public sealed record MambaConfig(int DModel, int DState = 16, int DConv = 4, int Expand = 2)
{
    /// <summary>Whether the sequence is also scanned from its end, with weights of its own (Vision Mamba's "v2").</summary>
    public bool Bidirectional { get; init; }

    /// <summary>Whether the sum of both directions is halved.</summary>
    public bool DivideOut { get; init; }

    /// <summary>Inner width, D of the scan.</summary>
    public int DInner => Expand * DModel;

    /// <summary>Rank of the projection to dt.</summary>
    public int DtRank => (DModel + 15) / 16;
}

/// <summary>What a <see cref="MambaMixer"/> remembers between tokens. It belongs to the caller, across steps.</summary>
public sealed class MambaState
{
    /// <summary>The state before the first token: zeros.</summary>
    /// <param name="batch">Sequences side by side.</param>
    /// <param name="config">The mixer's configuration.</param>
    public MambaState(int batch, MambaConfig config)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        Conv = Tensor.Zeros(batch, config.DConv - 1, config.DInner);
        Ssm = Tensor.Zeros(batch, config.DInner, config.DState);
    }

    /// <summary>(B, K - 1, D): the last inputs of the convolution, oldest first.</summary>
    public Tensor Conv { get; }

    /// <summary>(B, D, N): the state of the scan.</summary>
    public Tensor Ssm { get; }

    /// <summary>Forgets all tokens: the next one is the first.</summary>
    public void Reset()
    {
        Conv.Span.Clear();
        Ssm.Span.Clear();
    }
}

/// <summary>
/// The Mamba block (Gu and Dao 2023, figure 3): in_proj to x and z, causal convolution and SiLU on x, selective scan gated by z, out_proj.
/// Parameters carry the names and the initial values of mamba_ssm: S4D-real A (A_log = log 1 ... log N), D = 1, dt bias by inverse
/// softplus.
/// </summary>
public sealed class MambaMixer : IModule
{
    private readonly MambaConfig _config;
    private readonly Linear _inProj;
    private readonly Linear _outProj;
    private readonly DerivedWeight _halfOutProj;
    private readonly Direction _forward;
    private readonly Direction? _backward;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The block's place.</param>
    /// <param name="config">Its sizes.</param>
    public MambaMixer(Scope scope, MambaConfig config)
    {
        _config = config;
        // The order of declaration is that of mamba_ssm's state_dict: bare parameters first, then modules.
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

    /// <summary>As <see cref="Forward(Tensor)"/>, with a residual connection in the same pass.</summary>
    /// <param name="x">(B, L, d_model).</param>
    /// <param name="residual">(B, L, d_model), added to the result; or null.</param>
    /// <returns>(B, L, d_model).</returns>
    public Tensor Forward(Tensor x, Tensor? residual)
    {
        using MemoryScope scope = new();
        (Tensor u, Tensor z) = Project(x);
        Tensor y = _forward.Scan(u, z);
        if (_backward is not null) y = _backward.Scan(u, z, y);
        // Halving the weight halves the sum, to the last bit.
        return scope.Return(
            _config.DivideOut ? Ops.Linear(y, _halfOutProj.Value, residual: residual) : _outProj.Forward(y, residual));
    }

    /// <summary>
    /// Mixes one token; the results of all steps together equal <see cref="Forward(Tensor)"/> up to rounding. Memory does not grow with
    /// the number of tokens, and a warmed-up step allocates nothing. No gradient crosses from step to step.
    /// </summary>
    /// <param name="x">(B, d_model).</param>
    /// <param name="state">What the block remembers; updated.</param>
    /// <returns>(B, d_model).</returns>
    /// <exception cref="InvalidOperationException">The block is bidirectional: it needs the whole sequence.</exception>
    /// <exception cref="ShapeException">The token does not fit, or the state is of another batch or configuration.</exception>
    public Tensor Step(Tensor x, MambaState state)
    {
        if (_backward is not null) throw new InvalidOperationException("MambaMixer.Step: a bidirectional block needs the whole sequence.");
        Check.That(
            x.Shape.Rank == 2 && x.Shape[1] == _config.DModel, "MambaMixer.Step", $"{x.Shape}; expected a token (B, {_config.DModel})");
        int batch = x.Shape[0];
        Check.That(
            state.Conv.Shape == new Shape(batch, _config.DConv - 1, _config.DInner)
                && state.Ssm.Shape == new Shape(batch, _config.DInner, _config.DState),
            "MambaMixer.Step", $"a state of {state.Conv.Shape} and {state.Ssm.Shape}; expected one of this block and batch {batch}");
        using MemoryScope scope = new();
        (Tensor u, Tensor z) = Project(x.Reshape(batch, 1, _config.DModel));
        Tensor y = _forward.Step(u, z, state);
        return scope.Return(_outProj.Forward(y.Reshape(batch, _config.DInner)));
    }

    /// <summary>
    /// u and the gate z, (B, L, D). Each is a product with its rows of in_proj, which are a view; splitting one product would copy.
    /// </summary>
    private (Tensor U, Tensor Z) Project(Tensor x)
    {
        int inner = _config.DInner;
        Tensor weight = _inProj.Weight;
        return (Ops.Linear(x, Ops.Slice(weight, 0, 0, inner)), Ops.Linear(x, Ops.Slice(weight, 0, inner, inner)));
    }

    /// <summary>One direction of scanning with its weights.</summary>
    private sealed class Direction(Scope scope, MambaConfig c, Tensor aLog, Tensor d, bool reverse = false)
    {
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

        /// <summary>One direction's output, and that of the other where it is given.</summary>
        public Tensor Scan(Tensor u, Tensor z, Tensor? other = null) =>
            SelectiveScan(Ops.CausalConv1d(u, _convWeight, _convBias, Activation.Silu, reverse), z, null, other).Output;

        public Tensor Step(Tensor u, Tensor z, MambaState state)
        {
            int taps = c.DConv;
            Tensor window = Ops.Concat([state.Conv, u], axis: 1); // (B, K, D)
            Tensor x = Ops.Slice(Ops.CausalConv1d(window, _convWeight, _convBias, Activation.Silu), 1, taps - 1, 1);
            (Tensor y, Tensor last) = SelectiveScan(x, z, state.Ssm);
            Ops.Slice(window, 1, 1, taps - 1).Span.CopyTo(state.Conv.Span);
            last.Span.CopyTo(state.Ssm.Span);
            return y;
        }

        private static string Name(string name, bool reverse) => reverse ? name + "_b" : name;

        private (Tensor Output, Tensor LastState) SelectiveScan(Tensor x, Tensor z, Tensor? initialState, Tensor? residual = null)
        {
            using MemoryScope scope = new();
            TensorList projected = Ops.Split(_xProj.Forward(x), c.DtRank, c.DState, c.DState); // dt, B, C: (B, L, ...)
            Tensor delta = Ops.Linear(projected[0], _dtProj.Weight); // its bias is added inside the scan
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
            (Tensor y, Tensor last) = Ops.SelectiveScan(x, delta, _a.Value, projected[1], projected[2], options);
            return (scope.Return(y), scope.Return(last));
        }
    }
}
