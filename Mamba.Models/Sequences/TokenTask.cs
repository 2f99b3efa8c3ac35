using System.Globalization;
using Mamba.Core;
using Mamba.Models.Data;

namespace Mamba.Models.Sequences;

/// <summary>A task on tokens that the seed makes. A sequence is made from front to back, so that it may be longer than memory.</summary>
public abstract class TokenTask : SequenceTask
{
    private readonly ulong _seed;

    /// <summary>A task with a seed.</summary>
    /// <param name="length">Positions of a sequence of training.</param>
    /// <param name="least">The fewest positions that make sense.</param>
    /// <param name="seed">The seed of the sequences.</param>
    /// <exception cref="ArgumentException">The sequence is too short.</exception>
    protected TokenTask(int length, int least, ulong seed)
    {
        (Length, Least, _seed) = (length, least, seed);
        ThrowIfShort(length);
    }

    /// <inheritdoc/>
    public sealed override int Length { get; }

    /// <inheritdoc/>
    public sealed override IReadOnlyList<string> Labels =>
        [.. Enumerable.Range(0, Vocabulary!.Value).Select(token => token.ToString(CultureInfo.InvariantCulture))];

    /// <summary>The fewest positions that a sequence has.</summary>
    public int Least { get; }

    /// <inheritdoc/>
    public sealed override int? Count(SplitPart part) => null;

    /// <summary>Opens a sequence of any length.</summary>
    /// <param name="part">Train, Val or Test.</param>
    /// <param name="number">Its number, from 0.</param>
    /// <param name="length">Its positions.</param>
    /// <returns>The sequence, at its start.</returns>
    /// <exception cref="ArgumentException">The sequence is too short.</exception>
    public TokenSequence Open(SplitPart part, long number, int length)
    {
        ThrowIfShort(length);
        // Another length is another sequence, not the start of one.
        return Begin(new RandomStream(_seed, FormattableString.Invariant($"{Name}.{part}.{length}.{number}")), length);
    }

    /// <summary>A sequence at its start.</summary>
    /// <param name="random">Its random numbers.</param>
    /// <param name="length">Its positions.</param>
    /// <returns>The sequence.</returns>
    protected abstract TokenSequence Begin(RandomStream random, int length);

    /// <inheritdoc/>
    protected sealed override void Write(SplitPart part, long number, Span<float> inputs, Span<int> targets) =>
        Open(part, number, Length).Next(inputs, targets);

    private void ThrowIfShort(int length)
    {
        if (length < Least)
            throw new ArgumentException(
                FormattableString.Invariant($"a sequence of {Name} has {length} positions; expected at least {Least}"));
    }
}

/// <summary>A sequence of tokens that is read from front to back, in parts of any size.</summary>
public abstract class TokenSequence
{
    private int _at;

    /// <summary>The next positions.</summary>
    /// <param name="inputs">Takes their tokens.</param>
    /// <param name="targets">Takes what is asked for at each, or <see cref="SequenceBatch.NoAnswer"/>.</param>
    public void Next(Span<float> inputs, Span<int> targets)
    {
        for (int i = 0; i < inputs.Length; i++) (inputs[i], targets[i]) = Token(_at++);
    }

    /// <summary>The token at a position, and the answer there. Positions are asked for in turn.</summary>
    /// <param name="position">The position, from 0.</param>
    /// <returns>Token and target.</returns>
    protected abstract (int Token, int Target) Token(int position);
}
