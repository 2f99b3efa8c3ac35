namespace Mamba.Core.Checkpoints;

/// <summary>Writes files atomically: a file is complete or does not exist.</summary>
public static class AtomicFile
{
    private const string Temporary = ".tmp";

    private static readonly Lock s_renaming = new();

    // A random number instead of the process id: in containers that share a folder, every process has id 1.
    private static readonly long s_process = Random.Shared.NextInt64();
    private static long s_writes;

    /// <summary>
    /// Deletes temporary files of processes that were killed while writing. For a folder that no other process writes to.
    /// </summary>
    /// <param name="folder">The folder; subfolders are included.</param>
    /// <exception cref="CheckpointException">A file cannot be deleted.</exception>
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
    /// Writes to a temporary file beside the target, flushes it to disk if durable, and renames it over the target. If several threads or
    /// processes write to one path at a time, the result is one of their files, complete.
    /// </summary>
    /// <param name="path">The target; an existing file is replaced.</param>
    /// <param name="write">Writes the content.</param>
    /// <param name="durable">
    /// Whether the file must survive a power failure, which means waiting for the disk. Otherwise it may be empty after one.
    /// </param>
    /// <exception cref="CheckpointException">
    /// The file cannot be written. The target is unchanged, and the temporary file is deleted.
    /// </exception>
    public static void Write(string path, Action<Stream> write, bool durable = true)
    {
        // The name identifies the process and the write: concurrent writes to one path must not share a temporary file.
        string temporary = FormattableString.Invariant($"{path}.{s_process}.{Interlocked.Increment(ref s_writes)}{Temporary}");
        try
        {
            using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: durable);
            }
            lock (s_renaming) File.Move(temporary, path, overwrite: true); // Windows refuses concurrent renames
        }
        catch (Exception e)
        {
            try
            {
                File.Delete(temporary);
            }
            catch (Exception cleanup) when (cleanup is IOException or UnauthorizedAccessException)
            {
                // Report the first failure.
            }
            if (e is IOException or UnauthorizedAccessException)
                throw new CheckpointException($"{path}: cannot be written: {e.Message}", e);
            throw;
        }
    }
}
