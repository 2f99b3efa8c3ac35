using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>
/// The Mamba-3 block (Lahoti et al. 2026), one input and one output per head: in_proj to the gate z, the values x, B, C, dt, A, the logit
/// of lambda and angles; B and C normalized; the scan (<see cref="Ops.Mamba3Scan"/>); out_proj. There is no convolution. Parameters have
/// the names and initial values of state-spaces/mamba.
/// </summary>
public sealed class Mamba3Mixer : ISequenceMixer
{
    private readonly Mamba3Config _config;
    private readonly string _layer;
    private readonly Tensor _dtBias;
    private readonly Tensor _bBias;
    private readonly Tensor _cBias;
    private readonly Tensor _d;
    private readonly Linear _inProj;
    private readonly Tensor _bNorm;
    private readonly Tensor _cNorm;
    private readonly Tensor? _norm;
    private readonly Tensor _ones;
    private readonly Linear _outProj;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentException">The sizes do not fit together.</exception>
    public Mamba3Mixer(Scope scope, Mamba3Config config)
    {
        ArgumentNullException.ThrowIfNull(config);
        config.Validate();
        (_config, _layer) = (config, scope.Path);
        // The order of declaration is that of the published state_dict: bare parameters first, then modules.
        _dtBias = scope.Parameter(
            "dt_bias", Init.InverseSoftplusOfLogUniform(config.DtMin, config.DtMax, config.DtInitFloor), config.Heads);
        _bBias = scope.Parameter("B_bias", Init.Ones, config.Heads, 1, config.DState);
        _cBias = scope.Parameter("C_bias", Init.Ones, config.Heads, 1, config.DState);
        _d = scope.Parameter("D", Init.Ones, config.Heads);
        _inProj = new Linear(scope / "in_proj", config.DModel, config.Projected, bias: false);
        _bNorm = (scope / "B_norm").Parameter("weight", Init.Ones, config.DState);
        _cNorm = (scope / "C_norm").Parameter("weight", Init.Ones, config.DState);
        if (config.IsOutprojNorm) _norm = (scope / "norm").Parameter("weight", Init.Ones, config.DInner);
        _outProj = new Linear(scope / "out_proj", config.DInner, config.DModel, bias: false);
        using MemoryScope _ = MemoryScope.Suspend();
        _ones = Tensor.Full(1f, config.HeadDim);
    }

    /// <summary>Mixes a whole sequence.</summary>
    /// <param name="x">(B, L, d_model).</param>
    /// <returns>(B, L, d_model).</returns>
    public Tensor Forward(Tensor x) => Forward(x, null);

    /// <inheritdoc/>
    public Tensor Forward(Tensor x, Tensor? residual, SequenceState? state = null)
    {
        Check.Residual(x, residual, "Mamba3Mixer");
        using MemoryScope scope = new();
        return scope.Return(_outProj.Forward(state is null ? Mix(x, default).Output : Resume(x, state, "Mamba3Mixer"), residual));
    }

    /// <summary>Mixes a part of a sequence, with gradients through the state of the previous part.</summary>
    /// <param name="x">(B, L, d_model).</param>
    /// <param name="memory">The state before the first token; null for zeros.</param>
    /// <returns>(B, L, d_model), and the state after the last token.</returns>
    /// <exception cref="ShapeException">The tokens or the memory do not fit.</exception>
    public (Tensor Output, Mamba3Memory Last) ForwardFrom(Tensor x, Mamba3Memory? memory)
    {
        (Tensor y, Mamba3Memory last) = Mix(x, new() { Initial = memory });
        return (_outProj.Forward(y), last);
    }

    /// <inheritdoc/>
    public SequenceState NewState(int batch) => new Mamba3State(batch, _config);

    /// <inheritdoc/>
    public Tensor Step(Tensor x, SequenceState state)
    {
        int width = _config.DModel;
        Check.That(x.Shape.Rank == 2 && x.Shape[1] == width, "Mamba3Mixer.Step", $"{x.Shape}; expected a token (B, {width})");
        using MemoryScope scope = new();
        Tensor y = Resume(x.Reshape(x.Shape[0], 1, width), state, "Mamba3Mixer.Step");
        return scope.Return(_outProj.Forward(y.Reshape(x.Shape[0], _config.DInner)));
    }

