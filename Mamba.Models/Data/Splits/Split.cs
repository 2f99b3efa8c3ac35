using Mamba.Core;

namespace Mamba.Models.Data.Splits;

/// <summary>The indices of a data set's samples in three parts, each in ascending order.</summary>
/// <param name="Train">Four fifths of a random split.</param>
/// <param name="Val">A tenth of a random split.</param>
/// <param name="Test">The rest.</param>
public sealed record Split(int[] Train, int[] Val, int[] Test)
{
    /// <summary>The samples of a part.</summary>
    /// <param name="part">Which.</param>
    public int[] this[SplitPart part] => part switch
    {
        SplitPart.Train => Train,
        SplitPart.Val => Val,
        SplitPart.Test => Test,
        _ => [.. Train.Concat(Val).Concat(Test).Order()],
    };

    /// <summary>
    /// Splits a data set. A random split of n images or patients has floor(0.8 n) for training, floor(0.1 n) for validation and the rest
    /// for test. With fewer than ten, each part gets at least one. The same arguments give the same split on every machine.
    /// </summary>
    /// <param name="data">What to split.</param>
    /// <param name="protocol">By image, by patient, or the official split.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="limit">The number of samples to choose at random first; null for all.</param>
    /// <returns>Three parts, none of them empty.</returns>
    /// <exception cref="DatasetException">
    /// There are fewer than three images or patients, or a part of the official split is empty.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The limit is not positive.</exception>
    public static Split Of(IImageData data, SplitProtocol protocol, ulong seed, int? limit = null)
    {
        if (limit is { } given) ArgumentOutOfRangeException.ThrowIfNegativeOrZero(given, nameof(limit));
        int[] samples = [.. Enumerable.Range(0, data.Count)];
        if (limit < samples.Length)
        {
            new RandomStream(seed, "split/limit").Shuffle(samples.AsSpan());
            samples = [.. samples.Take(limit.Value).Order()];
        }
        if (protocol is SplitProtocol.Official or SplitProtocol.Holdout) return Official(data, samples, protocol, seed);
        bool byImage = protocol == SplitProtocol.Image;
        int[][] groups = byImage
            ? [.. samples.Select(i => new[] { i })]
            : [.. samples.GroupBy(data.Patient).Select(patient => patient.ToArray())];
        int n = groups.Length;
        if (n < 3)
            throw new DatasetException(
                $"{samples.Length} images of {samples.Select(data.Patient).Distinct().Count()} patients cannot be split "
                    + $"by {protocol.ToWord()}: "
                    + $"expected at least 3 {(byImage ? "images" : "patients")}, one each for training, validation and test"
                    + $"{(byImage ? "" : "; a split by image needs no patients")}.");
        new RandomStream(seed, byImage ? "split/slice" : "split/patient").Shuffle(groups.AsSpan());
        int val = Math.Max(1, n / 10), train = Math.Min((int)(n * 8L / 10), n - val - 1);
        return new Split(Join(groups[..train]), Join(groups[train..(train + val)]), Join(groups[(train + val)..]));
    }

    /// <summary>The same split without some samples.</summary>
    /// <param name="samples">The samples to leave out.</param>
    /// <returns>Three parts, none of them empty.</returns>
    /// <exception cref="DatasetException">A part is empty without them.</exception>
    public Split Without(IEnumerable<int> samples)
    {
        HashSet<int> left = [.. samples];
        if (left.Count == 0) return this;
        Split rest = new(Rest(Train), Rest(Val), Rest(Test));
        return rest.Train.Length > 0 && rest.Val.Length > 0 && rest.Test.Length > 0 ? rest
            : throw new DatasetException(
                $"without {left.Count} images {rest.Train.Length} are left for training, {rest.Val.Length} for validation and "
                    + $"{rest.Test.Length} for test; expected some of each.");

        int[] Rest(int[] part) => [.. part.Where(i => !left.Contains(i))];
    }

    private static Split Official(IImageData data, int[] samples, SplitProtocol protocol, ulong seed)
    {
        ILookup<SplitPart?, int> parts = samples.ToLookup(data.Part);
        int[] train = [.. parts[SplitPart.Train]], val = [.. parts[SplitPart.Val]], test = [.. parts[SplitPart.Test]];
        if (test.Length == 0) test = val;
        if (protocol == SplitProtocol.Holdout)
        {
            int[] all = [.. train.Concat(val == test ? [] : val)];
            new RandomStream(seed, "split/holdout").Shuffle(all.AsSpan());
            int held = Math.Min(all.Length, Math.Max(1, all.Length / 10));
            train = [.. all[held..].Order()];
            val = [.. all[..held].Order()];
        }
        else if (val.Length == 0) val = test;
        return train.Length > 0 && val.Length > 0 && test.Length > 0
            ? new Split(train, val, test)
            : throw new DatasetException(
                $"{samples.Length} images with {train.Length} for training, {val.Length} for validation and {test.Length} for test in the "
                    + $"official split: expected some of each for the protocol {protocol.ToWord()}.");
    }

    private static int[] Join(int[][] groups) => [.. groups.SelectMany(group => group).Order()];
}
