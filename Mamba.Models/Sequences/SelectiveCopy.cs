using Mamba.Core;

namespace Mamba.Models.Sequences;

/// <summary>
/// Selective copying (Arjovsky et al. 2016 with gaps; Gu and Dao 2023, section 4.1.1): data tokens stand at random places among noise, then
/// markers ask for them in their order. A layer that treats all tokens alike cannot do it: what to keep depends on the token.
/// </summary>
public sealed class SelectiveCopy : TokenTask
{
    private const int Noise = 0;

    /// <summary>The task.</summary>
    /// <param name="length">Positions among which the data tokens stand; the markers follow. The paper has 4,096.</param>
    /// <param name="seed">The seed of the sequences.</param>
    /// <param name="memorize">Data tokens; the paper has 16.</param>
    /// <param name="vocabulary">Tokens in all: noise 0, the marker, and the data tokens between. The paper has 16.</param>
    /// <exception cref="ArgumentException">The length has no room for the tokens.</exception>
    public SelectiveCopy(int length, ulong seed, int memorize = 16, int vocabulary = 16)
        : base(length + memorize, 2 * memorize, seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(vocabulary, 3);
        (Memorize, Tokens) = (memorize, vocabulary);
    }

    /// <inheritdoc/>
    public override string Name => SequenceTasks.SelectiveCopy;

    /// <inheritdoc/>
    public override int? Vocabulary => Tokens;

    /// <summary>Data tokens of a sequence.</summary>
    public int Memorize { get; }

    private int Tokens { get; }

    /// <inheritdoc/>
    protected override TokenSequence Begin(RandomStream random, int length) => new Sequence(random, length, this);

    private sealed class Sequence : TokenSequence
    {
        private readonly SelectiveCopy _task;
        private readonly int[] _places;
        private readonly int[] _data;
        private readonly int _room;
        private int _seen;

        public Sequence(RandomStream random, int length, SelectiveCopy task)
        {
            (_task, _room) = (task, length - task.Memorize);
            _places = Places(random, task.Memorize, _room);
            _data = new int[task.Memorize];
            for (int i = 0; i < _data.Length; i++) _data[i] = 1 + random.NextInt(task.Tokens - 2);
        }

        protected override (int Token, int Target) Token(int position)
        {
            if (position >= _room) return (_task.Tokens - 1, _data[position - _room]);
            bool data = _seen < _places.Length && _places[_seen] == position;
            return (data ? _data[_seen++] : Noise, SequenceBatch.NoAnswer);
        }

        /// <summary>Different places in rising order, any set of them as likely as another (Floyd's method).</summary>
        private static int[] Places(RandomStream random, int count, int room)
        {
            SortedSet<int> places = [];
            for (int top = room - count; top < room; top++)
                if (!places.Add(random.NextInt(top + 1))) places.Add(top);
            return [.. places];
        }
    }
}
