using Mamba.Models.Data.Formats;
using Mamba.Models.Data.Sets;

namespace Mamba.Cli.Commands;

/// <summary>An image, and the name of its results: its path below the folder that was given, without extension.</summary>
/// <param name="Path">The file.</param>
/// <param name="Name">The name, with '/' between folders.</param>
internal sealed record InferInput(string Path, string Name);

/// <summary>Finds the images that <c>mamba infer</c> is given. The results mirror their folders.</summary>
internal static class InferInputs
{
    /// <summary>The endings of results, which are not read again.</summary>
    public const string Mask = "_pred", Overlay = "_overlay", Probability = "_prob";

    // How the tables of results begin, see SegmentationWriter and VolumeWriter.
    private static readonly string[] s_tables = ["image,width,height,", "volume,shape,"];

    private static readonly string[] s_endings = [Mask, Overlay, Probability];

    /// <summary>The images of files and folders, each once.</summary>
    /// <param name="inputs">Files and folders.</param>
    /// <param name="output">The folder of the results; null if it is new.</param>
    /// <param name="shared">
    /// Whether other processes write to that folder: the images are then the same however far the others are.
    /// </param>
    /// <param name="note">Told in a line which files are masks or results, and left out, and which names are longer.</param>
    /// <param name="stop">Stops between files.</param>
    /// <exception cref="FileNotFoundException">A path does not exist, or there is no image.</exception>
    /// <exception cref="ArgumentException">The results of two images would have the same name.</exception>
    public static InferInput[] Find(string[] inputs, string? output, bool shared, Action<string> note, CancellationToken stop)
    {
        List<InferInput> images = [];
        List<string> masks = [];
        foreach (string input in inputs)
        {
            if (File.Exists(input) && SegmentationFolder.IsMask(input)) masks.Add(input);
            else if (File.Exists(input))
                images.Add(new InferInput(Path.GetFullPath(input), Path.GetFileName(NiftiFile.WithoutExtension(input))));
            else if (!Directory.Exists(input)) throw new FileNotFoundException($"{input}: no such file or folder");
            else images.AddRange(InFolder(input, output is null ? null : Path.GetFullPath(output), shared, masks, note, stop));
        }
        if (images.Count == 0) throw new FileNotFoundException("only masks were given; expected images");
        if (masks.Count > 0)
            note($"left out {masks.Count} file{(masks.Count == 1 ? "" : "s")} named like masks: {PlainText.Few(masks)}");
        return Named([.. images.DistinctBy(image => image.Path)], note);
    }

    /// <summary>The images with names that no two share: those that do get folders or the extension of their files.</summary>
    /// <exception cref="ArgumentException">A name that is made so is one of another image.</exception>
    private static InferInput[] Named(InferInput[] images, Action<string> note)
    {
        Dictionary<string, string> names = [];
        foreach (IGrouping<string, InferInput> group in images.GroupBy(image => image.Name).Where(group => group.Skip(1).Any()))
        {
            string[] paths = [.. group.Select(image => image.Path)], longer = Apart(paths, group.Key.Count(c => c == '/') + 1);
            foreach ((string path, string name) in paths.Zip(longer)) names.Add(path, name);
            note($"{paths.Length} images are called {group.Key}; their results are called {PlainText.Few(longer)}");
        }
        InferInput[] named = Array.ConvertAll(images, image => image with { Name = names.GetValueOrDefault(image.Path, image.Name) });
        if (named.GroupBy(image => image.Name).FirstOrDefault(group => group.Skip(1).Any()) is not { } twice) return named;
        throw new ArgumentException(
            $"{string.Join(" and ", twice.Select(image => image.Path))} would both be written as {twice.Key}; "
                + "run them one by one, each with its own --out");
    }

