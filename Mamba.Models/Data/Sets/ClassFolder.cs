using Mamba.Models.Data.Formats;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// A folder per class, as in torchvision's ImageFolder: CLASS/.../NAME.ext, or PART/CLASS/.../NAME.ext with the official split train
/// (training), val (valid, validation) and test (testing). Classes and pictures are sorted by ordinal name. Hidden files and folders are
/// skipped. See <see cref="ImageFile.Extensions"/>.
/// </summary>
public sealed class ClassFolder : IImageFolder
{
    private const string Expected = "expected CLASS/NAME.ext, or {train,val,test}/CLASS/NAME.ext";

    private readonly string _root;
    private readonly Entry[] _entries;
    private readonly string[] _notes;
    private readonly ReadNotes _read = new();

    /// <summary>Finds the pictures; none is opened yet.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder does not exist or cannot be listed, holds fewer than two classes, a picture outside of any class, or a class that is not
    /// in the training part.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public ClassFolder(string root, CancellationToken cancellation = default)
        : this(new FolderListing(root, cancellation))
    {
    }

    internal ClassFolder(FolderListing files)
    {
        string root = _root = files.Root;
        ClassPaths paths = new(root, files.Pictures, "pictures", Expected);
        Labels = paths.Labels;
        if (Labels.Count < 2)
            throw new DatasetException(
                $"{root}: {files.Pictures.Count} pictures of {Labels.Count} classes; {Expected}, of two classes or more.");
        if (Labels.All(FolderNames.IsRole))
            throw new DatasetException(
                $"{root}: folders {string.Join(" and ", Labels)} are no classes, and their files no pairs of image and mask; "
                    + "expected images/NAME.ext and masks/NAME.ext, with the same names.");
        _notes = [.. paths.MissingClasses(), .. files.PassedOver is { } others ? new[] { others } : []];
        Layout = paths.HasParts ? $"a folder per class in {string.Join(", ", paths.Outer)}" : "a folder per class";
        Layout += $" ({string.Join(", ", Labels.Take(10))}{(Labels.Count > 10 ? $", ... {Labels.Count} classes" : "")})";
        if (paths.SameBelow() is { } below) throw new DatasetException($"{root}: {below}; {Expected}.");

        bool split = Enumerable.Range(0, files.Pictures.Count).Select(paths.PartOf).Distinct().Skip(1).Any();
        Dictionary<string, int> labels = Labels.Index().ToDictionary(entry => entry.Item, entry => entry.Index);
        ILookup<string, string> names = files.Pictures.ToLookup(Stem);
        _entries =
        [
            .. files.Pictures.Select((file, i) => new Entry(
                names[Stem(file)].Count() == 1 ? Stem(file) : file, file, labels[paths.ClassOf(i)], split ? paths.PartOf(i) : null)),
        ];
    }

    private ClassFolder(ClassFolder whole, Entry[] entries) =>
        (_root, _entries, Labels, Layout, _notes, _read) = (whole._root, entries, whole.Labels, whole.Layout, whole._notes, whole._read);

    /// <inheritdoc/>
    public string Layout { get; }

    /// <inheritdoc/>
    /// <remarks>Files that were read may have added to it.</remarks>
    public IReadOnlyList<string> Notes => [.. _notes, .. _read.Lines];

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Classification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public int Count => _entries.Length;

    /// <inheritdoc/>
    public string Name(int index) => _entries[index].Name;

    /// <inheritdoc/>
    public SplitPart? Part(int index) => _entries[index].Part;

    /// <inheritdoc/>
    public int? Stratum(int index) => _entries[index].Label;

    /// <inheritdoc/>
    public string ImagePath(int index) => Path.Combine(_root, _entries[index].Path);

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public ClassificationSample Load(int index)
    {
        Entry entry = _entries[index];
        return new ClassificationSample(ImageFile.LoadNoted(ImagePath(index), note => _read.Add(entry.Path, note)).Image, entry.Label);
    }

    /// <inheritdoc/>
    public IImageFolder Without(IReadOnlySet<int> samples)
    {
        Entry[] rest = [.. _entries.Where((_, i) => !samples.Contains(i))];
        return rest.Length > 0 ? new ClassFolder(this, rest) : throw new DatasetException($"{_root}: none of {Count} images is left");
    }

    private static string Stem(string path) => Path.ChangeExtension(path, null);

    private sealed record Entry(string Name, string Path, int Label, SplitPart? Part);
}
