using Mamba.Core;
using Mamba.Models.Data;

namespace Mamba.Models.Sequences;

/// <summary>
/// A task on sequences: inputs, targets and which of them count. A sequence is a function of the seed, the part of the data and its number
/// alone, so that training can begin at any step, and a test never meets a training sequence's random numbers.
/// </summary>
public abstract class SequenceTask
{
    /// <summary>The name on the command line.</summary>
    public abstract string Name { get; }

    /// <summary>Positions of a sequence.</summary>
    public abstract int Length { get; }

    /// <summary>The number of different tokens; null for sequences of real values.</summary>
    public abstract int? Vocabulary { get; }

    /// <summary>Values of a position; 1 for tokens.</summary>
    public virtual int Channels => 1;

    /// <summary>Samples a second of signals; null where that is not known, or means nothing.</summary>
    public virtual int? Rate => null;

    /// <summary>The names of the classes that an answer chooses from.</summary>
    public abstract IReadOnlyList<string> Labels { get; }

    /// <summary>Whether positions have answers; otherwise a sequence has one as a whole.</summary>
    public bool AnswersPositions => Vocabulary is not null;

    /// <summary>The number of sequences of a part; null where they are made by the seed, without end.</summary>
    /// <param name="part">Train, Val or Test.</param>
    /// <returns>How many, or null.</returns>
    public abstract int? Count(SplitPart part);

    /// <summary>A batch of sequences; its tensor belongs to the caller's scope.</summary>
    /// <param name="part">Train, Val or Test.</param>
    /// <param name="first">The number of its first sequence. Sequences of a training set come in another order each time.</param>
    /// <param name="count">How many.</param>
    /// <returns>The batch.</returns>
    public SequenceBatch Batch(SplitPart part, long first, int count)
    {
        int inputs = Length * Channels, answers = AnswersPositions ? Length : 1;
        Tensor tensor = AnswersPositions ? Tensor.Empty(count, Length) : Tensor.Empty(count, Length, Channels);
        int[] targets = new int[count * answers];
        for (int i = 0; i < count; i++)
            Write(part, first + i, tensor.Span.Slice(i * inputs, inputs), targets.AsSpan(i * answers, answers));
        return new SequenceBatch(tensor, targets, targets.Count(target => target != SequenceBatch.NoAnswer));
    }

    /// <summary>Writes one sequence.</summary>
    /// <param name="part">Train, Val or Test.</param>
    /// <param name="number">Its number, from 0.</param>
    /// <param name="inputs">Length * Channels values or tokens.</param>
    /// <param name="targets">A class for each position, or one for the sequence.</param>
    protected abstract void Write(SplitPart part, long number, Span<float> inputs, Span<int> targets);

    /// <summary>The random numbers of a sequence.</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="part">The part.</param>
    /// <param name="number">The sequence's number.</param>
    /// <returns>A stream of its own.</returns>
    protected RandomStream Random(ulong seed, SplitPart part, long number) =>
        new(seed, FormattableString.Invariant($"{Name}.{part}.{number}"));
}
