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
        string[][] paths = [.. files.Pictures.Select(path => path.Split('/'))];
        ThrowIfAny(paths, path => path.Length < 2, "pictures outside of any class");
        bool parts = HasParts(paths);
        if (parts)
        {
            ThrowIfAny(paths, path => FolderNames.PartOf(path[0]) is null, "pictures outside of the parts");
            ThrowIfAny(paths, path => path.Length < 3, "pictures of a part outside of any class");
        }
        int level = parts ? 1 : 0;
        Labels = [.. paths.Select(path => path[level]).Distinct().Order(StringComparer.Ordinal)];
        if (Labels.Count < 2)
            throw new DatasetException($"{root}: {paths.Length} pictures of {Labels.Count} classes; {Expected}, of two classes or more.");
        if (Labels.All(FolderNames.IsRole))
            throw new DatasetException(
                $"{root}: folders {string.Join(" and ", Labels)} are no classes, and their files no pairs of image and mask; "
                    + "expected images/NAME.ext and masks/NAME.ext, with the same names.");
        _notes = [.. parts ? MissingClasses(paths) : [], .. files.PassedOver is { } others ? new[] { others } : []];
        Layout = parts ? $"a folder per class in "
            + $"{string.Join(", ", paths.Select(path => path[0]).Distinct().Order(StringComparer.Ordinal))}"
            : "a folder per class";
        Layout += $" ({string.Join(", ", Labels.Take(10))}{(Labels.Count > 10 ? $", ... {Labels.Count} classes" : "")})";
        ThrowIfOneLevelBelow(paths, level);

        bool split = parts && paths.Select(path => FolderNames.PartOf(path[0])).Distinct().Skip(1).Any();
        Dictionary<string, int> labels = Labels.Index().ToDictionary(entry => entry.Item, entry => entry.Index);
        ILookup<string, string> names = paths.Select(path => string.Join('/', path)).ToLookup(Stem);
        _entries =
        [
            .. paths.Select(path =>
            {
                string file = string.Join('/', path), name = Stem(file);
                return new Entry(
                    names[name].Count() == 1 ? name : file, file, labels[path[level]], split ? FolderNames.PartOf(path[0]) : null);
            }),
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

    /// <summary>
    /// Whether the outer folders are parts of a split. A class may be called train, too: its pictures then lie directly in it, and other
    /// classes beside it. Names that only contain such a word, as seg_train, are parts where training and another part are among them.
    /// </summary>
    private static bool HasParts(string[][] paths)
    {
        string[] outer = [.. paths.Select(path => path[0]).Distinct()];
        bool all = outer.Length > 0 && outer.All(folder => FolderNames.PartOf(folder) is not null);
        bool deep = paths.Any(path => FolderNames.PartOf(path[0]) is not null && path.Length > 2);
        bool exact = outer.Any(folder => folder.All(char.IsAsciiLetter) && FolderNames.PartOf(folder) is not null);
        int kinds = outer.Select(FolderNames.PartOf).Distinct().Count();
        return (all && (exact || (deep && kinds > 1))) || (deep && exact);
    }

    /// <summary>Refuses folders that all hold folders of the same names: those are the classes, below patients or folds.</summary>
    private void ThrowIfOneLevelBelow(string[][] paths, int level)
    {
        string[] below = [.. paths.GroupBy(path => path[level])
            .Select(outer => string.Join(", ",
                outer.Select(path => path.Length > level + 2 ? path[level + 1] : "").Distinct().Order(StringComparer.Ordinal)))
            .Distinct()];
        if (below is [var names] && names.Contains(", ", StringComparison.Ordinal) && !names.StartsWith(", ", StringComparison.Ordinal))
            throw new DatasetException(
                $"{_root}: folders {Few([.. Labels])} all hold folders {names}, so that those may be the classes; {Expected}.");
    }

    private void ThrowIfAny(string[][] paths, Func<string[], bool> wrong, string what)
    {
        string[] found = [.. paths.Where(wrong).Select(path => string.Join('/', path))];
        if (found.Length > 0) throw new DatasetException($"{_root}: {found.Length} {what}: {Few(found)}; {Expected}.");
    }

    /// <summary>The classes that parts lack, in words.</summary>
    /// <exception cref="DatasetException">It is the training part: a class without training images cannot be learned.</exception>
    private IEnumerable<string> MissingClasses(string[][] paths)
    {
        foreach (IGrouping<string, string[]> part in paths.GroupBy(path => path[0]))
        {
            string[] missing = [.. Labels.Except(part.Select(path => path[1]))];
            if (missing.Length == 0) continue;
            if (FolderNames.PartOf(part.Key) == SplitPart.Train)
                throw new DatasetException(
                    $"{_root}: no pictures in {part.Key} of {missing.Length} of the {Labels.Count} classes: {Few(missing)}; "
                        + "expected training images of each class.");
            yield return $"no pictures in {part.Key} of {missing.Length} of the {Labels.Count} classes: {Few(missing)}";
        }
    }

    private static string Few(string[] names) => string.Join(", ", names.Take(3)) + (names.Length > 3 ? ", ..." : "");

    private sealed record Entry(string Name, string Path, int Label, SplitPart? Part);
}
