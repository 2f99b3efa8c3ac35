using Mamba.Core;
using Mamba.Core.Checkpoints;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Language;

/// <summary>
/// A model of sequences of tokens: an embedding, layers over a residual stream, a last norm, and a head that shares the embedding's
/// weights. It runs over whole sequences, over their parts in turn, or token by token; all three give the same logits up to rounding.
/// </summary>
/// <remarks>
/// Tokens are floats that hold whole numbers, as <see cref="Ops.ArgMax"/> gives them. Disposing gives the memory of the parameters back.
/// </remarks>
public abstract class LanguageModel : IModule, IDisposable
{
    private const int PartLength = 2048;

    private bool _disposed;

    /// <summary>Declares the embedding.</summary>
    /// <param name="scope">The model's place.</param>
    /// <param name="config">Its sizes.</param>
    /// <exception cref="ArgumentException">A size is not positive.</exception>
    protected LanguageModel(Scope scope, LanguageModelConfig config)
    {
        config.Check();
        (Parameters, Config) = (scope.Store, config);
        Embedding = (scope / "backbone" / "embedding").Parameter("weight", Init.Normal(0.02), config.PaddedVocabulary, config.Width);
    }

    /// <summary>The model's configuration.</summary>
    public LanguageModelConfig Config { get; }

    /// <summary>The parameters, by the names of the published checkpoints.</summary>
    public ParameterStore Parameters { get; }

    /// <summary>The most tokens that a sequence may have; null if there is no limit.</summary>
    public virtual int? LongestSequence => null;

    /// <summary>(padded vocabulary, width): rows of tokens, and weights of the head.</summary>
    protected Tensor Embedding { get; }

    /// <summary>The logits of every position of a whole sequence.</summary>
    /// <param name="tokens">(B, L): whole numbers from 0, below the padded vocabulary.</param>
    /// <returns>(B, L, padded vocabulary).</returns>
    /// <exception cref="ShapeException">The tokens do not fit.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There is no such token.</exception>
    /// <exception cref="CheckpointException">The weights are mapped, and their file was cut.</exception>
    public Tensor Forward(Tensor tokens) => Forward(tokens, null);

    /// <summary>The logits of every position of a sequence, or of its next part.</summary>
    /// <param name="tokens">(B, L): whole numbers from 0, below the padded vocabulary.</param>
    /// <param name="state">What is remembered of the tokens before; updated. Null where this is the whole sequence.</param>
    /// <returns>(B, L, padded vocabulary).</returns>
    /// <inheritdoc cref="Forward(Tensor)" path="/exception"/>
    public Tensor Forward(Tensor tokens, LanguageState? state)
    {
        using MemoryScope scope = new();
        return scope.Return(Head(Run(tokens, state)));
    }

    /// <summary>The logits of chosen positions alone: the head, which is most of the memory, runs for these.</summary>
    /// <param name="tokens">(B, L): whole numbers from 0, below the padded vocabulary.</param>
    /// <param name="positions">Positions of this part, counted from the end if negative: -1 is the last.</param>
    /// <param name="state">What is remembered of the tokens before; updated. Null where this is the whole sequence.</param>
    /// <returns>(B, number of positions, padded vocabulary).</returns>
    /// <inheritdoc cref="Forward(Tensor)" path="/exception"/>
    public Tensor ForwardAt(Tensor tokens, ReadOnlySpan<int> positions, LanguageState? state = null)
    {
        using MemoryScope scope = new();
        Tensor hidden = Run(tokens, state);
        int length = tokens.Shape[1];
        int[] places = new int[positions.Length];
        for (int i = 0; i < places.Length; i++) places[i] = positions[i] < 0 ? positions[i] + length : positions[i];
        return scope.Return(Head(Ops.IndexSelect(hidden, 1, places)));
    }

    /// <summary>
    /// Reads tokens part by part, so that memory does not grow with their number, and gives the logits of the last one.
    /// </summary>
    /// <param name="tokens">(B, L), L at least 1.</param>
    /// <param name="state">What is remembered; updated.</param>
    /// <param name="partLength">Tokens of a part.</param>
    /// <param name="cancellation">Stops between parts; the state then remembers those that were read.</param>
    /// <returns>(B, padded vocabulary).</returns>
    /// <exception cref="ArgumentOutOfRangeException">A part has no tokens, or there is no such token.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    /// <inheritdoc cref="Forward(Tensor)" path="/exception[@cref!='T:System.ArgumentOutOfRangeException']"/>
    public Tensor Prefill(Tensor tokens, LanguageState state, int partLength = PartLength, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(partLength, 1);
        CheckTokens("Prefill", tokens, state, 2);
        int batch = tokens.Shape[0], length = tokens.Shape[1];
        if (length == 0)
            throw new ShapeException($"{GetType().Name}.Prefill", $"tokens {tokens.Shape}; expected at least one of each sequence");
        using MemoryScope scope = new();
        Tensor? last = null;
        for (int from = 0; from < length; from += partLength)
        {
            cancellation.ThrowIfCancellationRequested();
            using MemoryScope part = new();
            int count = Math.Min(partLength, length - from);
            Tensor hidden = Run(Ops.Slice(tokens, 1, from, count), state);
            if (from + count == length) last = scope.Return(part.Return(Head(Ops.Slice(hidden, 1, count - 1, 1))));
        }
        return scope.Return(last!.Value.Reshape(batch, Config.PaddedVocabulary));
    }

