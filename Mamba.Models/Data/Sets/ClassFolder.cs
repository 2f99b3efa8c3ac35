using Mamba.Models.Data.Formats;
using Mamba.Models.Tasks;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// A folder per class, as in torchvision's ImageFolder: CLASS/.../NAME.ext, or PART/CLASS/.../NAME.ext with the official split train, val
/// (or valid) and test. Classes and pictures are sorted by ordinal name. Hidden files and folders are skipped. See <see
/// cref="ImageFile.Extensions"/>.
/// </summary>
public sealed class ClassFolder : IImageData
{
    private const string Layout = "expected CLASS/NAME.ext or, with each class in each part, {train,val,test}/CLASS/NAME.ext";

    private readonly string _root;
    private readonly List<Entry> _entries = [];

    /// <summary>Finds the pictures; none is opened yet.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <exception cref="DatasetException">
    /// The folder does not exist or cannot be listed, holds fewer than two classes, a picture outside of any class, or parts with different
    /// classes.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public ClassFolder(string root, CancellationToken cancellation = default)
    {
        _root = root;
        string[][] paths = [.. DataFile.Pictures(root, cancellation).Select(path => path.Split('/'))];
        ThrowIfAny(paths, path => path.Length < 2, "pictures outside of any class");
        // A class may be called train, too. Its pictures then lie directly in it, and other classes beside it.
        bool parts = paths.Any(path => PartOf(path[0]) is not null && path.Length > 2)
            || (paths.Length > 0 && paths.All(path => PartOf(path[0]) is not null));
        if (parts)
        {
            ThrowIfAny(paths, path => PartOf(path[0]) is null, "pictures outside of the parts");
            ThrowIfAny(paths, path => path.Length < 3, "pictures of a part outside of any class");
        }
        int level = parts ? 1 : 0;
        Labels = [.. paths.Select(path => path[level]).Distinct().Order(StringComparer.Ordinal)];
        if (Labels.Count < 2)
            throw new DatasetException($"{root}: {paths.Length} pictures of {Labels.Count} classes; {Layout}, of two classes or more.");
        if (parts) ThrowIfClassesDiffer(paths);

        Dictionary<string, int> labels = Labels.Index().ToDictionary(entry => entry.Item, entry => entry.Index);
        ILookup<string, string> names = paths.Select(path => string.Join('/', path)).ToLookup(Stem);
        foreach (string[] path in paths)
        {
            string file = string.Join('/', path), name = Stem(file);
            _entries.Add(new Entry(names[name].Count() == 1 ? name : file, file, labels[path[level]], parts ? PartOf(path[0]) : null));
        }
    }

    /// <inheritdoc/>
    public ModelTask Task => ModelTask.Classification;

    /// <inheritdoc/>
    public IReadOnlyList<string> Labels { get; }

    /// <inheritdoc/>
    public int Count => _entries.Count;

    /// <inheritdoc/>
    public string Name(int index) => _entries[index].Name;

    /// <inheritdoc/>
    public SplitPart? Part(int index) => _entries[index].Part;

    Sample IImageData.Load(int index) => Load(index);

    /// <inheritdoc cref="IImageData.Load"/>
    public ClassificationSample Load(int index) => new(ImageFile.Load(Path.Combine(_root, _entries[index].Path)), _entries[index].Label);

    private static string Stem(string path) => Path.ChangeExtension(path, null);

    private static SplitPart? PartOf(string folder) => folder.ToLowerInvariant() switch
    {
        "train" => SplitPart.Train,
        "val" or "valid" => SplitPart.Val,
        "test" => SplitPart.Test,
        _ => null,
    };

    private void ThrowIfAny(string[][] paths, Func<string[], bool> wrong, string what)
    {
        string[] found = [.. paths.Where(wrong).Select(path => string.Join('/', path))];
        if (found.Length > 0) throw new DatasetException($"{_root}: {found.Length} {what}: {Few(found)}; {Layout}.");
    }

    private void ThrowIfClassesDiffer(string[][] paths)
    {
        foreach (IGrouping<string, string[]> part in paths.GroupBy(path => path[0]))
        {
            string[] missing = [.. Labels.Except(part.Select(path => path[1]))];
            if (missing.Length > 0)
                throw new DatasetException(
                    $"{_root}: no pictures in {part.Key} of {missing.Length} of the {Labels.Count} classes: {Few(missing)}; {Layout}.");
        }
    }

    private static string Few(string[] names) => string.Join(", ", names.Take(3)) + (names.Length > 3 ? ", ..." : "");

    private sealed record Entry(string Name, string Path, int Label, SplitPart? Part);
}
