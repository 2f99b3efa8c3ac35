using Mamba.Cli.Cluster.Wire;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>
/// Data that coordinators have sent, a folder for each digest. What is still on its way is in a folder of another name, which its process
/// holds locked; several processes may share a cache.
/// </summary>
/// <param name="folder">The cache. It is made when the first data comes.</param>
internal sealed class DataCache(string folder)
{
    /// <summary>Processes that may fetch the same data at a time.</summary>
    private const int MostParts = 64;

    public string Folder => folder;

    /// <summary>Where a cache is that nobody has named; null where this system has no such place.</summary>
    public static string? DefaultFolder =>
        Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } cache && Path.IsPathFullyQualified(cache)
            ? Path.Combine(cache, "mamba")
        : Environment.GetEnvironmentVariable("HOME") is { Length: > 0 } home ? Path.Combine(home, ".cache", "mamba")
        : null;

    /// <summary>The folder with some data; null where it is not in the cache.</summary>
    public string? Find(string digest) => FileList.IsDigest(digest) && Directory.Exists(PathOf(digest)) ? PathOf(digest) : null;

    /// <summary>Begins to fetch data, with the files that an earlier fetch has left.</summary>
    /// <param name="list">The files; its digest is not in the cache.</param>
    /// <exception cref="IOException">The cache cannot be written, or has no room; or the list is not to be trusted.</exception>
    public DataFetch Fetch(FileList list)
    {
        list.ThrowIfUnsafe();
        MakeFolder();
        for (int n = 0; n < MostParts; n++)
        {
            string part = $"{PathOf(list.Digest)}.part-{n}";
            Directory.CreateDirectory(part);
            if (TryLock(Path.Combine(part, "lock")) is not { } held) continue;
            DataFetch fetch = new(list, part, PathOf(list.Digest), held);
            try
            {
                fetch.Resume();
                ThrowIfFull(fetch.MissingBytes);
                return fetch;
            }
            catch
            {
                fetch.Discard();
                throw;
            }
        }
        throw new ClusterException($"{folder}: {MostParts} processes fetch the same data; delete {list.Digest}.part-* there");
    }

    /// <summary>Makes the cache, for its user alone: images of patients are not for all who use a machine.</summary>
    private void MakeFolder()
    {
        if (OperatingSystem.IsWindows()) Directory.CreateDirectory(folder);
        else Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    private string PathOf(string digest) => Path.Combine(folder, digest);

    private static FileStream? TryLock(string file)
    {
        try
        {
            return new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (IOException e) when ((e.HResult & 0xFFFF) is 32 or 11 or 35) // a sharing violation (Windows), EWOULDBLOCK (Linux, macOS)
        {
            return null;
        }
        catch (DirectoryNotFoundException)
        {
            return null; // another process has just finished, and taken it away
        }
    }

    private void ThrowIfFull(long bytes)
    {
        long free = new DriveInfo(Path.GetFullPath(folder)).AvailableFreeSpace;
        if (free < bytes)
            throw new ClusterException(
                $"{folder} has room for {FileList.Words(free)}, and the data needs {FileList.Words(bytes)}; give --cache DIR elsewhere");
    }
}
