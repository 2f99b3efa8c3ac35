using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Configuration of <see cref="S4d"/>.</summary>
/// <param name="DModel">H, the width of the tokens.</param>
/// <param name="DState">N, the number of real states per channel: even, stored as N / 2 complex ones.</param>
public sealed record S4dLayerConfig(int DModel, int DState = 64)
{
    /// <summary>The initialization of the eigenvalues.</summary>
    public S4dInitialization Initialization { get; init; } = S4dInitialization.Lin;
}

/// <summary>The state of a linear system between tokens, owned by the caller.</summary>
public sealed class LtiState : SequenceState
{
    /// <summary>The state before the first token: zeros.</summary>
    internal LtiState(params ReadOnlySpan<int> shape)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        Ssm = Tensor.Zeros(shape);
        Tensors = [Ssm];
    }

    /// <summary>
    /// The states of all channels: (B, H, N / 2, 2), (re, im), of an <see cref="S4d"/>. Of an <see cref="S4"/>, (B, H, N), real and then
    /// imaginary parts.
    /// </summary>
    public Tensor Ssm { get; }

    /// <inheritdoc/>
    public override IReadOnlyList<Tensor> Tensors { get; }
}

/// <summary>
/// The S4D layer (Gu et al. 2022), with the names of state-spaces/s4 (models/s4/s4d.py): a diagonal state-space model for each channel,
/// GELU, and a linear layer with GLU that mixes the channels. One parameter set has three forms with the same results up to rounding:
/// <see cref="Convolve"/>, <see cref="Scan"/> and <see cref="Step"/>.
/// </summary>
public sealed class S4d : ISequenceMixer
{
    private readonly S4dLayerConfig _config;
    private readonly DiagonalStateSpace _system;
    private readonly ChannelMixing _output;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentOutOfRangeException">H is not positive, or N is odd or too large.</exception>
    public S4d(Scope scope, S4dLayerConfig config)
    {
        Check.Positive(config.DModel, "S4d", nameof(config.DModel));
        _config = config;
        _system = new DiagonalStateSpace(scope, config.DModel, config.DState, config.Initialization);
        _output = new ChannelMixing(scope / "output_linear" / 0, config.DModel, isConv: true);
    }

    /// <summary>Mixes a whole sequence, as a convolution.</summary>
    /// <param name="x">(B, L, H).</param>
    /// <returns>(B, L, H).</returns>
    public Tensor Forward(Tensor x) => Convolve(x);

    /// <inheritdoc/>
    public Tensor Forward(Tensor x, Tensor? residual, SequenceState? state = null)
    {
        Check.Residual(x, residual, "S4d");
        using MemoryScope scope = new();
        Tensor y = state is null ? Convolve(x) : Resume("S4d", x, state);
        return scope.Return(residual is { } added ? Ops.Add(y, added) : y);
    }

    /// <summary>The convolutional form: the kernel of L taps, and a causal convolution by FFT. The fastest form for training.</summary>
    /// <param name="x">(B, L, H).</param>
    /// <returns>(B, L, H).</returns>
    public Tensor Convolve(Tensor x)
    {
        CheckTokens("S4d", x, _config.DModel);
        using MemoryScope scope = new();
        return scope.Return(_output.Forward(_system.Convolve(x)));
    }

    /// <summary>The recurrent form over a sequence. Gradients also flow through the states.</summary>
    /// <param name="x">(B, L, H).</param>
    /// <param name="state">(B, H, N / 2, 2), the state before the first token; zero if null.</param>
    /// <returns>(B, L, H), and the state after the last token.</returns>
    public (Tensor Output, Tensor LastState) Scan(Tensor x, Tensor? state = null)
    {
        CheckTokens("S4d", x, _config.DModel);
        using MemoryScope scope = new();
        (Tensor y, Tensor last) = _system.Scan(x, state);
        return (scope.Return(_output.Forward(y)), scope.Return(last));
    }

    /// <inheritdoc/>
    public SequenceState NewState(int batch) => new LtiState(batch, _config.DModel, _system.ComplexStates, 2);

    /// <inheritdoc/>
    public Tensor Step(Tensor x, SequenceState state)
    {
        CheckToken("S4d.Step", x, _config.DModel);
        using MemoryScope scope = new();
        return scope.Return(Resume("S4d.Step", x.Reshape(x.Shape[0], 1, _config.DModel), state).Reshape(x.Shape));
    }

    internal static void CheckTokens(string name, Tensor x, int width) =>
        Check.That(x.Shape.Rank == 3 && x.Shape[2] == width, name, $"{x.Shape}; expected tokens (B, L, {width})");

    internal static void CheckToken(string name, Tensor x, int width) =>
        Check.That(x.Shape.Rank == 2 && x.Shape[1] == width, name, $"{x.Shape}; expected a token (B, {width})");

    private Tensor Resume(string name, Tensor x, SequenceState state)
    {
        CheckTokens(name, x, _config.DModel);
        LtiState? own = state as LtiState;
        Check.That(
            own is not null && own.Ssm.Shape == new Shape([x.Shape[0], _config.DModel, _system.ComplexStates, 2]), name,
            $"a state of {string.Join(" and ", state.Tensors.Select(t => t.Shape))}; expected one of this layer and batch {x.Shape[0]}");
        (Tensor y, Tensor last) = Scan(x, own!.Ssm);
        last.Span.CopyTo(own.Ssm.Span);
        return y;
    }
}

/// <summary>The output stage of the published S4 layers: GELU, a linear layer to twice the width, GLU.</summary>
internal sealed class ChannelMixing
{
    private readonly Tensor _weight, _bias;
    private readonly int _width;

    /// <summary>Declares weight (2 H, H), or (2 H, H, 1) where the original is a 1x1 convolution, and bias (2 H).</summary>
    public ChannelMixing(Scope scope, int width, bool isConv)
    {
        _width = width;
        _weight = isConv
            ? scope.Parameter("weight", Init.KaimingUniform(width), 2 * width, width, 1)
            : scope.Parameter("weight", Init.KaimingUniform(width), 2 * width, width);
        _bias = scope.Parameter("bias", Init.KaimingUniform(width), 2 * width);
    }

    /// <summary>(B, L, H) to (B, L, H).</summary>
    public Tensor Forward(Tensor y) => Ops.Glu(Ops.Linear(Ops.Gelu(y), _weight.Reshape(2 * _width, _width), _bias));
}
