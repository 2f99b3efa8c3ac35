namespace Mamba.Models.Data.Sets;

/// <summary>
/// Files in a folder per class: CLASS/.../NAME, or PART/CLASS/.../NAME with the official split train (training), val (valid, validation)
/// and test (testing). What could be understood in two ways is refused.
/// </summary>
internal sealed class ClassPaths
{
    private readonly string _root, _what, _expected;
    private readonly string[][] _paths;

    /// <summary>Reads paths.</summary>
    /// <param name="root">The folder, as errors call it.</param>
    /// <param name="files">Paths below it, with '/' between folders.</param>
    /// <param name="what">What the files are: pictures, recordings.</param>
    /// <param name="expected">What errors say was expected.</param>
    /// <param name="known">The classes of a model, which tell classes from parts; null where they are not known.</param>
    /// <exception cref="DatasetException">A file is in no class, or beside the parts.</exception>
    public ClassPaths(string root, IEnumerable<string> files, string what, string expected, IReadOnlyList<string>? known = null)
    {
        (_root, _what, _expected) = (root, what, expected);
        _paths = [.. files.Select(file => file.Split('/'))];
        ThrowIfAny(path => path.Length < 2, $"{what} outside of any class");
        bool below = known is not null && _paths.All(path => path.Length > 2 && known.Contains(path[1]) && !known.Contains(path[0]));
        HasParts = below || ((known is null || !_paths.All(path => known.Contains(path[0]))) && HaveParts(_paths));
        if (HasParts)
        {
            ThrowIfAny(path => FolderNames.PartOf(path[0]) is null, $"{what} outside of the parts");
            ThrowIfAny(path => path.Length < 3, $"{what} of a part outside of any class");
        }
        Labels = [.. Enumerable.Range(0, _paths.Length).Select(ClassOf).Distinct().Order(StringComparer.Ordinal)];
    }

    /// <summary>Whether the outer folders are the parts of a split.</summary>
    public bool HasParts { get; }

    /// <summary>The outer folders, sorted.</summary>
    public IReadOnlyList<string> Outer => [.. _paths.Select(path => path[0]).Distinct().Order(StringComparer.Ordinal)];

    /// <summary>The names of the classes, sorted.</summary>
    public IReadOnlyList<string> Labels { get; }

    /// <summary>The class of a file.</summary>
    public string ClassOf(int index) => _paths[index][HasParts ? 1 : 0];

    /// <summary>The part that a file's folder names; null where there are none.</summary>
    public SplitPart? PartOf(int index) => HasParts ? FolderNames.PartOf(_paths[index][0]) : null;

    /// <summary>What is said of classes that all hold folders of the same names: those may be the classes. Null for others.</summary>
    public string? SameBelow()
    {
        int level = HasParts ? 1 : 0;
        string[] below = [.. _paths.GroupBy(path => path[level])
            .Select(outer => string.Join(", ",
                outer.Select(path => path.Length > level + 2 ? path[level + 1] : "").Distinct().Order(StringComparer.Ordinal)))
            .Distinct()];
        return below is [var names] && names.Contains(", ", StringComparison.Ordinal) && !names.StartsWith(", ", StringComparison.Ordinal)
            ? $"folders {Few([.. Labels])} all hold folders {names}, so that those may be the classes" : null;
    }

    /// <summary>The classes that parts lack, in words.</summary>
    /// <exception cref="DatasetException">It is the training part: a class that is not trained on cannot be learned.</exception>
    public IEnumerable<string> MissingClasses()
    {
        if (!HasParts) yield break;
        foreach (IGrouping<SplitPart?, string[]> part in _paths.GroupBy(path => FolderNames.PartOf(path[0])))
        {
            string[] missing = [.. Labels.Except(part.Select(path => path[1]))];
            if (missing.Length == 0) continue;
            string folders = string.Join(" and ", part.Select(path => path[0]).Distinct());
            string lacking = $"no {_what} in {folders} of {missing.Length} of the {Labels.Count} classes: {Few(missing)}";
            if (part.Key == SplitPart.Train)
                throw new DatasetException($"{_root}: {lacking}; expected training {_what} of each class.");
            yield return lacking;
        }
    }

    /// <summary>
    /// Whether the outer folders are parts of a split. A class may be called train, too: its files then lie directly in it, and other
    /// classes beside it. Names that only contain such a word, as seg_train, are parts where training and another part are among them.
    /// </summary>
    private static bool HaveParts(string[][] paths)
    {
        string[] outer = [.. paths.Select(path => path[0]).Distinct()];
        bool all = outer.Length > 0 && outer.All(folder => FolderNames.PartOf(folder) is not null);
        bool deep = paths.Any(path => FolderNames.PartOf(path[0]) is not null && path.Length > 2);
        bool exact = outer.Any(folder => folder.All(char.IsAsciiLetter) && FolderNames.PartOf(folder) is not null);
        int kinds = outer.Select(FolderNames.PartOf).Distinct().Count();
        return (all && (exact || (deep && kinds > 1))) || (deep && exact);
    }

    private void ThrowIfAny(Func<string[], bool> wrong, string what)
    {
        string[] found = [.. _paths.Where(wrong).Select(path => string.Join('/', path))];
        if (found.Length > 0) throw new DatasetException($"{_root}: {found.Length} {what}: {Few(found)}; {_expected}.");
    }

    private static string Few(string[] names) => string.Join(", ", names.Take(3)) + (names.Length > 3 ? ", ..." : "");
}
