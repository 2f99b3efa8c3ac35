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

    private static readonly string[] s_endings = [Mask, Overlay, Probability];

    /// <summary>The images of files and folders, each once.</summary>
    /// <param name="inputs">Files and folders.</param>
    /// <param name="output">The folder of the results; null if it is new.</param>
    /// <param name="stop">Stops between files.</param>
    /// <exception cref="FileNotFoundException">A path does not exist, or there is no image.</exception>
    /// <exception cref="ArgumentException">The results of two images would have the same name.</exception>
    public static InferInput[] Find(string[] inputs, string? output, CancellationToken stop)
    {
        List<InferInput> images = [];
        foreach (string input in inputs)
        {
            if (File.Exists(input)) images.Add(new InferInput(Path.GetFullPath(input), Path.GetFileNameWithoutExtension(input)));
            else if (!Directory.Exists(input)) throw new FileNotFoundException($"{input}: no such file or folder");
            else images.AddRange(InFolder(input, output is null ? null : Path.GetFullPath(output), stop));
        }
        images.RemoveAll(image => SegmentationFolder.IsMask(image.Path));
        if (images.Count == 0) throw new FileNotFoundException("only masks were given; expected images");
        InferInput[] distinct = [.. images.DistinctBy(image => image.Path)];
        if (distinct.GroupBy(image => image.Name).FirstOrDefault(group => group.Skip(1).Any()) is not { } twice) return distinct;
        throw new ArgumentException(
            $"{string.Join(" and ", twice.Select(image => image.Path))} would both be written as {twice.Key}; "
                + "run them one by one, each with its own --out");
    }

    private static IEnumerable<InferInput> InFolder(string folder, string? output, CancellationToken stop)
    {
        string root = Path.GetFullPath(folder);
        string[] found = [.. ImageFile.Find(root, stop).Where(path => !SegmentationFolder.IsMask(path))];
        if (found.Length == 0)
            throw new FileNotFoundException($"{folder}: no image in it; expected {string.Join(", ", ImageFile.Extensions)}");
        HashSet<string> stems = [.. found.Select(path => Path.ChangeExtension(path, null))];
        bool apart = output is not null && output != root;
        foreach (string path in found)
        {
            if (apart && path.StartsWith(output + Path.DirectorySeparatorChar, StringComparison.Ordinal)) continue;
            if (IsResult(Path.ChangeExtension(path, null), stems)) continue;
            string name = Path.GetRelativePath(root, Path.ChangeExtension(path, null));
            yield return new InferInput(path, name.Replace(Path.DirectorySeparatorChar, '/'));
        }
    }

    /// <summary>Whether a file is a result beside its image: a_pred beside a.</summary>
    private static bool IsResult(string stem, HashSet<string> stems) =>
        s_endings.Any(ending => stem.LastIndexOf(ending, StringComparison.Ordinal) is var at and > 0 && stems.Contains(stem[..at]));
}
