using Mamba.Core;
using Mamba.Models.Data;

namespace Mamba.Models.Sequences;

/// <summary>
/// A set of sequences of real values, each with a class. Training goes through its sequences in a new random order each time; a tenth of
/// them is held out for validation where the set has no validation part.
/// </summary>
/// <param name="seed">The seed of the split and of the order.</param>
public abstract class ClassifiedSequences(ulong seed) : SequenceTask
{
    private const int HeldOut = 10;

    private readonly Dictionary<SplitPart, int[]> _parts = [];
    private long _pass = -1;
    private int[] _order = [];

    /// <inheritdoc/>
    public sealed override int? Vocabulary => null;

    /// <summary>The seed of the split and of the order.</summary>
    protected ulong Seed => seed;

    /// <inheritdoc/>
    public sealed override int? Count(SplitPart part) => _parts[part].Length;

    /// <summary>Splits the set.</summary>
    /// <param name="part">The part of each sample, by the set's own split.</param>
    protected void Split(IReadOnlyList<SplitPart> part) => Split(part, null);

    /// <summary>Splits the set.</summary>
    /// <param name="part">The part of each sample, by the set's own split.</param>
    /// <param name="labels">The class of each, so that validation takes the last training sample of none; null for large sets.</param>
    private protected void Split(IReadOnlyList<SplitPart> part, IReadOnlyList<int>? labels)
    {
        int[] train = [.. Enumerable.Range(0, part.Count).Where(i => part[i] == SplitPart.Train)];
        int[] validation = [.. Enumerable.Range(0, part.Count).Where(i => part[i] == SplitPart.Val)];
        if (validation.Length == 0 && train.Length > 0)
        {
            new RandomStream(seed, $"{Name}.split").Shuffle(train.AsSpan());
            HashSet<int> held = FirstTenth(train, labels);
            (validation, train) = ([.. train.Where(held.Contains).Order()], [.. train.Where(i => !held.Contains(i)).Order()]);
        }
        _parts[SplitPart.Train] = train;
        _parts[SplitPart.Val] = validation;
        _parts[SplitPart.Test] = [.. Enumerable.Range(0, part.Count).Where(i => part[i] == SplitPart.Test)];
        foreach ((SplitPart name, int[] samples) in _parts)
            if (samples.Length == 0)
                throw new DatasetException(
                    $"{Name}: {part.Count} sequences leave none for {Named(name)}; expected more, or {{train,val,test}}/CLASS/NAME");

        static string Named(SplitPart part) => part switch
        {
            SplitPart.Train => "training",
            SplitPart.Val => "validation",
            _ => "the test",
        };
    }

    /// <summary>The first tenth of shuffled samples, without the last one of any class.</summary>
    private static HashSet<int> FirstTenth(int[] shuffled, IReadOnlyList<int>? labels)
    {
        int most = Math.Max(1, shuffled.Length / HeldOut);
        if (labels is null) return [.. shuffled[..most]];
        Dictionary<int, int> left = shuffled.CountBy(i => labels[i]).ToDictionary();
        HashSet<int> held = [];
        foreach (int i in shuffled)
        {
            if (held.Count == most) break;
            if (left[labels[i]] == 1) continue;
            left[labels[i]]--;
            held.Add(i);
        }
        return held;
    }

    /// <summary>Makes samples the test part of a set that has no other.</summary>
    /// <param name="samples">Their indices.</param>
    private protected void Measure(IReadOnlyList<int> samples)
    {
        _parts[SplitPart.Train] = _parts[SplitPart.Val] = [];
        _parts[SplitPart.Test] = [.. samples];
    }

    /// <summary>The indices of a part.</summary>
    /// <param name="part">Train, Val or Test.</param>
    /// <returns>Indices in the set, ascending.</returns>
    public IReadOnlyList<int> Samples(SplitPart part) => _parts[part];

    /// <summary>Writes a sample.</summary>
    /// <param name="index">Its index in the set.</param>
    /// <param name="random">Random numbers for a crop; null for the same crop each time.</param>
    /// <param name="inputs">Length * Channels values.</param>
    /// <returns>Its class.</returns>
    protected abstract int Write(int index, RandomStream? random, Span<float> inputs);

    /// <inheritdoc/>
    protected sealed override void Write(SplitPart part, long number, Span<float> inputs, Span<int> targets)
    {
        int[] samples = _parts[part];
        bool training = part == SplitPart.Train;
        int at = (int)(number % samples.Length), index = training ? Order(samples, number / samples.Length)[at] : samples[at];
        targets[0] = Write(index, training ? Random(seed, part, number) : null, inputs);
    }

    /// <summary>The order of a pass over the training set.</summary>
    private int[] Order(int[] samples, long pass)
    {
        if (pass == _pass) return _order;
        _order = [.. samples];
        new RandomStream(seed, FormattableString.Invariant($"{Name}.order.{pass}")).Shuffle(_order.AsSpan());
        _pass = pass;
        return _order;
    }
}
