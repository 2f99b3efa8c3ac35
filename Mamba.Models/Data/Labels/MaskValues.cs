namespace Mamba.Models.Data.Labels;

/// <summary>The values in one mask file, and how many pixels have each.</summary>
public sealed class MaskValues
{
    /// <summary>The most distinct values that are counted; a mask with more is a picture.</summary>
    public const int MaxDistinct = 4096;

    private MaskValues(RawMask mask, SortedDictionary<int, long> counts, Dictionary<int, long> runs, bool tooMany)
    {
        (Encoding, Palette, Lossy, Opacity) = (mask.Encoding, mask.Palette, mask.Lossy, mask.Opacity);
        (Counts, Runs, TooMany) = (counts, runs, tooMany);
    }

    /// <summary>What the values are.</summary>
    public MaskEncoding Encoding { get; }

    /// <summary>The colors of palette indices; null without a palette.</summary>
    public IReadOnlyList<int>? Palette { get; }

    /// <summary>Whether compression may have changed values.</summary>
    public bool Lossy { get; }

    /// <summary>The pixels of each value, in ascending order of the values.</summary>
    public IReadOnlyDictionary<int, long> Counts { get; }

    /// <summary>The runs of each value in the rows: few in a mask, as many as there are pixels in a photograph.</summary>
    public IReadOnlyDictionary<int, long> Runs { get; }

    /// <summary>Whether there are more than <see cref="MaxDistinct"/> values, of which the first are counted.</summary>
    public bool TooMany { get; }

    /// <inheritdoc cref="RawMask.Opacity"/>
    internal byte? Opacity { get; }

    /// <summary>Whether it can stand among opacities. A black file without any is empty there, too.</summary>
    internal bool IsOpacity => Encoding == MaskEncoding.Alpha || Opacity is not null
        || (Encoding == MaskEncoding.Gray && Counts.Keys.All(value => value == 0));

    /// <summary>Counts the values of a mask.</summary>
    /// <param name="mask">The mask.</param>
    /// <returns>The values.</returns>
    public static MaskValues Of(RawMask mask)
    {
        SortedDictionary<int, long> counts = [];
        Dictionary<int, long> runs = [];
        ReadOnlySpan<int> values = mask.Values;
        for (int at = 0; at < values.Length;)
        {
            int value = values[at], run = values[at..].IndexOfAnyExcept(value); // masks are made of runs
            if (run < 0) run = values.Length - at;
            if (!counts.TryGetValue(value, out long count) && counts.Count == MaxDistinct) return new MaskValues(mask, counts, runs, true);
            counts[value] = count + run;
            at += run;
            runs[value] = runs.GetValueOrDefault(value) + 1;
        }
        return new MaskValues(mask, counts, runs, false);
    }

    /// <summary>The same pixels in another encoding.</summary>
    internal IEnumerable<KeyValuePair<int, long>> In(MaskEncoding encoding) =>
        encoding == Encoding ? Counts : Counts.Select(count =>
            KeyValuePair.Create(MaskMeaning.Convert(count.Key, Encoding, encoding, Palette, Opacity), count.Value));
}
