using Mamba.Core;

namespace Mamba.Models.Data.Splits;

/// <summary>The indices of a data set's samples in three parts, each in ascending order.</summary>
/// <param name="Train">Four fifths of a random split.</param>
/// <param name="Val">A tenth of a random split.</param>
/// <param name="Test">The rest.</param>
public sealed record Split(int[] Train, int[] Val, int[] Test)
{
    /// <summary>
    /// Whether the validation images are the test images, as with an official split that has no validation part. The epoch that they choose
    /// is the one that suits the test best, so its score is optimistic.
    /// </summary>
    public bool ValidatesOnTest => Val.AsSpan().SequenceEqual(Test);

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
    /// <param name="options">By image, by patient, or the official split; folds; strata.</param>
    /// <returns>Three parts, none of them empty.</returns>
    /// <exception cref="DatasetException">
    /// There are fewer images or patients than parts, nothing tells patients apart, or a part of the official split is empty.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">The limit is not positive.</exception>
    public static Split Of(IImageData data, SplitOptions options)
    {
        int[] samples = Choose(data.Count, options.Seed, options.Limit);
        if (options.Protocol is SplitProtocol.Official or SplitProtocol.Holdout) return Official(data, samples, options);
        bool byImage = options.Protocol == SplitProtocol.Image;
        if (!byImage && !data.KnowsPatients)
            throw new DatasetException(
                "nothing tells the patients of these images apart; expected a folder per patient, --patients FILE.csv with NAME,PATIENT, "
                    + "or --patient-pattern REGEX; --protocol slice splits by image");
        int[][] groups = byImage
            ? [.. samples.Select(i => new[] { i })]
            : [.. samples.GroupBy(data.Patient).Select(patient => patient.ToArray())];
        int n = groups.Length, fewest = Math.Max(3, options.Fold?.Count ?? 0);
        if (n < fewest)
            throw new DatasetException(
                $"{samples.Length} images of {samples.Select(data.Patient).Distinct().Count()} patients cannot be split "
                    + $"by {options.Protocol.ToWord()}: expected at least {fewest} {(byImage ? "images" : "patients")}, "
                    + $"{(options.Fold is null ? "one each for training, validation and test" : "one for each fold")}"
                    + $"{(byImage ? "" : "; a split by image needs no patients")}.");
        new RandomStream(options.Seed, byImage ? "split/slice" : "split/patient").Shuffle(groups.AsSpan());
        if (options.Stratified) groups = [.. groups.OrderBy(group => group.Max(data.Stratum) ?? -1)]; // stable: random within a stratum
        return options.Fold is { } fold ? OfFold(groups, fold) : OfStrata(groups, data, options);
    }

    /// <summary>The samples that a limit leaves, in ascending order.</summary>
    /// <param name="count">The samples of the data set.</param>
    /// <param name="seed">The seed.</param>
    /// <param name="limit">The number to choose; null for all.</param>
    /// <returns>Their indices.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The limit is not positive.</exception>
    public static int[] Choose(int count, ulong seed, int? limit)
    {
        if (limit is { } given) ArgumentOutOfRangeException.ThrowIfNegativeOrZero(given, nameof(limit));
        int[] samples = [.. Enumerable.Range(0, count)];
        if (!(limit < count)) return samples;
        new RandomStream(seed, "split/limit").Shuffle(samples.AsSpan());
        return [.. samples.Take(limit.Value).Order()];
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

    /// <summary>8 : 1 : 1. Without strata the parts are runs of the shuffled groups; with strata they are dealt evenly from each.</summary>
    private static Split OfStrata(int[][] groups, IImageData data, SplitOptions options)
    {
        int n = groups.Length, val = Math.Max(1, n / 10), train = Math.Min((int)(n * 8L / 10), n - val - 1);
        bool strata = options.Stratified && groups.Select(group => group.Max(data.Stratum)).Distinct().Skip(1).Any();
        if (!strata) return new Split(Join(groups[..train]), Join(groups[train..(train + val)]), Join(groups[(train + val)..]));
        (int[][] held, int[][] rest) = Deal(groups, n - train);
        (int[][] validation, int[][] test) = Deal(held, val);
        return new Split(Join(rest), Join(validation), Join(test));
    }

    /// <summary>The groups of one fold for test, an eighth of the others for validation.</summary>
    private static Split OfFold(int[][] groups, Fold fold)
    {
        int[][] test = [.. groups.Where((_, i) => i % fold.Count == fold.Number - 1)];
        int[][] others = [.. groups.Where((_, i) => i % fold.Count != fold.Number - 1)];
        (int[][] validation, int[][] train) = Deal(others, Math.Max(1, others.Length / 8));
        return new Split(Join(train), Join(validation), Join(test));
    }

    /// <summary>Takes some groups at even distances: of each stratum its share, give or take one.</summary>
    private static (int[][] Taken, int[][] Others) Deal(int[][] groups, int count)
    {
        ILookup<bool, int[]> dealt = groups.Index()
            .ToLookup(entry => (entry.Index + 1L) * count / groups.Length > (long)entry.Index * count / groups.Length, entry => entry.Item);
        return ([.. dealt[true]], [.. dealt[false]]);
    }

    private static Split Official(IImageData data, int[] samples, SplitOptions options)
    {
        ILookup<SplitPart?, int> parts = samples.ToLookup(data.Part);
        int[] train = [.. parts[SplitPart.Train]], val = [.. parts[SplitPart.Val]], test = [.. parts[SplitPart.Test]];
        if (test.Length == 0) test = val;
        if (options.Protocol == SplitProtocol.Holdout)
        {
            int[] all = [.. train.Concat(val == test ? [] : val)];
            new RandomStream(options.Seed, "split/holdout").Shuffle(all.AsSpan());
            int held = Math.Min(all.Length, Math.Max(1, all.Length / 10));
            train = [.. all[held..].Order()];
            val = [.. all[..held].Order()];
        }
        else if (val.Length == 0) val = test;
        return train.Length > 0 && val.Length > 0 && test.Length > 0
            ? new Split(train, val, test)
            : throw new DatasetException(
                $"{samples.Length} images with {train.Length} for training, {val.Length} for validation and {test.Length} for test in the "
                    + $"official split: expected some of each for the protocol {options.Protocol.ToWord()}, or slice, which splits at "
                    + "random.");
    }

    private static int[] Join(int[][] groups) => [.. groups.SelectMany(group => group).Order()];
}
