using System.Diagnostics;
using System.Globalization;
using Mamba.Cli.Cluster.Wire;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>Where a node has what a run reads: under the coordinator's path, where its own user says, or in its cache.</summary>
/// <param name="images">The images, as its user says; null where nothing was said.</param>
/// <param name="cache">Data that coordinators have sent; null for no cache.</param>
internal sealed class NodeData(string? images, DataCache? cache)
{
    private const string DataOption = "--data";

    private DataFetch? _fetch;
    private long _start;

    /// <summary>
    /// Whether this machine has a file, or a folder with something in it: an empty one is where a disk may be mounted, and is not. A test
    /// has machines that do not see each other's files.
    /// </summary>
    public Func<string, bool> Exists { get; init; } =
        path => File.Exists(path) || (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any());

    /// <summary>What has to be fetched before a run can be prepared.</summary>
    /// <param name="paths">What the run reads.</param>
    /// <returns>Options of <see cref="RunPath.Option"/>; none where everything is here.</returns>
    /// <exception cref="ClusterException">Something is missing, and there is no cache.</exception>
    public string[] Needs(IReadOnlyList<RunPath> paths)
    {
        RunPath[] missing = [.. paths.Where(path => Find(path, paths) is null)];
        // What is below the data comes with it.
        if (missing.Any(path => path.Option == DataOption)) missing = [.. missing.Where(path => path.Below is null)];
        if (missing.Length > 0 && cache is null)
            throw new ClusterException(
                $"{missing[0].Option}: the node has no {missing[0].Path}; give --cache DIR to fetch it, or --data DIR where the images "
                    + "are");
        return [.. missing.Select(path => path.Option)];
    }

    /// <summary>Options of <c>train</c> for what is elsewhere than on the coordinator.</summary>
    public IEnumerable<string> Words(IReadOnlyList<RunPath> paths) =>
        from path in paths
        let own = Find(path, paths)
        where own is not null && own != path.Path
        select $"{path.Option}={own}"; // in one word, so that no path is taken for another option

    /// <summary>The folders of the cache that a run uses.</summary>
    public IEnumerable<string> Cached(IReadOnlyList<RunPath> paths) =>
        from path in paths
        let kept = path.Digest is { } digest ? cache?.Find(digest) : null
        where kept is not null && Find(path, paths)?.StartsWith(kept, StringComparison.Ordinal) == true
        select kept;

    /// <summary>Begins to fetch files.</summary>
    /// <param name="name">What the node is called.</param>
    /// <param name="list">The files.</param>
    /// <param name="say">Where a line about it goes.</param>
    /// <returns>The numbers of the files that are missing.</returns>
    /// <exception cref="IOException">The cache cannot take them.</exception>
    public int[] Begin(string name, FileList list, Action<string> say)
    {
        Stop();
        if (cache!.Find(list.Digest) is not null) return [];
        _fetch = cache.Fetch(list);
        _start = Stopwatch.GetTimestamp();
        int[] missing = _fetch.Missing;
        if (missing.Length == 0) _fetch.Finish();
        else say($"{name}: fetches {_fetch.Words}, into {cache.Folder}");
        return missing;
    }

    /// <summary>Takes a piece of a file.</summary>
    /// <exception cref="IOException">It cannot be written, or the file is another one than was announced.</exception>
    public void Put(FilePiece piece) => (_fetch ?? throw new ClusterException("nothing is fetched")).Put(piece);

    /// <summary>Ends a fetch, all files having come.</summary>
    /// <exception cref="IOException">They have not, or the cache cannot be written.</exception>
    public void Finish(string name, Action<string> say)
    {
        string folder = (_fetch ?? throw new ClusterException("nothing is fetched")).Finish();
        _fetch = null;
        say(string.Create(
            CultureInfo.InvariantCulture, $"{name}: has fetched {folder} in {Stopwatch.GetElapsedTime(_start).TotalSeconds:0.#} s"));
    }

    /// <summary>Stops a fetch; the next one continues with the files that are whole.</summary>
    public void Stop() => Interlocked.Exchange(ref _fetch, null)?.Dispose();

    /// <summary>Gives up a fetch that cannot succeed, and frees its room.</summary>
    public void Discard() => Interlocked.Exchange(ref _fetch, null)?.Discard();

    /// <summary>Says what is wrong with the cache, after a run could not be prepared with it.</summary>
    /// <returns>What to do; null where the cache holds what it says.</returns>
    public string? Damage(IReadOnlyList<RunPath> paths, CancellationToken stop) =>
        Cached(paths).FirstOrDefault(folder => IsDamaged(folder, stop)) is { } damaged
            ? $"{damaged} is damaged; delete it, and the node fetches it again" : null;

    private static bool IsDamaged(string folder, CancellationToken stop)
    {
        try
        {
            return FileList.Of(folder, stop).Digest != Path.GetFileName(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return true;
        }
    }

    /// <summary>Where this node has something; null for nowhere.</summary>
    private string? Find(RunPath path, IReadOnlyList<RunPath> all)
    {
        if (path.Option == DataOption && images is not null) return images; // its user says so; if it is not there, that is an error
        if (path.Below is { } below && all.FirstOrDefault(p => p.Option == DataOption) is { } data && Find(data, all) is { } root
            && FileList.IsSafe(below) && FileList.Below(root, below) is var within && (path.Entry is null || Exists(within))) return within;
        if (Exists(path.Path)) return path.Path;
        return path.Digest is { } digest && cache?.Find(digest) is { } folder
            ? path.Entry is not { } entry ? folder : FileList.IsSafe(entry) ? FileList.Below(folder, entry) : null
            : null;
    }
}
