using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Configuration of <see cref="S4dMixer"/>.</summary>
/// <param name="DModel">Width of the tokens.</param>
/// <param name="DState">N, the number of real states per channel: even, stored as N / 2 complex ones.</param>
/// <param name="DConv">K, the number of taps of the causal convolution.</param>
/// <param name="Expand">Inner width over d_model.</param>
public sealed record S4dConfig(int DModel, int DState = 64, int DConv = 4, int Expand = 2)
{
    /// <summary>Whether the output is gated by SiLU(z), as in the Mamba block; otherwise it goes through a GELU.</summary>
    public bool Gated { get; init; } = true;

    /// <summary>The initialization of the eigenvalues.</summary>
    public S4dInitialization Initialization { get; init; } = S4dInitialization.Lin;

    /// <summary>Inner width.</summary>
    public int DInner => Expand * DModel;
}

/// <summary>The state of <see cref="S4dMixer"/> between tokens, owned by the caller.</summary>
public sealed class S4dState : SequenceState
{
    /// <summary>The state before the first token: zeros.</summary>
    /// <param name="batch">Batch size.</param>
    /// <param name="config">The mixer's configuration.</param>
    public S4dState(int batch, S4dConfig config)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        Conv = Tensor.Zeros(batch, config.DConv - 1, config.DInner);
        Ssm = Tensor.Zeros(batch, config.DInner, config.DState / 2, 2);
        Tensors = [Conv, Ssm];
    }

    /// <summary>(B, K - 1, D): the last inputs of the convolution, oldest first.</summary>
    public Tensor Conv { get; }

    /// <summary>(B, D, N / 2, 2): the complex states, (re, im).</summary>
    public Tensor Ssm { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<Tensor> Tensors { get; }
}

/// <summary>
/// The Mamba block with S4D instead of the selective scan, to measure the effect of selection (Gu and Dao 2023, section 4.6.2). It consists
/// of in_proj to x and z, causal convolution and SiLU on x, a time-invariant diagonal state-space model, the gate SiLU(z), and out_proj.
/// </summary>
public sealed class S4dMixer : ISequenceMixer
{
    private readonly S4dConfig _config;
    private readonly DiagonalStateSpace _system;
    private readonly Linear _inProj, _outProj;
    private readonly Tensor _convWeight, _convBias;

    /// <summary>Declares the parameters: D, kernel.C, kernel.log_dt, kernel.log_A_real, kernel.A_imag, in_proj, conv1d, out_proj.</summary>
    /// <param name="scope">The block's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentOutOfRangeException">A size is not positive, or N is odd or too large.</exception>
    public S4dMixer(Scope scope, S4dConfig config)
    {
        MambaMixer.CheckSizes("S4dMixer", config.DModel, config.DState, config.DConv, config.Expand);
        _config = config;
        _system = new DiagonalStateSpace(scope, config.DInner, config.DState, config.Initialization);
        _inProj = new Linear(scope / "in_proj", config.DModel, (config.Gated ? 2 : 1) * config.DInner, bias: false);
        _convWeight = (scope / "conv1d").Parameter("weight", Init.KaimingUniform(config.DConv), config.DInner, 1, config.DConv);
        _convBias = (scope / "conv1d").Parameter("bias", Init.KaimingUniform(config.DConv), config.DInner);
        _outProj = new Linear(scope / "out_proj", config.DInner, config.DModel, bias: false);
    }

    /// <summary>Mixes a whole sequence.</summary>
    /// <param name="x">(B, L, d_model).</param>
    /// <returns>(B, L, d_model).</returns>
    public Tensor Forward(Tensor x) => Forward(x, null);

    /// <inheritdoc/>
    /// <remarks>A whole sequence is convolved by FFT; a part of one is scanned.</remarks>
    public Tensor Forward(Tensor x, Tensor? residual, SequenceState? state = null)
    {
        S4d.CheckTokens("S4dMixer", x, _config.DModel);
        Check.Residual(x, residual, "S4dMixer");
        S4dState? memory = state is null ? null : Checked("S4dMixer", state, x.Shape[0]);
        using MemoryScope scope = new();
        Tensor u = Project(x, first: 0);
        Tensor y = memory is null
            ? _system.Convolve(Ops.CausalConv1d(u, _convWeight, _convBias, Activation.Silu))
            : Resume(u, memory);
        return scope.Return(_outProj.Forward(Gate(x, y), residual));
    }

    /// <inheritdoc/>
    public SequenceState NewState(int batch) => new S4dState(batch, _config);

    /// <inheritdoc/>
    public Tensor Step(Tensor x, SequenceState state)
    {
        S4d.CheckToken("S4dMixer.Step", x, _config.DModel);
        int batch = x.Shape[0];
        S4dState memory = Checked("S4dMixer.Step", state, batch);
        using MemoryScope scope = new();
        Tensor token = x.Reshape(batch, 1, _config.DModel);
        Tensor y = Gate(token, Resume(Project(token, first: 0), memory));
        return scope.Return(_outProj.Forward(y.Reshape(batch, _config.DInner)));
    }

    private S4dState Checked(string name, SequenceState state, int batch)
    {
        S4dState? own = state as S4dState;
        Check.That(
            own is not null && own.Conv.Shape == new Shape([batch, _config.DConv - 1, _config.DInner])
                && own.Ssm.Shape == new Shape([batch, _config.DInner, _config.DState / 2, 2]),
            name,
            $"a state of {string.Join(" and ", state.Tensors.Select(t => t.Shape))}; expected one of this block and batch {batch}");
        return own!;
    }

    /// <summary>x, or the gate z from row D on: a product with a view of in_proj's rows.</summary>
    private Tensor Project(Tensor x, int first) => Ops.Linear(x, Ops.Slice(_inProj.Weight, 0, first, _config.DInner));

    private Tensor Gate(Tensor x, Tensor y) =>
        _config.Gated ? Ops.Multiply(y, Ops.Silu(Project(x, first: _config.DInner))) : Ops.Gelu(y);

    /// <summary>Mixes the next tokens, starting from the state.</summary>
    private Tensor Resume(Tensor u, S4dState state)
    {
        ConvWindow window = new(state.Conv, u);
        (Tensor y, Tensor last) = _system.Scan(window.Convolve(_convWeight, _convBias), state.Ssm);
        window.MoveState();
        last.Span.CopyTo(state.Ssm.Span);
        return y;
    }
}
