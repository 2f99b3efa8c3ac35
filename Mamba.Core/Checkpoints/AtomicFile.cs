namespace Mamba.Core.Checkpoints;

/// <summary>Files that appear whole or not at all.</summary>
public static class AtomicFile
{
    private const string Temporary = ".tmp";

    private static readonly Lock s_renaming = new();

    // A random number instead of that of the process: containers that share a folder are all process 1.
    private static readonly long s_process = Random.Shared.NextInt64();
    private static long s_writes;

    /// <summary>
    /// Removes the temporary files of processes that were killed while they wrote. For a folder that no other process writes to.
    /// </summary>
    /// <param name="folder">The folder; those in it are swept, too.</param>
    /// <exception cref="CheckpointException">One cannot be removed.</exception>
    public static void Sweep(string folder)
    {
        try
        {
            foreach (string path in Directory.EnumerateFiles(folder, "*" + Temporary, SearchOption.AllDirectories))
                if (Path.GetExtension(path[..^Temporary.Length]) is [_, .. var id] && id.All(char.IsAsciiDigit)) File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{folder}: cannot be swept of temporary files: {e.Message}", e);
        }
    }

    /// <summary>
    /// Writes to a temporary file beside the target, flushes it to disk if it is durable, and renames it over the target. Several threads
    /// or processes may write to one path at a time: the file is then one of those written, whole.
    /// </summary>
    /// <param name="path">The target; one that exists is replaced.</param>
    /// <param name="write">Writes the content.</param>
    /// <param name="durable">
    /// Whether a power failure must not undo it, which costs the wait for the disk; without, the file may be empty after one.
    /// </param>
    /// <exception cref="CheckpointException">The file cannot be written; the target is as it was, and no temporary file stays.</exception>
    public static void Write(string path, Action<Stream> write, bool durable = true)
    {
        // The name has the process and the write: threads that save to one path must not share a temporary file.
        string temporary = FormattableString.Invariant($"{path}.{s_process}.{Interlocked.Increment(ref s_writes)}{Temporary}");
        try
        {
            using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: durable);
            }
            lock (s_renaming) File.Move(temporary, path, overwrite: true); // Windows refuses two at a time
        }
        catch (Exception e)
        {
            try
            {
                File.Delete(temporary);
            }
            catch (Exception cleanup) when (cleanup is IOException or UnauthorizedAccessException)
            {
                // The first failure is the one to report.
            }
            if (e is IOException or UnauthorizedAccessException)
                throw new CheckpointException($"{path}: cannot be written: {e.Message}", e);
            throw;
        }
    }
}
