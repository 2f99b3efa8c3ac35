using Mamba.Core;

namespace Mamba.Models.Sequences;

/// <summary>
/// Induction heads (Olsson et al. 2022; Gu and Dao 2023, section 4.1.2): among random tokens a special prefix token stands once, and once
/// more at the end. The answer is the token that followed it the first time.
/// </summary>
/// <param name="length">Positions; the paper trains at 256.</param>
/// <param name="seed">The seed of the sequences.</param>
/// <param name="vocabulary">Tokens in all, the prefix token included; the paper has 16.</param>
public sealed class InductionHeads(int length, ulong seed, int vocabulary = 16) : TokenTask(length, 3, seed)
{
    /// <inheritdoc/>
    public override string Name => SequenceTasks.Induction;

    /// <inheritdoc/>
    public override int? Vocabulary => vocabulary;

    /// <inheritdoc/>
    protected override TokenSequence Begin(RandomStream random, int length) => new Sequence(random, length, prefix: vocabulary - 1);

    private sealed class Sequence(RandomStream random, int length, int prefix) : TokenSequence
    {
        private readonly int _first = random.NextInt(length - 2);
        private int _answer;

        protected override (int Token, int Target) Token(int position)
        {
            if (position == length - 1) return (prefix, _answer);
            if (position == _first) return (prefix, SequenceBatch.NoAnswer);
            int token = random.NextInt(prefix);
            if (position == _first + 1) _answer = token;
            return (token, SequenceBatch.NoAnswer);
        }
    }
}
