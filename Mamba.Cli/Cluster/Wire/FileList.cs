using System.Globalization;
using System.IO.Enumeration;
using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Data.Sets;
using Orleans.Concurrency;

namespace Mamba.Cli.Cluster.Wire;

/// <summary>The files of a folder, or a file, by content: two machines have the same data if they have the same digest.</summary>
/// <param name="Digest">The SHA-256 of names, lengths and hashes, 64 hexadecimal digits.</param>
/// <param name="Files">The files, in ordinal order of their names.</param>
[GenerateSerializer, Immutable, Alias("Mamba.Cluster.FileList")]
internal sealed record FileList(string Digest, ListedFile[] Files)
{
    /// <summary>Reads all files of a folder, hidden ones apart, or one file.</summary>
    /// <param name="path">The folder or the file.</param>
    /// <param name="stop">Stops between pieces of files.</param>
    /// <returns>The list.</returns>
    /// <exception cref="ClusterException">It holds a link that leaves it, which another machine cannot have.</exception>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static FileList Of(string path, CancellationToken stop)
    {
        string root = RootOf(path);
        List<ListedFile> files = [];
        foreach (string name in Names(path).Order(StringComparer.Ordinal))
        {
            using FileStream file = File.OpenRead(Below(root, name));
            files.Add(new ListedFile(name, file.Length, Sha256.HashData(file, stop)));
        }
        return new FileList(DigestOf(files), [.. files]);
    }

    /// <summary>The folder that names of a list start from.</summary>
    public static string RootOf(string path) => File.Exists(path) ? Path.GetDirectoryName(Path.GetFullPath(path))! : path;

    /// <summary>The path of a listed file.</summary>
    public static string Below(string root, string name) => Path.Combine(root, name.Replace('/', Path.DirectorySeparatorChar));

    /// <summary>The digest of files in order.</summary>
    public static string DigestOf(IEnumerable<ListedFile> files)
    {
        Sha256 hash = new();
        foreach (ListedFile file in files)
            hash.Append(Encoding.UTF8.GetBytes(string.Create(
                CultureInfo.InvariantCulture, $"{file.Name}\0{file.Length}\0{Convert.ToHexStringLower(file.Hash)}\n")));
        return Convert.ToHexStringLower(hash.Finish());
    }

    /// <summary>Whether a name stays below the folder that it is put into, on any system.</summary>
    public static bool IsSafe(string name) =>
        !name.Contains('\0') && !name.Contains('\\')
        && name.Split('/').All(part => part is not ("" or "." or "..") && !(part.Length > 1 && part[1] == ':'));

    /// <summary>Whether a digest is one: it names a folder.</summary>
    public static bool IsDigest(string digest) => digest.Length == 64 && digest.All(char.IsAsciiHexDigitLower);

    /// <summary>Files and bytes in words: 3,929 files, 87 MB.</summary>
    public static string Words(IReadOnlyCollection<ListedFile> files) => string.Create(
        CultureInfo.InvariantCulture, $"{files.Count:N0} file{(files.Count == 1 ? "" : "s")}, {Words(files.Sum(f => f.Length))}");

    /// <summary>Bytes in words: 87 MB.</summary>
    public static string Words(long bytes) => bytes switch
    {
        < 1_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e3:0.#} kB"),
        < 10_000_000_000 => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0} MB"),
        _ => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e9:0} GB"),
    };

    /// <summary>Refuses a list that would write elsewhere, or that is not what its digest says.</summary>
    /// <exception cref="ClusterException">It is such a list.</exception>
    public void ThrowIfUnsafe()
    {
        if (Files.FirstOrDefault(file => !IsSafe(file.Name)) is { } outside)
            throw new ClusterException($"the coordinator sends a file '{outside.Name}'; expected a name below the folder of the data");
        if (Files.FirstOrDefault(file => file.Length < 0 || file.Hash.Length != Sha256.HashSizeInBytes) is { } file)
            throw new ClusterException($"the coordinator sends a file '{file.Name}' of {file.Length} bytes, hash of {file.Hash.Length}");
        if (DigestOf(Files) != Digest || Files.Select(f => f.Name).Distinct().Count() != Files.Length)
            throw new ClusterException("the coordinator's list of files is not what its digest says");
    }

    /// <summary>The names of what is sent.</summary>
    private static IEnumerable<string> Names(string path)
    {
        if (Directory.Exists(path)) return InFolder(path);
        string name = Path.GetFileName(path);
        if (name.EndsWith(".index.json", StringComparison.Ordinal))
            throw new ClusterException($"{path} names further files; copy them to the node");
        if (!name.StartsWith("emnist-", StringComparison.Ordinal) || Emnist.Find(path) is null) return [name];
        // A file of EMNIST stands for all of its set: emnist-letters-train-..., emnist-letters-test-...
        string set = string.Join('-', name.Split('-')[..2]) + "-";
        return InFolder(RootOf(path)).Where(file => file.StartsWith(set, StringComparison.Ordinal));
    }

    private static IEnumerable<string> InFolder(string root)
    {
        string full = Path.GetFullPath(root);
        return new FileSystemEnumerable<string>(
            full, (ref entry) => Path.GetRelativePath(full, entry.ToFullPath()).Replace(Path.DirectorySeparatorChar, '/'),
            new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = false })
        {
            ShouldIncludePredicate = (ref entry) => !IsLink(entry.Attributes) ? !entry.IsDirectory
                : entry.IsDirectory ? !StaysBelow(full, entry.ToFullPath(), folder: true)
                : StaysBelow(full, entry.ToFullPath(), folder: false),
            ShouldRecursePredicate = (ref entry) => !IsLink(entry.Attributes) && !IsRun(entry.ToFullPath()),
        };
    }

    private static bool IsLink(FileAttributes attributes) => attributes.HasFlag(FileAttributes.ReparsePoint);

    /// <summary>A run that is written into the folder of its data is none of the data, and changes.</summary>
    private static bool IsRun(string folder) =>
        File.Exists(Path.Combine(folder, "args.json")) && File.Exists(Path.Combine(folder, "split.json"));

    /// <summary>Whether a link leads to what is in the folder anyway; a folder above it counts as that.</summary>
    /// <exception cref="ClusterException">It leads elsewhere.</exception>
    private static bool StaysBelow(string root, string link, bool folder)
    {
        FileSystemInfo info = folder ? new DirectoryInfo(link) : new FileInfo(link);
        string to = info.ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? link;
        string own = new DirectoryInfo(root).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? root;
        if (IsBelow(root, to) || IsBelow(own, to) || (folder && IsBelow(to, link))) return true;
        throw new ClusterException($"{link} is a link to {to}, outside of the data; copy the data to the node");
    }

    private static bool IsBelow(string root, string path) =>
        path.StartsWith(Path.TrimEndingDirectorySeparator(root) + Path.DirectorySeparatorChar, StringComparison.Ordinal);
}
