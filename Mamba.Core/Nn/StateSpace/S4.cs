using System.Numerics;
using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Configuration of <see cref="S4"/>.</summary>
/// <param name="DModel">H, the width of the tokens.</param>
/// <param name="DState">N, the number of real states per channel: even, stored as N / 2 complex ones.</param>
/// <param name="LMax">
/// If positive, C is stored as C (I - Abar^LMax), the form of S4's checkpoints; if 0, C itself. A new layer starts with the same C in both
/// forms. Sequences may have any length.
/// </param>
public sealed record S4Config(int DModel, int DState = 64, int LMax = 0);

/// <summary>
/// The S4 layer (Gu, Goel and Re 2022): a state-space model for each channel, initialized as HiPPO-LegS in normal-plus-low-rank form, GELU,
/// and a linear layer with GLU. Names are those of S4Block of state-spaces/s4 (models/s4/s4.py, mode dplr, rank 1). Its three forms have
/// the same results up to rounding: <see cref="Convolve"/>, <see cref="Scan"/> and <see cref="Step"/>.
/// </summary>
public sealed class S4 : ISequenceMixer
{
    private readonly S4Config _config;
    private readonly Tensor _d, _inverseDt, _c, _b, _aReal, _aImag, _p;
    private readonly ChannelMixing _output;
    private readonly FrozenCache<(Tensor A, Tensor B, Tensor C)> _discrete;

    /// <summary>Declares the parameters.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentOutOfRangeException">H is not positive, N is odd or too large, or LMax is negative.</exception>
    public S4(Scope scope, S4Config config)
    {
        Check.Positive(config.DModel, "S4", nameof(config.DModel));
        ArgumentOutOfRangeException.ThrowIfNegative(config.LMax);
        _config = config;
        int h = config.DModel, pairs = Hippo.Eigenvalues(S4dInitialization.Lin, config.DState).Length;
        NormalPlusLowRank legs = Hippo.LegSNormalPlusLowRank(config.DState);
        // S4 stores the state with the negative frequency of each conjugate pair: A = -exp(A_real) - i A_imag.
        Complex[] lambda = legs.Lambda[..pairs], p = [.. legs.P[..pairs].Select(x => (Complex)x)], b = legs.InputVector[..pairs];
        Scope layer = scope / "layer", kernel = layer / "kernel";
        _d = layer.Parameter("D", Init.Normal(1), 1, h);
        _inverseDt = kernel.Parameter("inv_dt", StateSpaceInit.LogUniform(1e-3, 0.1), h, 1);
        _c = kernel.Parameter("C", Init.Normal(Math.Sqrt(0.5)), 1, h, pairs, 2);
        _b = kernel.Parameter("B", StateSpaceInit.Repeat(b), 1, h, pairs, 2);
        _aReal = kernel.Parameter("A_real", StateSpaceInit.Repeat(lambda, x => Math.Log(-x.Real)), h, pairs);
        _aImag = kernel.Parameter("A_imag", StateSpaceInit.Repeat(lambda, x => -x.Imaginary), h, pairs);
        _p = kernel.Parameter("P", StateSpaceInit.Repeat(p), 1, h, pairs, 2);
        _output = new ChannelMixing(scope / "output_linear" / 0, h, isConv: false);
        if (config.LMax > 0 && !scope.Store.SkipInitialValues) StoreC();
        _discrete = new FrozenCache<(Tensor A, Tensor B, Tensor C)>(_inverseDt, () =>
        {
            (Tensor a, Tensor b, Tensor c) = Ops.DiscretizeS4(System());
            a.Freeze();
            return (a, b, c);
        });
    }

    /// <summary>Mixes a whole sequence, as a convolution.</summary>
    /// <param name="x">(B, L, H).</param>
    /// <returns>(B, L, H).</returns>
    public Tensor Forward(Tensor x) => Convolve(x);

    /// <inheritdoc/>
    public Tensor Forward(Tensor x, Tensor? residual, SequenceState? state = null)
    {
        Check.Residual(x, residual, "S4");
        using MemoryScope scope = new();
        Tensor y = state is null ? Convolve(x) : Resume("S4", x, state);
        return scope.Return(residual is { } added ? Ops.Add(y, added) : y);
    }

