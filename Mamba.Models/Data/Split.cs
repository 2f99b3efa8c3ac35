using Mamba.Core.Nn;

namespace Mamba.Models.Data;

/// <summary>What is dealt out at random.</summary>
public enum SplitProtocol
{
    /// <summary>Single slices, as the paper does it; neighbours of a training slice may be test slices.</summary>
    Slice,

    /// <summary>Whole patients: no patient on two sides.</summary>
    Patient,
}

/// <summary>A part of a split data set.</summary>
public enum SplitPart
{
    /// <summary>To learn from.</summary>
    Train,

    /// <summary>To choose the best weights by.</summary>
    Val,

    /// <summary>To measure on.</summary>
    Test,

    /// <summary>The three together.</summary>
    All,
}

/// <summary>The indices of a data set's samples in three parts, each in ascending order.</summary>
/// <param name="Train">Four fifths.</param>
/// <param name="Val">A tenth.</param>
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
    /// <exception cref="DatasetException">There are fewer than three slices, or patients, to deal.</exception>
    /// <exception cref="ArgumentOutOfRangeException">The limit is not positive.</exception>
    public static Split Of(ISegmentationData data, SplitProtocol protocol, ulong seed, int? limit = null)
    {
        if (limit is { } given) ArgumentOutOfRangeException.ThrowIfNegativeOrZero(given, nameof(limit));
        int[] samples = [.. Enumerable.Range(0, data.Count)];
        if (limit < samples.Length)
        {
            new RandomStream(seed, "split/limit").Shuffle(samples.AsSpan());
            samples = [.. samples.Take(limit.Value).Order()];
        }
        bool slices = protocol == SplitProtocol.Slice;
        int[][] dealt = slices ? [.. samples.Select(i => new[] { i })] : [.. samples.GroupBy(data.Patient).Select(patient => patient.ToArray())];
        int n = dealt.Length;
        if (n < 3)
            throw new DatasetException($"{samples.Length} images of {samples.Select(data.Patient).Distinct().Count()} patients cannot be split by {(slices ? "slice" : "patient")}: "
                + $"expected at least 3 {(slices ? "images" : "patients")}, one each to train, validate and test{(slices ? "" : "; splitting by slice needs no patients")}.");
        new RandomStream(seed, slices ? "split/slice" : "split/patient").Shuffle(dealt.AsSpan());
        int val = Math.Max(1, n / 10), train = Math.Min((int)(n * 8L / 10), n - val - 1);
        return new Split(Join(dealt[..train]), Join(dealt[train..(train + val)]), Join(dealt[(train + val)..]));
    }

    private static int[] Join(int[][] groups) => [.. groups.SelectMany(group => group).Order()];
}
