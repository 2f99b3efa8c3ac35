using Mamba.Cli.Cluster.Wire;
using Mamba.Core.Checkpoints;
using Microsoft.Win32.SafeHandles;

namespace Mamba.Cli.Cluster.Nodes;

/// <summary>
/// Data on its way to a cache. Its folder gets the name of its digest when every file has the hash that was announced, and not before, so
/// that whatever has that name is whole.
/// </summary>
/// <param name="list">The files.</param>
/// <param name="part">The folder to work in, which exists.</param>
/// <param name="target">The folder to become.</param>
/// <param name="held">Locks the folder.</param>
internal sealed class DataFetch(FileList list, string part, string target, FileStream held) : IDisposable
{
    private readonly Lock _gate = new();
    private readonly Dictionary<int, Incoming> _open = [];
    private readonly HashSet<int> _missing = [.. Enumerable.Range(0, list.Files.Length)];
    private readonly string _files = Path.Combine(part, "files");
    private bool _ended;

    /// <summary>The files that have not come yet.</summary>
    public int[] Missing
    {
        get
        {
            lock (_gate) return [.. _missing.Order()];
        }
    }

    /// <summary>Their bytes.</summary>
    public long MissingBytes => Missing.Sum(i => list.Files[i].Length);

    /// <summary>The files that have not come yet, in words.</summary>
    public string Words => FileList.Words([.. Missing.Select(i => list.Files[i])]);

    /// <summary>The digest of all.</summary>
    public string Digest => list.Digest;

    /// <summary>Keeps the files of an earlier fetch that are whole; the others are fetched again.</summary>
    public void Resume()
    {
        Directory.CreateDirectory(_files);
        for (int i = 0; i < list.Files.Length; i++)
        {
            FileInfo file = new(PathOf(i));
            if (!file.Exists) continue;
            if (file.Length == list.Files[i].Length && HasHash(i)) _missing.Remove(i);
            else file.Delete();
        }
    }

    /// <summary>Takes a piece. When it is the last one of its file, the file is checked.</summary>
    /// <exception cref="ClusterException">
    /// It is no piece of a file that is missing, or the file is another one than was announced.
    /// </exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Put(FilePiece piece)
    {
        if (piece.File < 0 || piece.File >= list.Files.Length || piece.Offset < 0
            || piece.Bytes.Length > list.Files[piece.File].Length - piece.Offset)
            throw new ClusterException($"{piece.Bytes.Length} bytes at {piece.Offset} of file {piece.File} are none of the data");
        Incoming incoming = Open(piece.File);
        RandomAccess.Write(incoming.Handle, piece.Bytes, piece.Offset);
        lock (_gate)
        {
            if ((incoming.Left -= piece.Bytes.Length) > 0) return;
            _open.Remove(piece.File);
        }
        incoming.Handle.Dispose();
        if (!HasHash(piece.File))
            throw new ClusterException($"{list.Files[piece.File].Name} is another file than was announced; it has changed on its way");
        lock (_gate) _missing.Remove(piece.File);
    }

    /// <summary>Gives the folder its name. If another process has brought the same data meanwhile, that is used.</summary>
    /// <returns>The folder.</returns>
    /// <exception cref="ClusterException">Files are missing.</exception>
    public string Finish()
    {
        if (Missing is { Length: > 0 } missing)
            throw new ClusterException($"{missing.Length} of {list.Files.Length} files have not come");
        try
        {
            if (!Directory.Exists(target)) Directory.Move(_files, target);
        }
        catch (IOException) when (Directory.Exists(target))
        {
            // Another process was first, with the same content.
        }
        Discard();
        return target;
    }

    /// <summary>Stops, and deletes what has come.</summary>
    public void Discard()
    {
        Close();
        // The files go while the folder is locked: the next process to lock it may put its own there.
        Try(() => Directory.Delete(_files, recursive: true));
        held.Dispose();
        Try(() => Directory.Delete(part));

        static void Try(Action delete)
        {
            try
            {
                delete();
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // They have got their name, or another process has taken the folder over.
            }
        }
    }

    /// <summary>Stops. The files that are whole are there for the next fetch.</summary>
    public void Dispose()
    {
        Close();
        held.Dispose();
    }

    private void Close()
    {
        lock (_gate)
        {
            _ended = true;
            foreach (Incoming incoming in _open.Values) incoming.Handle.Dispose();
            _open.Clear();
        }
    }

    private string PathOf(int file) => FileList.Below(_files, list.Files[file].Name);

    private bool HasHash(int file)
    {
        using FileStream stream = File.OpenRead(PathOf(file));
        return Sha256.HashData(stream).AsSpan().SequenceEqual(list.Files[file].Hash);
    }

    private Incoming Open(int file)
    {
        lock (_gate)
        {
            if (_ended) throw new ClusterException("the data is fetched no more");
            if (_open.TryGetValue(file, out Incoming? known)) return known;
            if (!_missing.Contains(file)) throw new ClusterException($"{list.Files[file].Name} has come already");
            string path = PathOf(file);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            // A second file of the same name, as 'A' and 'a' are on some systems, is an error.
            SafeFileHandle handle = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write);
            return _open[file] = new Incoming(handle) { Left = list.Files[file].Length };
        }
    }

    /// <summary>A file of which some pieces have come.</summary>
    private sealed class Incoming(SafeFileHandle handle)
    {
        public SafeFileHandle Handle => handle;

        /// <summary>Bytes that have not come.</summary>
        public long Left { get; set; }
    }
}
