using Mamba.Models.Data.Formats;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// The files in a folder of any depth, listed once: paths relative to it, with '/' between folders on every system, in ordinal order.
/// Hidden files and folders are skipped.
/// </summary>
internal sealed class FolderListing
{
    private static readonly string[] s_tables = [".txt", ".csv", ".tsv"];

    private static readonly string[] s_texts = [".json", ".xml", ".yaml", ".yml", ".md", ".html", ".pdf", ".db", ".ini", ".py", ".ipynb"];

    private readonly string[] _files;

    /// <summary>Lists a folder.</summary>
    /// <param name="root">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <param name="what">What errors expect in it.</param>
    /// <exception cref="DatasetException">It does not exist, or cannot be listed.</exception>
    public FolderListing(string root, CancellationToken cancellation, string what = "images")
    {
        Root = root;
        if (!Directory.Exists(root)) throw new DatasetException($"{root}: no such folder; expected one with {what}.");
        try
        {
            _files = [.. ImageFile.Find(root, _ => true, cancellation)
                .Select(path => Path.GetRelativePath(root, path).Replace(Path.DirectorySeparatorChar, '/'))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DatasetException($"{root}: cannot be listed: {e.Message}", e);
        }
        Pictures = OfKind(ImageFile.Extensions);
        Volumes = [.. _files.Where(NiftiFile.IsNifti)];
    }

    /// <summary>The folder.</summary>
    public string Root { get; }

    /// <summary>Files that a decoder of pictures may read.</summary>
    public List<string> Pictures { get; }

    /// <summary>NIfTI files.</summary>
    public List<string> Volumes { get; }

    /// <summary>What is said of files that are no pictures, and none of the texts that come with data; null if there are none.</summary>
    public string? PassedOver => OthersThan([.. ImageFile.Extensions, .. s_tables]);

    /// <summary>What is said of files that have none of some extensions, and are no texts that come with data; null without any.</summary>
    public string? OthersThan(IReadOnlyList<string> extensions)
    {
        string[] known = [.. extensions, .. s_texts];
        IGrouping<string, string>[] kinds = [.. _files.Select(Extension).Where(extension => !known.Contains(extension))
            .GroupBy(extension => extension).OrderBy(kind => kind.Key, StringComparer.Ordinal)];
        if (kinds.Length == 0) return null;
        string list = string.Join(", ",
            kinds.Take(5).Select(kind => $"{kind.Count()} {(kind.Key.Length == 0 ? "without an ending" : kind.Key)}"));
        return $"{kinds.Sum(kind => kind.Count())} files of other kinds passed over: {list}{(kinds.Length > 5 ? ", ..." : "")}";
    }

    /// <summary>The files of some extensions, in lower or upper case.</summary>
    public List<string> OfKind(IReadOnlyList<string> extensions) => [.. _files.Where(file => extensions.Contains(Extension(file)))];

    private static string Extension(string file) => Path.GetExtension(file).ToLowerInvariant();
}