    /// <summary>The state before the first token.</summary>
    /// <param name="batch">Sequences side by side.</param>
    /// <returns>A state that fits this model.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There are no sequences.</exception>
    public LanguageState NewState(int batch)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batch, 1);
        return new LanguageState(batch, NewStates(batch));
    }

    /// <summary>Reads one token of each sequence. A warmed-up step of a state-space model allocates nothing.</summary>
    /// <param name="tokens">(B): whole numbers from 0, below the padded vocabulary.</param>
    /// <param name="state">What is remembered; updated.</param>
    /// <returns>(B, padded vocabulary): the logits of the token that follows.</returns>
    /// <inheritdoc cref="Forward(Tensor)" path="/exception"/>
    public Tensor Step(Tensor tokens, LanguageState state)
    {
        CheckTokens("Step", tokens, state, 1);
        using MemoryScope scope = new();
        Tensor hidden = MixStep(tokens, state);
        state.Position++;
        return scope.Return(Head(hidden));
    }

    /// <summary>
    /// Freezes the model for steps: its matrices are stored row by row, so that a step reads each weight once, and in fewer bits if asked.
    /// Norms, convolutions and what the scans read stay in float32.
    /// </summary>
    /// <param name="format">How numbers are stored; other than Float32, it cannot be undone.</param>
    /// <exception cref="InvalidOperationException">Weights are stored in fewer bits already.</exception>
    /// <exception cref="NonFiniteException">A weight is NaN or infinite.</exception>
    public void Store(WeightFormat format)
    {
        HashSet<string> matrices = [.. Parameters.All.Where(p => p.Tensor.Shape.Rank == 2
            && p.Name.EndsWith(".weight", StringComparison.Ordinal) && IsMatrix(p.Name)).Select(p => p.Name)];
        Parameters.Store(format, matrices.Contains);
    }

    /// <summary>Gives the memory of the parameters back; no call may be under way.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        foreach ((_, Tensor tensor) in Parameters.All)
        {
            tensor.Grad?.Dispose();
            tensor.Dispose();
        }
        GC.SuppressFinalize(this);
    }

    /// <summary>The layers over a sequence or its next part; the tokens are checked.</summary>
    /// <param name="tokens">(B, L).</param>
    /// <param name="state">What is remembered, or null.</param>
    /// <returns>(B, L, width): the residual stream before the last norm.</returns>
    protected abstract Tensor Mix(Tensor tokens, LanguageState? state);

    /// <summary>The layers over one token of each sequence; the tokens are checked.</summary>
    /// <param name="tokens">(B).</param>
    /// <param name="state">What is remembered.</param>
    /// <returns>(B, width): the residual stream before the last norm.</returns>
    protected abstract Tensor MixStep(Tensor tokens, LanguageState state);

    /// <summary>The last norm.</summary>
    /// <param name="hidden">(..., width).</param>
    /// <returns>(..., width).</returns>
    protected abstract Tensor Normalize(Tensor hidden);

    /// <summary>Whether linear layers and embeddings alone read a weight of two dimensions.</summary>
    /// <param name="name">Its name.</param>
    /// <returns>False if something else reads its floats.</returns>
    protected virtual bool IsMatrix(string name) => true;

    /// <summary>The states of the layers before the first token.</summary>
    /// <param name="batch">Sequences side by side.</param>
    /// <returns>One a layer.</returns>
    protected abstract SequenceState[] NewStates(int batch);

    private Tensor Head(Tensor hidden) => Ops.Linear(Normalize(hidden), Embedding);

    private Tensor Run(Tensor tokens, LanguageState? state)
    {
        CheckTokens("Forward", tokens, state, 2);
        Tensor hidden = Mix(tokens, state);
        if (state is not null) state.Position += tokens.Shape[1];
        return hidden;
    }

    private void CheckTokens(string name, Tensor tokens, LanguageState? state, int rank)
    {
        Parameters.ThrowIfCut();
        if (tokens.Shape.Rank != rank)
            throw new ShapeException(
                $"{GetType().Name}.{name}", $"tokens {tokens.Shape}; expected {(rank == 1 ? "one of each sequence, (B)" : "(B, L)")}");
        if (state is not null && state.Batch != tokens.Shape[0])
            throw new ShapeException(
                $"{GetType().Name}.{name}", $"a state of {state.Batch} sequences; expected one of {tokens.Shape[0]}");
    }
}
