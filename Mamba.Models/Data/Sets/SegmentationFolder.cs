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
public sealed class SegmentationFolder : IMaskedFolder
{
    private const string MaskSuffix = "_mask";

    private readonly string _root;
    private readonly DataOptions _options;
    private readonly MaskedImage[] _pairs;
    private readonly string[]? _patients;
    private readonly FolderMasks _masks;
    private readonly string[] _notes;
    private readonly ReadNotes _read;

    /// <summary>Finds the images and masks; none is opened yet.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="options">What the folder cannot say about itself; null for nothing.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder does not exist, cannot be read or holds no image with a mask; an image has no mask, unless the options allow it.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public SegmentationFolder(string root, DataOptions? options = null, CancellationToken cancellation = default)
        : this(new FolderListing(root, cancellation), options ?? DataOptions.Default, found: null)
    {
    }

    /// <param name="files">The folder.</param>
    /// <param name="options">What it cannot say about itself.</param>
    /// <param name="found">Its pairs, if they were found before.</param>
    internal SegmentationFolder(FolderListing files, DataOptions options, MaskPairs? found)
        : this(
            files.Root, options, Resolve(
                files.Root, options,
                found ??= MaskPairs.Find(files.Root, files.Pictures, options) ?? throw NoPair(files.Root, files.Pictures)),
            [.. NotesOf(options, found), .. files.PassedOver is { } others ? new[] { others } : []], new ReadNotes())
    {
        Layout = found.Layout;
    }

    private SegmentationFolder(string root, DataOptions options, MaskedImage[] pairs, string[] notes, ReadNotes read)
    {
        (_root, _options, _pairs, _notes, _read) = (root, options, pairs, notes, read);
        _masks = new FolderMasks(root, options, pairs.Length, i => TruthPath(i) is { } path ? ImageFile.LoadMask(path) : null);
        _patients = Patients.Of(root, [.. pairs.Select(pair => pair.Name)], options);
    }

    /// <summary>Whether a file's name says that it is a mask: NAME_mask.ext.</summary>
    /// <param name="path">The file.</param>
    /// <returns>True if it does.</returns>
    public static bool IsMask(string path) => NiftiFile.WithoutExtension(path).EndsWith(MaskSuffix, StringComparison.Ordinal);

    /// <inheritdoc/>
    public string Layout { get; private init; } = "";

    /// <inheritdoc/>
    /// <remarks>Files that were read may have added to it.</remarks>
    public IReadOnlyList<string> Notes => [.. _notes, .. _read.Lines];

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Segmentation;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels => Meaning.Labels;

    /// <inheritdoc/>
    public int Count => _pairs.Length;

    /// <inheritdoc/>
    public bool KnowsPatients => _patients is not null;

    /// <inheritdoc/>
    public MaskMeaning Meaning
    {
        get => _masks.Meaning;
        set => _masks.Meaning = value;
    }

    /// <inheritdoc/>
    public IReadOnlyList<MaskValues?> Masks => _masks.Values;

    /// <inheritdoc/>
    public string Name(int index) => _pairs[index].Name;

    /// <inheritdoc/>
    public string Patient(int index) => _patients?[index] ?? Name(index);

    /// <inheritdoc/>
    public SplitPart? Part(int index) => _pairs[index].Part;

    /// <inheritdoc/>
    /// <remarks>The rarest class of the mask; 0 for a mask of background.</remarks>
    public int? Stratum(int index) => _masks.Stratum(index);

    /// <inheritdoc/>
    public string ImagePath(int index) => Path.Combine(_root, _pairs[index].Image);

    /// <inheritdoc/>
    public string? TruthPath(int index) => _pairs[index].Mask is { } mask ? Path.Combine(_root, mask) : null;

    /// <inheritdoc/>
    public void ReadMasks(IReadOnlyList<int> samples, Action<int>? progress = null, CancellationToken cancellation = default) =>
        _masks.Read(samples, progress, cancellation);

    /// <inheritdoc/>
    public void ReadMasks(
        IReadOnlyList<int> samples, MaskMeaning? trained, Action<int>? progress = null, CancellationToken cancellation = default) =>
            _masks.Read(samples, trained, progress, cancellation);

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public SegmentationSample Load(int index)
    {
        MaskMeaning meaning = Meaning;
        string imagePath = ImagePath(index);
        (Image image, int pages) = ImageFile.LoadNoted(imagePath, note => _read.Add(_pairs[index].Image, note));
        if (TruthPath(index) is not { } maskPath) return new SegmentationSample(image, new LabelMap(image.Width, image.Height));
        RawMask mask = ImageFile.LoadMask(maskPath);
        if (mask.Pages > 1 && pages <= 1)
            throw new DatasetException($"{imagePath} is one picture, but {maskPath} has {mask.Pages} pages; expected one mask.");
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
        SegmentationFolder folder = new(_root, _options, [.. rest.Select(i => _pairs[i])], _notes, _read) { Layout = Layout };
        folder._masks.Take(_masks, rest);
        return folder;
    }

