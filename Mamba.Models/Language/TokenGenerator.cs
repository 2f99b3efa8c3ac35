using Mamba.Core;
using Mamba.Core.Memory;

namespace Mamba.Models.Language;

/// <summary>
/// Continues a prompt token by token: the prompt is read by the scan, in parts, and each further token is one step. Memory does not depend
/// on the length, and a warmed-up token allocates nothing, but for a Transformer.
/// </summary>
public sealed class TokenGenerator
{
    private readonly LanguageModel _model;
    private readonly Sampler _sampler;
    private readonly LanguageState _state;
    private readonly Tensor _token = Tensor.Zeros(1);
    private readonly int _vocabulary;
    private bool _started;

    /// <summary>A generator that has read nothing.</summary>
    /// <param name="model">The model; frozen, or every step packs its weights again.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="vocabulary">Tokens from 0 up to this one are chosen from; at most the padded vocabulary.</param>
    /// <exception cref="ArgumentOutOfRangeException">The vocabulary is larger, or an option is out of its range.</exception>
    public TokenGenerator(LanguageModel model, SamplingOptions options, int vocabulary)
        : this(model, options, vocabulary, [])
    {
    }

    /// <summary>As the other; numbers that are no tokens of the tokenizer are never chosen.</summary>
    /// <param name="model">The model; frozen, or every step packs its weights again.</param>
    /// <param name="options">How tokens are chosen.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The vocabulary is larger than the model's, or an option is out of its range.
    /// </exception>
    public TokenGenerator(LanguageModel model, SamplingOptions options, TextTokenizer tokenizer)
        : this(
            model, options, tokenizer.Vocabulary,
            [.. Enumerable.Range(0, tokenizer.Vocabulary).Where(t => tokenizer.BytesOf(t).IsEmpty && !tokenizer.IsEnd(t))])
    {
    }

    private TokenGenerator(LanguageModel model, SamplingOptions options, int vocabulary, int[] excluded)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(vocabulary, model.Config.PaddedVocabulary);
        (_model, _vocabulary) = (model, vocabulary);
        _sampler = new Sampler(vocabulary, options, excluded);
        _state = model.NewState(1);
    }

    /// <summary>Whether the model has no position for the token that was chosen last, so that none can follow it.</summary>
    public bool IsFull => _model.LongestSequence is { } longest && _state.Position >= longest;

    /// <summary>Reads a prompt, or more text after what was generated, and chooses the token that follows.</summary>
    /// <param name="prompt">At least one token.</param>
    /// <param name="cancellation">Stops between parts of the prompt; the generator is then of no further use.</param>
    /// <returns>The token after it.</returns>
    /// <exception cref="ArgumentException">There are no tokens.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A token is not in the vocabulary.</exception>
    /// <exception cref="ShapeException">A Transformer has no positions left.</exception>
    /// <exception cref="NonFiniteException">The logits are not finite.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public int Read(ReadOnlySpan<int> prompt, CancellationToken cancellation = default)
    {
        if (prompt.IsEmpty) throw new ArgumentException("TokenGenerator.Read: the prompt has no tokens.", nameof(prompt));
        using MemoryScope scope = new();
        int last = _started ? 1 : 0; // the token that was chosen and not yet read
        Tensor tokens = Tensor.Empty(1, prompt.Length + last);
        if (last > 0) tokens.Span[0] = _token.Span[0];
        for (int i = 0; i < prompt.Length; i++)
        {
            if ((uint)prompt[i] >= (uint)_vocabulary)
                throw new ArgumentOutOfRangeException(
                    nameof(prompt), prompt[i], $"TokenGenerator.Read: expected tokens from 0 to {_vocabulary - 1}.");
            tokens.Span[last + i] = prompt[i];
            _sampler.See(prompt[i]);
        }
        return Choose(_model.Prefill(tokens, _state, cancellation: cancellation));
    }

    /// <summary>Reads the token that was chosen last, and chooses the one that follows.</summary>
    /// <returns>The next token.</returns>
    /// <exception cref="InvalidOperationException">Nothing was read before.</exception>
    /// <exception cref="ShapeException">A Transformer has no positions left.</exception>
    /// <exception cref="NonFiniteException">The logits are not finite.</exception>
    public int Next()
    {
        if (!_started) throw new InvalidOperationException("TokenGenerator.Next: read a prompt first.");
        using MemoryScope scope = new();
        return Choose(_model.Step(_token, _state));
    }

    private int Choose(Tensor logits)
    {
        int token = _sampler.Next(logits.Span);
        _token.Span[0] = token;
        _started = true;
        return token;
    }
}
