using Mamba.Core;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Labels;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Images and their masks in a folder: NAME.ext beside NAME_mask.ext at any depth, or <c>images/</c> beside <c>masks/</c>, with or without
/// folders for the parts of an official split. Names are sorted by ordinal path. Hidden files and folders are skipped.
/// </summary>
/// <remarks>
/// What the masks' values stand for is read from all masks, by <see cref="Meaning"/> or with the first sample. The outermost folder that
/// varies names the patient.
/// </remarks>
public sealed class SegmentationFolder : IImageFolder
{
    private const string MaskSuffix = "_mask";

    private readonly string _root;
    private readonly DataOptions _options;
    private readonly MaskedImage[] _pairs;
    private readonly string[]? _patients;
    private readonly Lock _gate = new();
    private MaskMeaning? _meaning;
    private MaskValues?[] _masks;

    /// <summary>Finds the images and masks; none is opened yet.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="options">What the folder cannot say about itself; null for nothing.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder does not exist, cannot be read or holds no image with a mask; an image has no mask, unless the options allow it.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public SegmentationFolder(string root, DataOptions? options = null, CancellationToken cancellation = default)
        : this(root, options ?? DataOptions.Default, FindPairs(root, options ?? DataOptions.Default, cancellation))
    {
    }

    internal SegmentationFolder(string root, DataOptions options, MaskPairs found)
        : this(root, options, Resolve(root, options, found))
    {
        Layout = found.Layout;
        Notes = [.. NotesOf(options, found)];
    }

    private SegmentationFolder(string root, DataOptions options, MaskedImage[] pairs)
    {
        (_root, _options, _pairs, _masks) = (root, options, pairs, new MaskValues?[pairs.Length]);
        _patients = Patients.Of(root, [.. pairs.Select(pair => pair.Name)], options);
    }

    /// <summary>Whether a file's name says that it is a mask: NAME_mask.ext.</summary>
    /// <param name="path">The file.</param>
    /// <returns>True if it does.</returns>
    public static bool IsMask(string path) => Path.GetFileNameWithoutExtension(path).EndsWith(MaskSuffix, StringComparison.Ordinal);

    /// <inheritdoc/>
    public string Layout { get; private init; } = "";

    /// <inheritdoc/>
    public IReadOnlyList<string> Notes { get; private init; } = [];

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Segmentation;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels => Meaning.Labels;

    /// <inheritdoc/>
    public int Count => _pairs.Length;

    /// <inheritdoc/>
    public bool KnowsPatients => _patients is not null;

    /// <summary>What the masks' values stand for. The first call reads all masks.</summary>
    /// <exception cref="DatasetException">The values have no certain meaning, or no mask can be read.</exception>
    public MaskMeaning Meaning
    {
        get
        {
            lock (_gate)
            {
                if (_meaning is null) ReadMasks([.. Enumerable.Range(0, Count)]);
                return _meaning!;
            }
        }

        set
        {
            lock (_gate) _meaning = value;
        }
    }

    /// <summary>The values of each mask that was read; null for the others.</summary>
    public IReadOnlyList<MaskValues?> Masks => _masks;

    /// <inheritdoc/>
    public string Name(int index) => _pairs[index].Name;

    /// <inheritdoc/>
    public string Patient(int index) => _patients?[index] ?? Name(index);

    /// <inheritdoc/>
    public SplitPart? Part(int index) => _pairs[index].Part;

    /// <inheritdoc/>
    /// <remarks>The rarest class of the mask; 0 for a mask of background.</remarks>
    public int? Stratum(int index) => _masks[index] is not { } mask ? null : StratumOf(mask);

    /// <inheritdoc/>
    public string ImagePath(int index) => Path.Combine(_root, _pairs[index].Image);

