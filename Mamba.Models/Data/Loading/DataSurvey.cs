using System.Globalization;
using System.Numerics;
using Mamba.Core;
using Mamba.Models.Data.Splits;

namespace Mamba.Models.Data.Loading;

/// <summary>What reading every sample once, on all threads, tells about a data set: damaged files, copies, colors.</summary>
public sealed class DataSurvey
{
    private readonly IImageData _data;
    private readonly int[] _samples;
    private readonly SampleFacts?[] _facts;

    private DataSurvey(IImageData data, int[] samples, SampleFacts?[] facts, BadImage[] bad) =>
        (_data, _samples, _facts, Bad) = (data, samples, facts, bad);

    /// <summary>The samples that cannot be read, in order.</summary>
    public IReadOnlyList<BadImage> Bad { get; }

    /// <summary>The samples that were read.</summary>
    public int Count => _samples.Length;

    /// <summary>The channels that hold all images: 3 if any has color.</summary>
    public int Channels => _facts.Max(facts => facts?.Channels) ?? 1;

    /// <summary>How many images have 16 bits per channel.</summary>
    public int Wide => _facts.Count(facts => facts?.Is16Bit == true);

    /// <summary>The bits that the largest value of all images needs, 8 at least.</summary>
    public int UsedBits => _facts.Max(facts => facts?.UsedBits) ?? 8;

    /// <summary>
    /// The range of values of images of 16 bits that are signed, or that begin farther from 0 than they reach: from the smallest to the
    /// largest. Of signed values that are not negative it is 0 to what their bits hold. Null for others, and for half of 16 bits or more.
    /// </summary>
    public (int Low, int High)? OffsetRange
    {
        get
        {
            SampleFacts[] wide = [.. _facts.OfType<SampleFacts>().Where(facts => facts.Is16Bit)];
            if (wide.Length == 0) return null;
            bool signed = wide.Any(facts => facts.IsSigned);
            int low = wide.Min(facts => facts.Values.Low), high = wide.Max(facts => facts.Values.High), range = high - low;
            if (range is 0 or > short.MaxValue || !(signed || (UsedBits == 16 && low >= range))) return null;
            return low < 0 || !signed ? (low, high) : (0, (1 << Math.Max(8, 32 - BitOperations.LeadingZeroCount((uint)high))) - 1);
        }
    }

    /// <summary>How many images have color.</summary>
    public int Colored => _facts.Count(facts => facts?.Channels == 3);

    /// <summary>Reads samples.</summary>
    /// <param name="data">The data set; safe to read from several threads.</param>
    /// <param name="samples">The samples to read.</param>
    /// <param name="choice">Whether a sample that cannot be read is an error.</param>
    /// <param name="progress">Called with the number of samples done so far, or null.</param>
    /// <param name="cancellation">Stops between samples.</param>
    /// <returns>What was found.</returns>
    /// <exception cref="ImageException">An image cannot be read and the choice is Fail; of several, the first one is named.</exception>
    /// <exception cref="DatasetException">A mask has another size and the choice is Fail, or no image can be read.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static DataSurvey Of(
        IImageData data, int[] samples, OnBadImage choice, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        SampleFacts?[] facts = new SampleFacts?[samples.Length];
        IOException?[] problems = new IOException?[samples.Length];
        int done = 0;
        Parallel.For(
            0, samples.Length, new ParallelOptions { MaxDegreeOfParallelism = Workers.Count, CancellationToken = cancellation }, i =>
            {
                try
                {
                    facts[i] = SampleFacts.Of(data.Load(samples[i]));
                }
                catch (Exception e) when (e is ImageException or DatasetException)
                {
                    problems[i] = (IOException)e;
                }
                progress?.Invoke(Interlocked.Increment(ref done));
            });
        BadImage[] bad = [.. problems.Index().Where(p => p.Item is not null).Select(p => new BadImage(samples[p.Index], p.Item!.Message))];
        if (bad.Length > 0 && choice == OnBadImage.Fail)
        {
            IOException first = problems.First(problem => problem is not null)!;
            if (bad.Length == 1) throw first;
            throw new DatasetException(
                $"{bad.Length} of {samples.Length} images cannot be used, the first: {first.Message} --on-bad-image skip leaves them out.",
                first);
        }
        return bad.Length < samples.Length || bad.Length == 0 ? new DataSurvey(data, samples, facts, bad)
            : throw new DatasetException($"none of {samples.Length} images can be read, the first: {bad[0].Problem}");
    }

    /// <summary>
    /// Samples whose picture is there again, and the sample that stays. Without an official split the first one stays. With it only copies
    /// across parts are listed: the one in the test part stays, then that in the validation part.
    /// </summary>
    /// <param name="official">Whether the official split is used.</param>
    /// <returns>Pairs of a copy and its original.</returns>
    public IReadOnlyList<(int Copy, int Original)> Copies(bool official)
    {
        List<(int, int)> copies = [];
        IEnumerable<IGrouping<UInt128, int>> groups = _facts.Index().Where(facts => facts.Item is { IsPlain: false })
            .GroupBy(facts => facts.Item!.Pixels, facts => _samples[facts.Index]);
        foreach (IGrouping<UInt128, int> group in groups)
        {
            int original = official ? group.MaxBy(i => Rank(_data.Part(i))) : group.First();
            copies.AddRange(group.Where(i => i != original && (!official || _data.Part(i) != _data.Part(original))).Select(i =>
                (i, original)));
        }
        return [.. copies.Order()];

        static int Rank(SplitPart? part) => part switch { SplitPart.Test => 2, SplitPart.Val => 1, _ => 0 };
    }

    private string Contradictions(IReadOnlyList<(int Copy, int Original)> copies)
    {
        int count = copies.Count(copy => Truth(copy.Copy) != Truth(copy.Original));
        return count == 0 ? "" : string.Create(CultureInfo.InvariantCulture,
            $"; {count} of them have another mask or class than the one that stays");

        UInt128? Truth(int sample) => _facts[Array.BinarySearch(_samples, sample)]?.Truth;
    }

    /// <summary>A line about copies: their number and the first three.</summary>
    /// <param name="copies">Some.</param>
    /// <returns>The line.</returns>
    public string Describe(IReadOnlyList<(int Copy, int Original)> copies)
    {
        IEnumerable<string> names = copies.Take(3).Select(copy => $"{_data.Name(copy.Copy)} is {_data.Name(copy.Original)}");
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{copies.Count} of {Count} images are duplicates, with the same pixels as another, and left out: {string.Join("; ", names)}"
                + $"{(copies.Count > 3 ? "; ..." : "")}{Contradictions(copies)}");
    }
}