    /// <summary>Mixes the next tokens, starting from a state.</summary>
    private Tensor Resume(Tensor x, SequenceState state, string name)
    {
        Check.Rank(x, 3, name, "(B, L, d_model)");
        int batch = x.Shape[0], heads = _config.Heads;
        Mamba3State? own = state as Mamba3State;
        Check.That(
            own is not null && own.Memory.Ssm.Shape == new Shape(batch, heads, _config.DState, _config.HeadDim)
                && own.Memory.Angles.Shape == new Shape(batch, heads, _config.RopeAngles),
            name,
            $"a state of {string.Join(" and ", state.Tensors.Select(t => t.Shape))}; expected one of this block and batch {batch}");
        Mamba3Memory memory = own!.Memory;
        if (!Tape.IsRecording) return Mix(x, new() { Initial = memory, Target = memory }).Output; // in place
        // The backward pass reads the key and the value, which the next tokens overwrite.
        (Tensor y, Mamba3Memory last) = Mix(x, new() { Initial = memory with { Key = memory.Key.Clone(), Value = memory.Value.Clone() } });
        last.Angles.Span.CopyTo(memory.Angles.Span);
        last.AngleRests!.Value.Span.CopyTo(memory.AngleRests!.Value.Span);
        last.Ssm.Span.CopyTo(memory.Ssm.Span);
        last.Key.Span.CopyTo(memory.Key.Span);
        last.Value.Span.CopyTo(memory.Value.Span);
        return y;
    }

    /// <summary>The input of out_proj: (B, L, H P).</summary>
    private (Tensor Output, Mamba3Memory Last) Mix(Tensor x, in Mamba3Options states)
    {
        Mamba3Config c = _config;
        Check.That(x.Shape.Rank == 3 && x.Shape[2] == c.DModel, "Mamba3Mixer", $"{x.Shape}; expected (B, L, {c.DModel})");
        int batch = x.Shape[0], length = x.Shape[1], heads = c.Heads, inner = c.DInner, keys = c.NGroups * c.DState;
        // Each is a product with a view of in_proj's rows; splitting one product would copy.
        Tensor z = Project(x, 0, inner), values = Project(x, inner, inner);
        Tensor b = Project(x, 2 * inner, keys), queries = Project(x, 2 * inner + keys, keys);
        TensorList rest = Ops.Split(Project(x, 2 * (inner + keys), 3 * heads + c.RopeAngles), heads, heads, heads, c.RopeAngles);
        (Tensor dt, Tensor adt) = Ops.Mamba3Rates(Ops.Add(rest[0], _dtBias), rest[1], (float)c.AFloor);
        Mamba3Inputs inputs = new()
        {
            Q = Ops.RmsNorm(queries.Reshape(batch, length, c.NGroups, c.DState), _cNorm, (float)c.Eps),
            K = Ops.RmsNorm(b.Reshape(batch, length, c.NGroups, c.DState), _bNorm, (float)c.Eps),
            V = values.Reshape(batch, length, heads, c.HeadDim),
            Adt = adt,
            Dt = dt,
            Trap = rest[2],
            QBias = _cBias.Reshape(heads, c.DState),
            KBias = _bBias.Reshape(heads, c.DState),
            Angles = rest[3].Reshape(batch, length, 1, c.RopeAngles),
        };
        LayerObserver.Current?.Scan(new ObservedMamba3Scan { Layer = _layer, Inputs = inputs });
        Tensor? gate = _norm is null ? z.Reshape(batch, length, heads, c.HeadDim) : null;
        (Tensor y, Mamba3Memory last) = Ops.Mamba3Scan(inputs, states with { D = _d, Z = gate });
        if (_norm is not { } norm) return (y.Reshape(batch, length, inner), last);
        Tensor normalized = Ops.RmsNorm(y, _ones, (float)c.Eps).Reshape(batch, length, inner);
        return (Ops.Multiply(Ops.Multiply(normalized, norm), Ops.Silu(z)), last);
    }

    private Tensor Project(Tensor x, int row, int count) => Ops.Linear(x, Ops.Slice(_inProj.Weight, 0, row, count));
}