    /// <summary>Names for files of one name: the last parts of their paths, as few as tell them apart; no drive is one.</summary>
    private static string[] Apart(string[] paths, int parts)
    {
        for (; ; parts++)
            foreach (bool extension in new[] { false, true })
            {
                // A root is no name: a path that begins with one would leave the folder of the results.
                IEnumerable<string> whole = extension ? paths : paths.Select(NiftiFile.WithoutExtension);
                string[] names = [.. whole.Select(path => string.Join('/', path.Replace(":", "")
                    .Split(Path.DirectorySeparatorChar, StringSplitOptions.RemoveEmptyEntries).TakeLast(parts)))];
                if (names.Distinct().Count() == names.Length) return names;
            }
    }

    /// <summary>The inputs that are volumes: none of them, or all.</summary>
    /// <exception cref="ArgumentException">There are volumes and pictures, whose tables of results differ.</exception>
    public static bool AreVolumes(InferInput[] inputs)
    {
        ILookup<bool, InferInput> kinds = inputs.ToLookup(input => SliceStack.IsStack(input.Path));
        if (!kinds.Contains(true) || !kinds.Contains(false)) return kinds.Contains(true);
        throw new ArgumentException(
            $"{kinds[true].First().Path} is a volume, and {kinds[false].First().Path} a picture; run volumes and pictures one after the "
                + "other, each with its own --out");
    }

    private static IEnumerable<InferInput> InFolder(
        string folder, string? output, bool shared, List<string> masks, Action<string> note, CancellationToken stop)
    {
        string root = Path.GetFullPath(folder);
        ILookup<bool, string> files =
            ImageFile.Find(root, stop).Concat(NiftiFile.Find(root, stop)).Order(StringComparer.Ordinal).ToLookup(SegmentationFolder.IsMask);
        string[] found = [.. files[false]];
        masks.AddRange(files[true]);
        if (found.Length == 0 && !files.Contains(true))
            throw new FileNotFoundException(DicomFile.FindFirst(root, stop) is { } dicom ? $"{dicom}: {DicomFile.Advice}"
                : $"{folder}: no image in it; expected {string.Join(", ", ImageFile.Extensions)}, .nii or .nii.gz");
        HashSet<string> stems = [.. found.Select(NiftiFile.WithoutExtension)];
        Dictionary<string, bool> tables = [];
        string? unfinished = shared ? output : null; // its table may be that of a part that was faster
        if (output == root) output = null;
        string[] results = [.. found.Where(path => IsBelow(path, output) || IsResult(NiftiFile.WithoutExtension(path), stems)
            || (HasEnding(path) && IsBesideTable(Path.GetDirectoryName(path)!)))];
        if (results.Length > 0)
            note($"{folder}: {results.Length} results of infer are left out, the first {Path.GetRelativePath(root, results[0])}");
        return found.Except(results).Select(path =>
            new InferInput(path, Path.GetRelativePath(root, NiftiFile.WithoutExtension(path)).Replace(Path.DirectorySeparatorChar, '/')));

        // Results mirror the folders of their images, below the folder of the table.
        bool IsBesideTable(string at)
        {
            if (tables.TryGetValue(at, out bool known)) return known;
            bool here = at != unfinished && (IsTable(Path.Combine(at, InferRun.Table)) || InferPart.IsIn(at, IsTable));
            return tables[at] = here || (at != root && IsBesideTable(Path.GetDirectoryName(at)!));
        }
    }

    private static bool IsBelow(string path, string? folder) =>
        folder is not null && path.StartsWith(folder + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    private static bool IsTable(string path) => File.Exists(path)
        && File.ReadLines(path).FirstOrDefault() is { } head && s_tables.Any(table => head.StartsWith(table, StringComparison.Ordinal));

    private static bool HasEnding(string path) => s_endings.Any(ending =>
        Path.GetFileName(path).LastIndexOf(ending, StringComparison.Ordinal) > 0);

    /// <summary>Whether a file is a result beside its image: a_pred beside a.</summary>
    private static bool IsResult(string stem, HashSet<string> stems) =>
        s_endings.Any(ending => stem.LastIndexOf(ending, StringComparison.Ordinal) is var at and > 0 && stems.Contains(stem[..at]));
}