    /// <summary>Reads the masks of some samples on all threads, to find out what their values stand for.</summary>
    /// <param name="samples">Their indices.</param>
    /// <param name="progress">Called with the number of masks read so far, or null.</param>
    /// <param name="cancellation">Stops between masks.</param>
    /// <exception cref="DatasetException">The values have no certain meaning, or no mask can be read.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void ReadMasks(IReadOnlyList<int> samples, Action<int>? progress = null, CancellationToken cancellation = default)
    {
        CountValues(samples, progress, cancellation);
        Meaning = MaskReader.Read(_root, Values(samples), Rules(), ClassNames());
    }

    /// <summary>
    /// As <see cref="ReadMasks(IReadOnlyList{int}, Action{int}?, CancellationToken)"/>, for data to be measured by a trained model. Masks of
    /// two values mean what they mean here. With more, or with none of the foreground, they mean what those of the training meant.
    /// </summary>
    /// <param name="samples">Their indices.</param>
    /// <param name="trained">What the training's masks meant; null if that is not known.</param>
    /// <param name="labels">The classes of the model.</param>
    /// <param name="progress">Called with the number of masks read so far, or null.</param>
    /// <param name="cancellation">Stops between masks.</param>
    /// <exception cref="DatasetException">The values have no certain meaning, or no mask can be read.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public void ReadMasks(
        IReadOnlyList<int> samples, MaskMeaning? trained, IReadOnlyList<string> labels, Action<int>? progress = null,
        CancellationToken cancellation = default)
    {
        CountValues(samples, progress, cancellation);
        MaskValues[] values = Values(samples);
        try
        {
            Meaning = MaskReader.Read(_root, values, Rules(), ClassNames());
            if (Meaning.Labels.Count == labels.Count && labels.Count == 1) return;
        }
        catch (DatasetException) when (trained?.Knows(values) == true)
        {
            Meaning = trained;
        }
        if (_options.Labels is null && trained?.Knows(values) == true) Meaning = trained;
    }

    private void CountValues(IReadOnlyList<int> samples, Action<int>? progress, CancellationToken cancellation)
    {
        int done = 0;
        ParallelOptions threads = new() { MaxDegreeOfParallelism = Workers.Count, CancellationToken = cancellation };
        Parallel.For(0, samples.Count, threads, i =>
        {
            try
            {
                if (MaskPath(samples[i]) is { } path) _masks[samples[i]] = MaskValues.Of(ImageFile.LoadMask(path));
            }
            catch (ImageException)
            {
                // Found again, and named, when the sample is read.
            }
            progress?.Invoke(Interlocked.Increment(ref done));
        });
    }

    private MaskValues[] Values(IReadOnlyList<int> samples)
    {
        MaskValues[] values = [.. samples.Select(i => _masks[i]).OfType<MaskValues>()];
        return values.Length > 0 ? values : throw new DatasetException($"{_root}: none of {samples.Count} masks can be read");
    }

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public SegmentationSample Load(int index)
    {
        MaskMeaning meaning = Meaning;
        string imagePath = ImagePath(index);
        Image image = ImageFile.Load(imagePath);
        if (MaskPath(index) is not { } maskPath) return new SegmentationSample(image, new LabelMap(image.Width, image.Height));
        RawMask mask = ImageFile.LoadMask(maskPath);
        if (image.Width != mask.Width || image.Height != mask.Height)
            throw new DatasetException(
                $"{imagePath} is {image.Width} x {image.Height}, but {maskPath} {mask.Width} x {mask.Height}; expected equal sizes.");
        return new SegmentationSample(image, meaning.Apply(maskPath, mask));
    }

    IImageFolder IImageFolder.Without(IReadOnlySet<int> samples) => Without(samples);

    /// <inheritdoc cref="IImageFolder.Without"/>
    public SegmentationFolder Without(IReadOnlySet<int> samples)
    {
        int[] rest = [.. Enumerable.Range(0, Count).Where(i => !samples.Contains(i))];
        if (rest.Length == 0) throw new DatasetException($"{_root}: none of {Count} images is left");
        return new SegmentationFolder(_root, _options, [.. rest.Select(i => _pairs[i])])
        {
            Layout = Layout,
            Notes = Notes,
            _meaning = _meaning,
            _masks = [.. rest.Select(i => _masks[i])],
        };
    }

    private string? MaskPath(int index) => _pairs[index].Mask is { } mask ? Path.Combine(_root, mask) : null;

    private int StratumOf(MaskValues mask)
    {
        MaskMeaning meaning = Meaning;
        IReadOnlyList<ClassCoverage> cover = Coverage();
        long[] own = meaning.ClassesOf(mask, cover.Count);
        return Enumerable.Range(1, cover.Count - 2).Where(c => own[c] > 0).OrderBy(c => cover[c].Images).FirstOrDefault();
    }

    private IReadOnlyList<ClassCoverage>? _coverage;

    /// <summary>How much of the masks that were read each class is, the background first, ignored pixels last.</summary>
    public IReadOnlyList<ClassCoverage> Coverage() => _coverage ??= Meaning.Cover(_masks);

    private LabelRule[]? Rules() => (_options.Labels ?? Beside("dataset.json")) is { } file ? MaskLabels.Read(file) : null;

    private string[]? ClassNames() => Beside("classes.txt") is { } file ? MaskLabels.Names(file) : null;

    private string? Beside(string name) => Path.Combine(_root, name) is var path && File.Exists(path) ? path : null;

    private static MaskedImage[] FindPairs(string root, DataOptions options, CancellationToken cancellation)
    {
        if (!Directory.Exists(root))
            throw new DatasetException($"{root}: no such folder; expected one with pairs NAME.ext and NAME_mask.ext, or images/ and masks/.");
        List<string> pictures = DataFile.Pictures(root, cancellation);
        MaskPairs found = MaskPairs.Find(root, pictures, options) ?? throw NoPair(root, pictures);
        return Resolve(root, options, found);
    }

    internal static DatasetException NoPair(string root, List<string> pictures) => new(
        $"{root}: {pictures.Count(p => !IsMask(p))} images and {pictures.Count(IsMask)} masks, but no pair; expected NAME.ext beside NAME_mask.ext, or images/NAME.ext and "
            + $"masks/NAME.ext, ext one of {string.Join(" ", ImageFile.Extensions)}; --images, --masks and --mask-suffix say it otherwise.");

    /// <summary>The pairs, and the images without a mask as the options say.</summary>
    private static MaskedImage[] Resolve(string root, DataOptions options, MaskPairs found)
    {
        if (options.OnMissingMask == OnMissingMask.Fail)
        {
            ThrowIfAny(root, found.Unmasked, "images without a mask", "; --on-missing-mask skip or empty accepts them");
            ThrowIfAny(root, found.Unused, "masks without an image", "; --on-missing-mask skip leaves them out");
        }
        if (options.OnMissingMask != OnMissingMask.Empty) return [.. found.Pairs];
        IEnumerable<MaskedImage> empty = found.Unmasked.Select(image => new MaskedImage(image.Name, image.Path, null, image.Part));
        return [.. found.Pairs.Concat(empty).OrderBy(pair => pair.Name, StringComparer.Ordinal)];
    }

    private static IEnumerable<string> NotesOf(DataOptions options, MaskPairs found)
    {
        string fate = options.OnMissingMask == OnMissingMask.Empty ? "taken for background" : "left out";
        if (found.Unmasked.Count > 0) yield return $"{Few(found.Unmasked, "images without a mask")} {fate}";
        if (found.Unlabeled.Count > 0) yield return $"{Few(found.Unlabeled, "images of parts without masks")} left out";
        if (found.Unused.Count > 0) yield return $"{Few(found.Unused, "masks without an image")} left out";
    }

    private static void ThrowIfAny(string root, List<PictureFile> files, string what, string remedy)
    {
        if (files.Count > 0) throw new DatasetException($"{root}: {Few(files, what)}; expected a mask for each image{remedy}.");
    }

    private static string Few(List<PictureFile> files, string what) =>
        $"{files.Count} {what}: {string.Join(", ", files.Take(3).Select(file => file.Path))}{(files.Count > 3 ? ", ..." : "")}";
}
