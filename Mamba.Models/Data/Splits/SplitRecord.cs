using System.Text;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Data.Splits;

/// <summary>
/// Which samples a model was trained, validated and tested on, as a weight file keeps it: a digest of each part and, for folders, a hash of
/// each name. So a measurement can tell the test images from those that were trained on, also in a copy of the folder.
/// </summary>
public sealed class SplitRecord
{
    private const int LeastBytes = 4, MostBytes = 8;

    private readonly Dictionary<ulong, SplitPart>? _parts;

    /// <summary>A record as a weight file has it.</summary>
    /// <param name="counts">The samples of train, val, test, and those left out.</param>
    /// <param name="digests">The digest of each of the four.</param>
    /// <param name="hashes">The hashes of the names in each of the four, of <paramref name="hashBytes"/> bytes; null without names.</param>
    /// <param name="hashBytes">4 to 8; 0 without names.</param>
    /// <exception cref="FormatException">The arrays do not fit together.</exception>
    public SplitRecord(int[] counts, string[] digests, byte[][]? hashes, int hashBytes)
    {
        bool fits = counts.Length == Parts.Count && digests.Length == Parts.Count && counts.All(count => count >= 0)
            && (hashes is null || (hashes.Length == Parts.Count && hashBytes is >= LeastBytes and <= MostBytes
                && hashes.Zip(counts, (h, count) => h.Length == (long)count * hashBytes).All(same => same)));
        if (!fits) throw new FormatException("the record of the split does not fit together");
        (Counts, Digests, Hashes, HashBytes) = (counts, digests, hashes, hashBytes);
        if (hashes is null) return;
        _parts = [];
        for (int part = 0; part < hashes.Length; part++)
            for (int i = 0; i < hashes[part].Length; i += hashBytes)
                _parts[Number(hashes[part].AsSpan(i, hashBytes))] = Parts[part];
    }

    /// <summary>The order of the parts; All stands for the samples that were left out.</summary>
    public static IReadOnlyList<SplitPart> Parts { get; } = [SplitPart.Train, SplitPart.Val, SplitPart.Test, SplitPart.All];

    /// <summary>The samples of each part.</summary>
    public IReadOnlyList<int> Counts { get; }

    /// <summary>The digest of each part: the first 16 digits of the SHA-256 of its samples' fingerprints.</summary>
    public IReadOnlyList<string> Digests { get; }

    /// <summary>The hashes of each part's names in ascending order; null without names.</summary>
    public IReadOnlyList<byte[]>? Hashes { get; }

    /// <summary>The bytes of a hash.</summary>
    public int HashBytes { get; }

    /// <summary>Records a split.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="split">Its parts.</param>
    /// <param name="leftOut">The fingerprints of samples that are in no part.</param>
    /// <param name="names">Whether to keep a hash of each name.</param>
    /// <returns>The record.</returns>
    public static SplitRecord Of(IImageData data, Split split, IEnumerable<string> leftOut, bool names)
    {
        string[][] prints =
        [
            Prints(split.Train), Prints(split.Val), Prints(split.Test), [.. leftOut.Order(StringComparer.Ordinal)],
        ];
        int[] counts = Array.ConvertAll(prints, part => part.Length);
        string[] digests = Array.ConvertAll(prints, Digest);
        if (!names) return new SplitRecord(counts, digests, null, 0);
        byte[][][] hashes = Array.ConvertAll(prints, part => Array.ConvertAll(part, Hash));
        // As few bytes as tell all names apart. Part val may be part test.
        int bytes = LeastBytes, all = prints.SelectMany(part => part).Distinct().Count();
        while (bytes < MostBytes && hashes.SelectMany(part => part).Select(hash => Number(hash.AsSpan(0, bytes))).Distinct().Count() < all)
            bytes++;
        return new SplitRecord(counts, digests, Array.ConvertAll(hashes, part => Join(part, bytes)), bytes);

        string[] Prints(int[] part) => [.. part.Select(data.Fingerprint).Order(StringComparer.Ordinal)];
    }

    /// <summary>The part that a sample was in; null if it was not there.</summary>
    /// <param name="fingerprint">The sample's <see cref="IImageData.Fingerprint"/>.</param>
    /// <returns>Train, Val or Test; All if it was left out.</returns>
    /// <exception cref="InvalidOperationException">The record has no names.</exception>
    public SplitPart? PartOf(string fingerprint)
    {
        if (_parts is null) throw new InvalidOperationException("SplitRecord: a record without names; expected one of a folder.");
        return _parts.TryGetValue(Number(Hash(fingerprint).AsSpan(0, HashBytes)), out SplitPart part) ? part : null;
    }

    /// <summary>How many of some samples were trained on.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="samples">Their indices.</param>
    /// <returns>The number; 0 where the record has no names, so that nobody knows.</returns>
    public int CountTrained(IImageData data, IEnumerable<int> samples) =>
        _parts is null ? 0 : samples.Count(i => PartOf(data.Fingerprint(i)) == SplitPart.Train);

    /// <summary>Whether a split has the same samples in each part.</summary>
    /// <param name="data">The data set.</param>
    /// <param name="split">Its parts.</param>
    /// <returns>True if it has.</returns>
    public bool Matches(IImageData data, Split split) =>
        Of(data, split, [], names: false).Digests.Take(Parts.Count - 1).SequenceEqual(Digests.Take(Parts.Count - 1));

    private static byte[] Join(byte[][] hashes, int bytes) =>
        [.. hashes.Select(hash => hash[..bytes]).OrderBy(hash => Number(hash)).SelectMany(hash => hash)];

    private static string Digest(string[] prints) => Convert.ToHexStringLower(Hash(string.Join('\0', prints)))[..16];

    private static byte[] Hash(string text) => Sha256.HashData(Encoding.UTF8.GetBytes(text));

    private static ulong Number(ReadOnlySpan<byte> bytes)
    {
        ulong number = 0;
        foreach (byte b in bytes) number = number << 8 | b;
        return number;
    }
}
