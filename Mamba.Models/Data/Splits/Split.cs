using Mamba.Core.Nn;

namespace Mamba.Models.Data.Splits;

/// <summary>The indices of a data set's samples in three parts, each in ascending order.</summary>
/// <param name="Train">Where dealt, four fifths.</param>
/// <param name="Val">Where dealt, a tenth.</param>
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
    /// Deals slices or patients out by seed: of n, floor(0.8 n) to train and floor(0.1 n) to validate, the rest to test; of fewer than ten, one at
    /// least to each part. The same arguments give the same split on every machine.
    /// </summary>
    /// <param name="data">What to split.</param>
    /// <param name="protocol">Whether slices or patients are dealt.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="limit">How many samples to choose at random before that; null for all.</param>
    /// <returns>Three parts, none of them empty.</returns>
    /// <exception cref="DatasetException">There are fewer than three slices, or patients, to deal, or a part that the makers of the data gave is empty.</exception>
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
        if (protocol is SplitProtocol.Official or SplitProtocol.Holdout) return Given(data, samples, protocol, seed);
        bool slices = protocol == SplitProtocol.Image;
        int[][] dealt = slices ? [.. samples.Select(i => new[] { i })] : [.. samples.GroupBy(data.Patient).Select(patient => patient.ToArray())];
        int n = dealt.Length;
        if (n < 3)
            throw new DatasetException($"{samples.Length} images of {samples.Select(data.Patient).Distinct().Count()} patients cannot be split by {(slices ? "slice" : "patient")}: "
                + $"expected at least 3 {(slices ? "images" : "patients")}, one each to train, validate and test{(slices ? "" : "; splitting by slice needs no patients")}.");
        new RandomStream(seed, slices ? "split/slice" : "split/patient").Shuffle(dealt.AsSpan());
        int val = Math.Max(1, n / 10), train = Math.Min((int)(n * 8L / 10), n - val - 1);
        return new Split(Join(dealt[..train]), Join(dealt[train..(train + val)]), Join(dealt[(train + val)..]));
    }

    /// <summary>The same parts without some samples.</summary>
    /// <param name="samples">Those that are left out.</param>
    /// <returns>Three parts, none of them empty.</returns>
    /// <exception cref="DatasetException">Nothing is left of a part.</exception>
    public Split Without(IEnumerable<int> samples)
    {
        HashSet<int> left = [.. samples];
        if (left.Count == 0) return this;
        Split rest = new(Rest(Train), Rest(Val), Rest(Test));
        return rest.Train.Length > 0 && rest.Val.Length > 0 && rest.Test.Length > 0 ? rest
            : throw new DatasetException($"without {left.Count} images {rest.Train.Length} are left to train, {rest.Val.Length} to validate and {rest.Test.Length} to test on; expected some of each.");

        int[] Rest(int[] part) => [.. part.Where(i => !left.Contains(i))];
    }

    private static Split Given(IImageData data, int[] samples, SplitProtocol protocol, ulong seed)
    {
        ILookup<SplitPart?, int> parts = samples.ToLookup(data.Part);
        int[] train = [.. parts[SplitPart.Train]], val = [.. parts[SplitPart.Val]], test = [.. parts[SplitPart.Test]];
        if (test.Length == 0) test = val;
        if (protocol == SplitProtocol.Holdout)
        {
            int[] dealt = [.. train.Concat(val == test ? [] : val)];
            new RandomStream(seed, "split/holdout").Shuffle(dealt.AsSpan());
            int held = Math.Min(dealt.Length, Math.Max(1, dealt.Length / 10));
            train = [.. dealt[held..].Order()];
            val = [.. dealt[..held].Order()];
        }
        else if (val.Length == 0) val = test;
        return train.Length > 0 && val.Length > 0 && test.Length > 0
            ? new Split(train, val, test)
            : throw new DatasetException($"{samples.Length} images with {train.Length} to train, {val.Length} to validate and {test.Length} to test on by their makers: "
                + $"expected some of each for a split that is {protocol.ToString().ToLowerInvariant()}.");
    }

    private static int[] Join(int[][] groups) => [.. groups.SelectMany(group => group).Order()];
}