    /// <summary>How much of the masks that were read each class is, the background first, ignored pixels last.</summary>
    public IReadOnlyList<ClassCoverage> Coverage() => _masks.Coverage();

    internal static DatasetException NoPair(string root, List<string> pictures) => new(
        $"{root}: {pictures.Count(p => !IsMask(p))} images and {pictures.Count(IsMask)} masks, but no pair; expected NAME.ext beside "
            + $"NAME_mask.ext, or images/NAME.ext and "
            + $"masks/NAME.ext, ext one of {string.Join(" ", ImageFile.Extensions)}; --images, --masks and --mask-suffix say it "
            + $"otherwise.");

    /// <summary>The pairs, and the images without a mask as the options say.</summary>
    internal static MaskedImage[] Resolve(string root, DataOptions options, MaskPairs found)
    {
        if (found.Further.Count > 0 && options.OnMissingMask != OnMissingMask.Skip)
            throw new DatasetException(
                $"{root}: {Few(found.Further, "further masks of an image")}; expected one mask for each image: merge them into one file; "
                    + "--on-missing-mask skip leaves them out.");
        ThrowIfChannels(root, options, found);
        if (options.OnMissingMask == OnMissingMask.Fail)
        {
            ThrowIfAny(root, found.Unmasked, "images without a mask", "; --on-missing-mask skip or empty accepts them");
            ThrowIfAny(root, found.Unused, "masks without an image", "; --on-missing-mask skip leaves them out");
        }
        if (options.OnMissingMask != OnMissingMask.Empty) return [.. found.Pairs];
        IEnumerable<MaskedImage> empty = found.Unmasked.Select(image => new MaskedImage(image.Name, image.Path, null, image.Part));
        return [.. found.Pairs.Concat(empty).OrderBy(pair => pair.Name, StringComparer.Ordinal)];
    }

    internal static IEnumerable<string> NotesOf(DataOptions options, MaskPairs found)
    {
        string fate = options.OnMissingMask == OnMissingMask.Empty ? "taken for background" : "left out";
        if (found.Unmasked.Count > 0) yield return $"{Few(found.Unmasked, "images without a mask")} {fate}";
        if (found.Unlabeled.Count > 0) yield return $"{Few(found.Unlabeled, "images of parts without masks")} left out";
        if (found.Unused.Count > 0) yield return $"{Few(found.Unused, "masks without an image")} left out";
        if (found.Further.Count > 0) yield return $"{Few(found.Further, "further masks of an image")} left out; the first mask is used";
    }

    /// <summary>
    /// nnU-Net numbers the channels of a scan, as case_0001 beside case_0000; one of them is read. Pictures may be numbered so, too: those
    /// are frames, whose masks are.
    /// </summary>
    private static void ThrowIfChannels(string root, DataOptions options, MaskPairs found)
    {
        const string First = "_0000";
        HashSet<string> scans =
        [
            .. found.Pairs.Where(pair => NiftiFile.IsNifti(pair.Image) || !IsNumbered(new PictureFile(pair.Mask!).Stem))
                .Select(pair => NiftiFile.WithoutExtension(pair.Image)),
        ];
        PictureFile[] others = [.. found.Unmasked.Where(IsOther)];
        if (others.Length > 0 && options.OnMissingMask != OnMissingMask.Skip)
            throw new DatasetException(
                $"{root}: {others.Length} files are further channels of scans, as {others[0].Path}; one channel is read: "
                    + "--on-missing-mask skip takes those numbered 0000 alone.");

        bool IsNumbered(string mask) => (MaskPairs.MaskStem(mask, options) ?? mask).EndsWith(First, StringComparison.Ordinal);

        bool IsOther(PictureFile file) => file.Name is [.. var scan, '_', _, _, _, _] name
            && !name.AsSpan(scan.Length + 1).ContainsAnyExceptInRange('0', '9') && scans.Contains(scan + First);
    }

    private static void ThrowIfAny(string root, List<PictureFile> files, string what, string remedy)
    {
        if (files.Count > 0) throw new DatasetException($"{root}: {Few(files, what)}; expected a mask for each image{remedy}.");
    }

    private static string Few(List<PictureFile> files, string what) =>
        $"{files.Count} {what}: {string.Join(", ", files.Take(3).Select(file => file.Path))}{(files.Count > 3 ? ", ..." : "")}";
}
