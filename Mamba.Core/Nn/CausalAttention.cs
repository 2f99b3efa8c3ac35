using Mamba.Core.Memory;

namespace Mamba.Core.Nn;

/// <summary>Configuration of <see cref="CausalAttention"/>.</summary>
/// <param name="Width">Channels of a token.</param>
/// <param name="Heads">Number of heads; divides the width.</param>
/// <param name="Positions">The longest sequence: the capacity of a state.</param>
public sealed record CausalAttentionConfig(int Width, int Heads, int Positions);

/// <summary>The key-value cache. It has room for the longest sequence; only the filled part is read.</summary>
public sealed class AttentionState : SequenceState
{
    /// <summary>The state before the first token.</summary>
    /// <param name="batch">Batch size.</param>
    /// <param name="config">The layer's configuration.</param>
    public AttentionState(int batch, CausalAttentionConfig config)
    {
        using MemoryScope _ = MemoryScope.Suspend();
        Keys = Tensor.Zeros(batch, config.Positions, config.Width);
        Values = Tensor.Zeros(batch, config.Positions, config.Width);
        Tensors = [Keys, Values];
    }

    /// <summary>(B, positions, width): the keys; the first <see cref="Length"/> are valid.</summary>
    public Tensor Keys { get; }

    /// <summary>(B, positions, width): the values.</summary>
    public Tensor Values { get; }

    /// <summary>The number of tokens so far.</summary>
    public int Length { get; internal set; }

    /// <inheritdoc/>
    public override IReadOnlyList<Tensor> Tensors { get; }

    /// <inheritdoc/>
    public override void Reset()
    {
        base.Reset();
        Length = 0;
    }
}

/// <summary>
/// Causal self-attention (Vaswani et al. 2017): in_proj to q, k and v, softmax(q k^T / sqrt(Dh)) v per head, out_proj. Unlike the other
/// mixers it keeps every token, and the time of a step grows with their number.
/// </summary>
public sealed class CausalAttention : ISequenceMixer
{
    private readonly CausalAttentionConfig _config;
    private readonly Linear _inProj;
    private readonly Linear _outProj;

    /// <summary>Declares <c>in_proj</c> and <c>out_proj</c>, both with a bias.</summary>
    /// <param name="scope">The layer's scope.</param>
    /// <param name="config">The configuration.</param>
    /// <exception cref="ArgumentException">A size is not positive, or the heads do not divide the width.</exception>
    public CausalAttention(Scope scope, CausalAttentionConfig config)
    {
        if (config.Width <= 0 || config.Heads <= 0 || config.Positions <= 0 || config.Width % config.Heads != 0)
            throw new ArgumentException($"{config}: expected positive sizes, and heads that divide the width", nameof(config));
        _config = config;
        _inProj = new Linear(scope / "in_proj", config.Width, 3 * config.Width);
        _outProj = new Linear(scope / "out_proj", config.Width, config.Width);
    }

    /// <summary>Mixes a whole sequence.</summary>
    /// <param name="x">(B, L, width).</param>
    /// <returns>(B, L, width).</returns>
    public Tensor Forward(Tensor x) => Forward(x, null);

    /// <inheritdoc/>
    public Tensor Forward(Tensor x, Tensor? residual, SequenceState? state = null)
    {
        Check.That(
            x.Shape.Rank == 3 && x.Shape[2] == _config.Width, "CausalAttention", $"{x.Shape}; expected tokens (B, L, {_config.Width})");
        Check.Residual(x, residual, "CausalAttention");
        AttentionState? memory = state is null ? null : Checked("CausalAttention", state, x.Shape[0], x.Shape[1]);
        using MemoryScope scope = new();
        Tensor qkv = _inProj.Forward(x); // (B, L, 3 width)
        Tensor y = memory is null ? Ops.SelfAttention(qkv, _config.Heads, AttentionOptions.CausalMask) : Resume(qkv, memory);
        return scope.Return(_outProj.Forward(y, residual));
    }

    /// <inheritdoc/>
    public SequenceState NewState(int batch) => new AttentionState(batch, _config);

    /// <inheritdoc/>
    public Tensor Step(Tensor x, SequenceState state)
    {
        Check.That(
            x.Shape.Rank == 2 && x.Shape[1] == _config.Width, "CausalAttention.Step", $"{x.Shape}; expected a token (B, {_config.Width})");
        using MemoryScope scope = new();
        return scope.Return(Forward(x.Reshape(x.Shape[0], 1, _config.Width), null, state).Reshape(x.Shape));
    }

    /// <summary>
    /// Attends from the next tokens to themselves and to the cached keys and values. New rows of the cache are valid once the length is
    /// raised, after all operators: one that throws leaves the state as it was.
    /// </summary>
    private Tensor Resume(Tensor qkv, AttentionState state)
    {
        int width = _config.Width, length = qkv.Shape[1], before = state.Length;
        TensorList parts = Ops.Split(qkv, width, width, width);
        Write(parts[1], state.Keys, before);
        Write(parts[2], state.Values, before);
        Tensor keys = Rows(state.Keys, before, parts[1]), values = Rows(state.Values, before, parts[2]);
        // A single query sees all keys. With several, each sees the keys up to its own, which are the last ones.
        Tensor y = before == 0
            ? Ops.Attention(parts[0], keys, values, _config.Heads, AttentionOptions.CausalMask)
            : Ops.Attention(parts[0], keys, values, _config.Heads, mask: length == 1 ? null : Mask(before, length));
        state.Length += length;
        return y;
    }

    /// <summary>All rows so far. Under a tape the new ones are joined to those in the cache, so that gradients reach them.</summary>
    private static Tensor Rows(Tensor cache, int before, Tensor next) => Tape.IsRecording
        ? Ops.Concat([Ops.Slice(cache, 1, 0, before), next], axis: 1)
        : Ops.Slice(cache, 1, 0, before + next.Shape[1]);

    private static Tensor Mask(int before, int length)
    {
        int keys = before + length;
        Tensor mask = Tensor.Zeros(length, keys);
        for (int i = 0; i < length; i++) mask.Span[(i * keys + before + i + 1)..((i + 1) * keys)].Fill(float.NegativeInfinity);
        return mask;
    }

    private static void Write(Tensor from, Tensor to, int position)
    {
        int width = to.Shape[2], size = from.Shape[1] * width, all = to.Shape[1] * width;
        for (int b = 0; b < from.Shape[0]; b++) from.Span.Slice(b * size, size).CopyTo(to.Span[(b * all + position * width)..]);
    }

    private AttentionState Checked(string name, SequenceState state, int batch, int length)
    {
        AttentionState? own = state as AttentionState;
        Check.That(
            own is not null && own.Keys.Shape == new Shape(batch, _config.Positions, _config.Width), name,
            $"a state of {string.Join(" and ", state.Tensors.Select(t => t.Shape))}; expected one of this layer and batch {batch}");
        Check.That(
            own!.Length + (long)length <= _config.Positions, name,
            $"{length} tokens after {own.Length}; expected at most {_config.Positions} positions");
        return own;
    }
}
