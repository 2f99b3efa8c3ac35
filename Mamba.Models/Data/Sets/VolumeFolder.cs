using System.Globalization;
using Mamba.Core;
using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Labels;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Volumes and their masks in a folder: NIfTI files, or TIFF files of several pages, which lie as images and masks do in a <see
/// cref="SegmentationFolder"/>. Each slice is a sample, VOLUME/NNN.
/// </summary>
/// <remarks>
/// The values of a volume are mapped to 16 bits by one intensity for all its slices, so that a model reads them without one of its own:
/// by <c>ModelInfo.ForSlices</c>. A patient is the outermost folder that varies, or else the volume.
/// </remarks>
public sealed class VolumeFolder : IMaskedFolder
{
    private const long CacheBytes = 1L << 30;

    private readonly string _root;
    private readonly MaskedImage[] _volumes;
    private readonly string[] _patients;
    private readonly string?[] _orientations;
    private readonly (int Volume, int Index)[] _slices;
    private readonly FolderMasks _masks;
    private readonly DataOptions _options;
    private readonly StackCache _cache;
    private readonly ReadNotes _read;

    /// <summary>Finds the volumes and their masks, and reads the headers of the volumes.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="options">What the folder cannot say about itself; null for nothing.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder cannot be read or holds no volume with a mask; a volume has no mask, unless the options allow it.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public VolumeFolder(string root, DataOptions? options = null, CancellationToken cancellation = default)
        : this(new FolderListing(root, cancellation), options ?? DataOptions.Default, found: null, cancellation)
    {
    }

    private VolumeFolder(FolderListing files, DataOptions options, MaskPairs? found, CancellationToken cancellation)
        : this(
            files.Root, options, SegmentationFolder.Resolve(
                files.Root, options, found ??= Pairs(files, options, cancellation)),
            null, new StackCache(CacheBytes), new ReadNotes(), cancellation)
    {
        Layout = found.Layout;
        int pictures = found.Pairs.Any(pair => NiftiFile.IsNifti(pair.Image)) ? files.Pictures.Count : 0;
        string[] passed = pictures == 0 ? [] : [$"{pictures} pictures beside the volumes are passed over"];
        Known = [.. SegmentationFolder.NotesOf(options, found), .. passed, .. MixedOrientations()];
    }

    private VolumeFolder(
        string root, DataOptions options, MaskedImage[] volumes, (int Volume, int Index)[]? slices, StackCache cache, ReadNotes read,
        CancellationToken cancellation = default)
    {
        (_root, _options, _volumes, _cache, _read) = (root, options, volumes, cache, read);
        _orientations = new string?[volumes.Length];
        string[] names = [.. volumes.Select(volume => volume.Name)];
        _patients = Patients.Of(root, names, options) ?? names;
        _slices = slices ?? Slices(cancellation);
        _masks = new FolderMasks(root, options, _slices.Length, SliceOfMask);
    }

    /// <summary>The intensity of volumes where none is given: from the percentile 0.5 to 99.5 of the voxels.</summary>
    public static Intensity Usual { get; } = Intensity.Percentile(0.5, 99.5);

    /// <summary>The axis that slices follow one another along.</summary>
    public SliceAxis Axis => _options.Axis ?? SliceAxis.Z;

    /// <summary>How the values of a volume become the 16 bits of its slices.</summary>
    public Intensity Intensity => _options.VolumeIntensity ?? Usual;

    /// <inheritdoc/>
    public string Layout { get; private init; } = "";

    /// <inheritdoc/>
    /// <remarks>Volumes that were read may have added to it.</remarks>
    public IReadOnlyList<string> Notes => [.. Known, .. _read.Lines];

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Segmentation;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels => Meaning.Labels;

    /// <inheritdoc/>
    public int Count => _slices.Length;

    /// <inheritdoc/>
    public bool KnowsPatients => true;

    /// <inheritdoc/>
    public MaskMeaning Meaning
    {
        get => _masks.Meaning;
        set => _masks.Meaning = value;
    }

    /// <inheritdoc/>
    public IReadOnlyList<MaskValues?> Masks => _masks.Values;

    /// <summary>What was known before a volume was read.</summary>
    private string[] Known { get; init; } = [];

    /// <summary>The volumes in a folder; null if it has none with a mask.</summary>
    /// <param name="files">The folder.</param>
    /// <param name="options">What the user says about the folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">There are NIfTI files and neither volumes nor pictures with masks.</exception>
    internal static VolumeFolder? Find(FolderListing files, DataOptions options, CancellationToken cancellation) =>
        FindPairs(files, options, cancellation) is { } pairs ? new VolumeFolder(files, options, pairs, cancellation) : null;

