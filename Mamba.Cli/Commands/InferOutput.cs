using System.Collections.Concurrent;

namespace Mamba.Cli.Commands;

/// <summary>
/// The folder of results. A new one is claimed at once, so that two runs never share it; files that were there are not replaced unless that
/// was asked for; what was written is taken back if the run fails.
/// </summary>
internal sealed class InferOutput
{
    private const string Runs = "runs";

    private readonly ConcurrentBag<string> _written = [];
    private readonly ConcurrentDictionary<string, bool> _folders = [];
    private readonly bool _overwrite;

    private InferOutput(string path, bool overwrite) => (Path, _overwrite) = (path, overwrite);

    /// <summary>Whether other processes write to the folder, too: folders are then not taken back.</summary>
    public bool IsShared { get; init; }

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Opens the folder that was asked for, or claims a new one.</summary>
    /// <param name="path">The folder; null for the first free one of PARENT/NAME, PARENT/NAME-2, ...</param>
    /// <param name="overwrite">Whether files that are there may be replaced.</param>
    /// <param name="parent">Where the default folders are.</param>
    /// <param name="name">How the first of them is called.</param>
    /// <exception cref="IOException">It is a file.</exception>
    public static InferOutput Open(string? path, bool overwrite, string parent = Runs, string name = "infer")
    {
        if (path is null) return New(overwrite, parent, name);
        InferOutput output = new(path, overwrite);
        output.MakeRoot();
        return output;
    }

    /// <summary>Opens a folder that other processes write to as well.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="overwrite">Whether files that are there may be replaced.</param>
    /// <exception cref="IOException">It is a file.</exception>
    public static InferOutput OpenShared(string path, bool overwrite)
    {
        InferOutput output = new(path, overwrite) { IsShared = true };
        output.MakeRoot();
        return output;
    }

    /// <summary>The path of a result, whose folder is made.</summary>
    /// <param name="name">Its name, with '/' between folders.</param>
    /// <exception cref="IOException">There is such a file, and it may not be replaced.</exception>
    public string FileOf(string name)
    {
        string path = System.IO.Path.Combine(Path, name);
        MakeFolder(System.IO.Path.GetDirectoryName(path)!);
        if (File.Exists(path))
        {
            if (!_overwrite) throw new IOException($"{path}: is there already; --overwrite replaces it, another --out keeps it");
            return path;
        }
        _written.Add(path);
        return path;
    }

    /// <summary>Removes the files that were not there before, and folders that are empty now.</summary>
    public void TakeBack()
    {
        foreach (string path in _written) File.Delete(path);
        if (IsShared) return; // another process may be about to write to a folder that is empty now
        foreach (string folder in _folders.Keys.OrderByDescending(folder => folder.Length))
            if (Directory.Exists(folder) && !Directory.EnumerateFileSystemEntries(folder).Any()) Directory.Delete(folder);
    }

    /// <summary>The first free one of the default folders.</summary>
    private static InferOutput New(bool overwrite, string parent, string name)
    {
        string[] missing = [.. new[] { Runs, parent }.Where(folder => !Directory.Exists(folder))];
        InferOutput output = new(Claim(parent, name), overwrite);
        foreach (string folder in missing.Append(output.Path)) output._folders.TryAdd(folder, true);
        return output;
    }

    private void MakeRoot()
    {
        if (File.Exists(Path)) throw new IOException($"{Path}: is a file; expected a folder");
        MakeFolder(Path);
    }

    /// <summary>Makes a folder and those above it, and remembers those that were not there.</summary>
    private void MakeFolder(string folder)
    {
        for (string? at = folder; !string.IsNullOrEmpty(at)
            && !Directory.Exists(at); at = System.IO.Path.GetDirectoryName(at)) _folders.TryAdd(at, true);
        Directory.CreateDirectory(folder);
    }

    /// <summary>Moves a folder of its own to the first free name: the system lets only one run have it.</summary>
    private static string Claim(string parent, string name)
    {
        Directory.CreateDirectory(parent);
        string own = System.IO.Path.Combine(parent, $".{name}-{OutputPath.Unique}");
        Directory.CreateDirectory(own);
        while (true)
        {
            string path = Models.Training.RunFolder.NextFree(parent, name);
            try
            {
                Directory.Move(own, path);
                return path;
            }
            catch (IOException) when (Directory.Exists(path) || File.Exists(path))
            {
                // Another run was faster.
            }
        }
    }
}
