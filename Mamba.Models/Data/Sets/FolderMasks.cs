using Mamba.Core;
using Mamba.Models.Data.Labels;

namespace Mamba.Models.Data.Sets;

/// <summary>The masks of a folder: the values in each, and what they stand for.</summary>
/// <param name="root">The folder.</param>
/// <param name="options">Says where the classes are named.</param>
/// <param name="count">The number of samples.</param>
/// <param name="load">Reads the mask of a sample; null for one without a mask.</param>
internal sealed class FolderMasks(string root, DataOptions options, int count, Func<int, RawMask?> load)
{
    private readonly Lock _gate = new();
    private MaskMeaning? _meaning;
    private MaskValues?[] _values = new MaskValues?[count];
    private IReadOnlyList<ClassCoverage>? _coverage;

    /// <inheritdoc cref="IMaskedFolder.Meaning"/>
    public MaskMeaning Meaning
    {
        get
        {
            lock (_gate)
            {
                if (_meaning is null) Read([.. Enumerable.Range(0, count)]);
                return _meaning!;
            }
        }

        set
        {
            lock (_gate) _meaning = value;
        }
    }

    /// <inheritdoc cref="IMaskedFolder.Masks"/>
    public IReadOnlyList<MaskValues?> Values => _values;

    /// <inheritdoc cref="IMaskedFolder.ReadMasks(IReadOnlyList{int}, Action{int}?, CancellationToken)"/>
    public void Read(IReadOnlyList<int> samples, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        Count(samples, progress, cancellation);
        Meaning = MaskReader.Read(root, Known(samples), Rules(), ClassNames());
    }

    /// <summary>As the other, for data to be measured by a trained model, see <see cref="IMaskedFolder"/>.</summary>
    public void Read(
        IReadOnlyList<int> samples, MaskMeaning? trained, Action<int>? progress, CancellationToken cancellation)
    {
        Count(samples, progress, cancellation);
        MaskValues[] values = Known(samples);
        // What the training knows holds, also where two values could be read the other way round. Other encodings are read as new data.
        // So are indices that the folder itself names, if their palette is another.
        string? other = trained?.OtherColor(values);
        bool named = (options.Labels ?? Beside("dataset.json") ?? Beside("classes.txt")) is not null;
        if (options.Labels is null && trained?.Knows(values) == true && (other is null || !named))
        {
            Meaning = other is null ? trained : trained.With($"{other}: indices are matched by their colors");
            return;
        }
        if (other is not null && !named && trained!.Labels.Count > 1)
            throw new DatasetException(
                $"{root}: {other}, so that it may be another class; expected the palette of the training, or --labels FILE with a line a "
                    + "class as '1 lesion'");
        Meaning = MaskReader.Read(root, values, Rules(), ClassNames());
    }

    /// <summary>How much of the masks that were read each class is, the background first, ignored pixels last.</summary>
    public IReadOnlyList<ClassCoverage> Coverage() => _coverage ??= Meaning.Cover(_values);

    /// <summary>The rarest class of a mask, 0 for a mask of background; null for a mask that was not read.</summary>
    public int? Stratum(int index)
    {
        if (_values[index] is not { } mask) return null;
        MaskMeaning meaning = Meaning;
        IReadOnlyList<ClassCoverage> cover = Coverage();
        long[] own = meaning.ClassesOf(mask, cover.Count);
        return Enumerable.Range(1, cover.Count - 2).Where(c => own[c] > 0).OrderBy(c => cover[c].Images).FirstOrDefault();
    }

    /// <summary>Takes over what another folder knows of some of its samples, which are all of this one.</summary>
    public void Take(FolderMasks from, int[] samples)
    {
        _meaning = from._meaning;
        _values = [.. samples.Select(i => from._values[i])];
    }

    private void Count(IReadOnlyList<int> samples, Action<int>? progress, CancellationToken cancellation)
    {
        int done = 0;
        ParallelOptions threads = new() { MaxDegreeOfParallelism = Workers.Count, CancellationToken = cancellation };
        Parallel.For(0, samples.Count, threads, i =>
        {
            try
            {
                if (load(samples[i]) is { } mask) _values[samples[i]] = MaskValues.Of(mask);
            }
            catch (ImageException)
            {
                // Found again, and named, when the sample is read.
            }
            progress?.Invoke(Interlocked.Increment(ref done));
        });
    }

    private MaskValues[] Known(IReadOnlyList<int> samples)
    {
        MaskValues[] values = [.. samples.Select(i => _values[i]).OfType<MaskValues>()];
        return values.Length > 0 ? values : throw new DatasetException($"{root}: none of {samples.Count} masks can be read");
    }

    private LabelRule[]? Rules() => (options.Labels ?? Beside("dataset.json")) is { } file ? MaskLabels.Read(file) : null;

    private string[]? ClassNames() => Beside("classes.txt") is { } file ? MaskLabels.Names(file) : null;

    private string? Beside(string name) => Path.Combine(root, name) is var path && File.Exists(path) ? path : null;
}