    /// <inheritdoc/>
    public string Name(int index)
    {
        // Slices along another axis are other samples: a split must not take them for those that it lists.
        string axis = Axis == SliceAxis.Z ? "" : Axis.ToString().ToLowerInvariant();
        return string.Create(CultureInfo.InvariantCulture, $"{Volume(index)}/{axis}{_slices[index].Index:D3}");
    }

    /// <summary>The volume that a slice is from.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>Its name, with '/' between folders.</returns>
    public string Volume(int index) => _volumes[_slices[index].Volume].Name;

    /// <inheritdoc/>
    public string Patient(int index) => _patients[_slices[index].Volume];

    /// <inheritdoc/>
    public SplitPart? Part(int index) => _volumes[_slices[index].Volume].Part;

    /// <inheritdoc/>
    /// <remarks>The rarest class of the slice; 0 for a slice of background.</remarks>
    public int? Stratum(int index) => _masks.Stratum(index);

    /// <inheritdoc/>
    public string ImagePath(int index) => Path.Combine(_root, _volumes[_slices[index].Volume].Image);

    /// <inheritdoc/>
    public string? TruthPath(int index) =>
        _volumes[_slices[index].Volume].Mask is { } mask ? Path.Combine(_root, mask) : null;

    /// <summary>How far the voxels of a slice's volume are apart, by the header of its file.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>Millimeters; null where the file does not say.</returns>
    /// <exception cref="ImageException">The file cannot be read, or is damaged.</exception>
    public VoxelSpacing? Spacing(int index) => SliceStack.SpacingOf(ImagePath(index), Axis);

    /// <summary>The slices that the file of a slice's volume has, which may be more than there are here.</summary>
    /// <param name="index">0 to Count - 1.</param>
    /// <returns>Their number.</returns>
    /// <exception cref="ImageException">The file cannot be read, or is damaged.</exception>
    public int SlicesInFile(int index) => SliceStack.CountSlices(ImagePath(index), Axis);

    /// <inheritdoc/>
    public void ReadMasks(IReadOnlyList<int> samples, Action<int>? progress = null, CancellationToken cancellation = default) =>
        _masks.Read(samples, progress, cancellation);

    /// <inheritdoc/>
    public void ReadMasks(
        IReadOnlyList<int> samples, MaskMeaning? trained, Action<int>? progress = null, CancellationToken cancellation = default) =>
            _masks.Read(samples, trained, progress, cancellation);

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    /// <remarks>The picture has 16 bits, to which the intensity is applied, see <see cref="SliceStack.Slice"/>.</remarks>
    public SegmentationSample Load(int index)
    {
        MaskMeaning meaning = Meaning;
        SliceStack scan = _cache.Get(ImagePath(index), path => SliceStack.Load(path, Axis, Intensity));
        int slice = _slices[index].Index;
        SliceStack? mask = MaskOf(index);
        if (mask is not null && (mask.Shape != scan.Shape || mask.Count != scan.Count))
            throw new DatasetException($"{scan.Path} is {scan.Shape}, but {mask.Path} {mask.Shape}; expected equal extents.");
        CheckGeometry(scan, mask, _volumes[_slices[index].Volume].Mask);
        Image image = scan.Slice(slice);
        return new SegmentationSample(image, mask is null ? new LabelMap(image.Width, image.Height)
            : meaning.Apply(string.Create(CultureInfo.InvariantCulture, $"{mask.Path}, slice {slice}"), mask.Mask(slice)));
    }

    /// <inheritdoc/>
    public IImageFolder Without(IReadOnlySet<int> samples)
    {
        int[] rest = [.. Enumerable.Range(0, Count).Where(i => !samples.Contains(i))];
        if (rest.Length == 0) throw new DatasetException($"{_root}: none of {Count} slices is left");
        VolumeFolder folder = new(_root, _options, _volumes, [.. rest.Select(i => _slices[i])], _cache, _read)
        {
            Layout = Layout,
            Known = Known,
        };
        folder._masks.Take(_masks, rest);
        return folder;
    }

    private SliceStack? MaskOf(int index) =>
        TruthPath(index) is { } mask ? _cache.Get(mask, path => SliceStack.LoadMask(path, Axis)) : null;

    /// <summary>
    /// The values of a slice of a mask; null without a mask, or where it ends before its scan, which the sample is refused for.
    /// </summary>
    private RawMask? SliceOfMask(int index) =>
        MaskOf(index) is { } mask && _slices[index].Index < mask.Count ? mask.Mask(_slices[index].Index) : null;