    /// <summary>The convolutional form: the kernel of L taps, and a causal convolution by FFT. The fastest form for training.</summary>
    /// <param name="x">(B, L, H).</param>
    /// <returns>(B, L, H).</returns>
    public Tensor Convolve(Tensor x)
    {
        S4d.CheckTokens("S4", x, _config.DModel);
        using MemoryScope scope = new();
        Tensor kernel = Ops.S4Kernel(System(), Math.Max(1, x.Shape[1]));
        Tensor y = Ops.LongConv(x, kernel, new LongConvOptions { D = _d.Reshape(_config.DModel) });
        return scope.Return(_output.Forward(y));
    }

    /// <summary>
    /// The recurrent form over a sequence, with a dense Abar of N x N for each channel. Gradients also flow through the states; then
    /// O(B L H N) numbers are kept.
    /// </summary>
    /// <param name="x">(B, L, H).</param>
    /// <param name="state">(B, H, N), real and then imaginary parts, before the first token; zero if null.</param>
    /// <returns>(B, L, H), and the state after the last token.</returns>
    /// <exception cref="ShapeException">The shapes do not fit, or L is 0.</exception>
    public (Tensor Output, Tensor LastState) Scan(Tensor x, Tensor? state = null)
    {
        S4d.CheckTokens("S4", x, _config.DModel);
        Check.That(x.Shape[1] > 0, "S4", $"{x.Shape}; expected at least one token");
        int batch = x.Shape[0], length = x.Shape[1], h = _config.DModel, n = _config.DState;
        Check.Extents(state, "S4", "state", batch, h, n);
        using MemoryScope scope = new();
        (Tensor a, Tensor b, Tensor c) =
            _discrete.TryGet(out (Tensor A, Tensor B, Tensor C) frozen) ? frozen : Ops.DiscretizeS4(System());
        Tensor states = Ops.DenseRecurrence(Ops.Multiply(x.Reshape(batch, length, h, 1), b), a, state); // (B, L, H, N)
        Tensor y = Ops.Add(Ops.Sum(Ops.Multiply(states, c), [-1]), Ops.Multiply(x, _d.Reshape(h)));
        Tensor last = Ops.Slice(states, 1, length - 1, 1).Reshape(batch, h, n);
        return (scope.Return(_output.Forward(y)), scope.Return(last));
    }

    /// <inheritdoc/>
    public SequenceState NewState(int batch) => new LtiState(batch, _config.DModel, _config.DState);

    /// <inheritdoc/>
    public Tensor Step(Tensor x, SequenceState state)
    {
        S4d.CheckToken("S4.Step", x, _config.DModel);
        using MemoryScope scope = new();
        return scope.Return(Resume("S4.Step", x.Reshape(x.Shape[0], 1, _config.DModel), state).Reshape(x.Shape));
    }

    private Tensor Resume(string name, Tensor x, SequenceState state)
    {
        S4d.CheckTokens(name, x, _config.DModel);
        LtiState? own = state as LtiState;
        Check.That(
            own is not null && own.Ssm.Shape == new Shape([x.Shape[0], _config.DModel, _config.DState]), name,
            $"a state of {string.Join(" and ", state.Tensors.Select(t => t.Shape))}; expected one of this layer and batch {x.Shape[0]}");
        // The backward pass reads the state before the first token, which the next state overwrites.
        (Tensor y, Tensor last) = Scan(x, Tape.IsRecording ? own!.Ssm.Clone() : own!.Ssm);
        last.Span.CopyTo(own.Ssm.Span);
        return y;
    }

    /// <summary>Turns the initial C into its stored form, as S4's code does before the first pass.</summary>
    private void StoreC()
    {
        using RecordingPause pause = Tape.Pause();
        using MemoryScope scope = new();
        Ops.StoreS4C(System());
    }

    private S4System System()
    {
        int h = _config.DModel, pairs = _config.DState / 2;
        Tensor lambda = Ops.Scale(Ops.Concat([Ops.Exp(_aReal).Reshape(h, pairs, 1), _aImag.Reshape(h, pairs, 1)]), -1f);
        return new S4System(
            lambda, _p.Reshape(h, pairs, 2), _b.Reshape(h, pairs, 2), _c.Reshape(h, pairs, 2), _inverseDt.Reshape(h))
        {
            StoredLength = _config.LMax,
        };
    }
}