    /// <summary>
    /// A mask is laid on its scan voxel by voxel. As in nnU-Net's check, another spacing is refused, and a note tells of another place. A
    /// file that says neither is taken with a note.
    /// </summary>
    private void CheckGeometry(SliceStack scan, SliceStack? mask, string? name)
    {
        if (scan.Geometry is not { } grid || mask?.Geometry is not { } other || name is null) return;
        bool spaced = grid.HasSpacingOf(other), blank = grid.IsBlank || other.IsBlank;
        if (spaced && grid.HasPlaceOf(other)) return;
        if (!spaced && !blank)
            throw new DatasetException(
                $"{scan.Path} has voxels of {grid}, but {mask.Path} {other}; expected one spacing. Resample the mask to the scan, or copy "
                    + "the scan's header if only the mask's is wrong.");
        string what = blank ? "this mask or its scan says neither spacing nor place"
            : grid.Orientation != other.Orientation ? "its axes point elsewhere than those of its scan"
            : "it lies elsewhere than its scan";
        _read.Add(name, what, () => $"{what}: {other}, the scan {grid}; it is laid on the scan voxel by voxel");
    }

    /// <summary>Slices are taken as they are stored: in volumes of other orientations the patient lies otherwise.</summary>
    private IEnumerable<string> MixedOrientations()
    {
        IGrouping<string, int>[] kinds = [.. Enumerable.Range(0, _volumes.Length).Where(i => _orientations[i] is not null)
            .GroupBy(i => _orientations[i]!).OrderByDescending(kind => kind.Count()).ThenBy(kind => kind.Key, StringComparer.Ordinal)];
        if (kinds.Length < 2) yield break;
        yield return "volumes of mixed orientation, which are not turned: "
            + string.Join(", ", kinds.Select(kind => $"{kind.Count()} {kind.Key} as {_volumes[kind.First()].Image}"));
    }

    private (int Volume, int Index)[] Slices(CancellationToken cancellation)
    {
        int[] counts = new int[_volumes.Length];
        ParallelOptions threads = new() { MaxDegreeOfParallelism = Workers.Count, CancellationToken = cancellation };
        Parallel.For(0, counts.Length, threads, i =>
        {
            try
            {
                (counts[i], _orientations[i]) = SliceStack.Look(Path.Combine(_root, _volumes[i].Image), Axis);
            }
            catch (ImageException)
            {
                counts[i] = 1; // found again, and named, when the slice is read
            }
        });
        return [.. counts.SelectMany((count, volume) => Enumerable.Range(0, count).Select(slice => (volume, slice)))];
    }

    private static MaskPairs Pairs(FolderListing files, DataOptions options, CancellationToken cancellation) =>
        FindPairs(files, options, cancellation) ?? throw new DatasetException(
            $"{files.Root}: no volume with a mask; expected NIfTI files, or TIFF files of several pages, and their masks");

    private static MaskPairs? FindPairs(FolderListing files, DataOptions options, CancellationToken cancellation)
    {
        (string root, List<string> pictures, List<string> volumes) = (files.Root, files.Pictures, files.Volumes);
        if (volumes.Count > 0 && MaskPairs.Find(root, volumes, options) is { Pairs.Count: > 0 } nifti) return nifti;
        MaskPairs? pairs = pictures.Count == 0 ? null : MaskPairs.Find(root, pictures, options);
        if (pairs is not null) return AnyStack(root, pairs, cancellation) ? pairs : null;
        return volumes.Count == 0 ? null : throw new DatasetException(
            $"{root}: {volumes.Count} NIfTI files ({string.Join(", ", volumes.Take(3))}{(volumes.Count > 3 ? ", ..." : "")}), but none "
                + "is the mask of another; expected NAME.nii.gz beside NAME_mask.nii.gz, images/ beside masks/, or imagesTr/ beside "
                + "labelsTr/; --images, --masks and --mask-suffix say it otherwise.");
    }

    private static bool AnyStack(string root, MaskPairs pairs, CancellationToken cancellation)
    {
        int stacks = 0;
        ParallelOptions threads = new() { MaxDegreeOfParallelism = Workers.Count, CancellationToken = cancellation };
        Parallel.ForEach(pairs.Pairs, threads, (pair, state) =>
        {
            if (!SliceStack.IsStack(Path.Combine(root, pair.Image))) return;
            Interlocked.Increment(ref stacks);
            state.Stop();
        });
        return stacks > 0;
    }
}
