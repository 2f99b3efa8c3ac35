namespace Mamba.Core.Checkpoints;

/// <summary>Files that appear whole or not at all.</summary>
public static class AtomicFile
{
    /// <summary>Writes to a temporary file beside the target, flushes it to disk and renames it over the target.</summary>
    /// <param name="path">The target; one that exists is replaced.</param>
    /// <param name="write">Writes the content.</param>
    /// <exception cref="CheckpointException">The file cannot be written; the target is as it was, and no temporary file stays.</exception>
    public static void Write(string path, Action<Stream> write)
    {
        string temporary = $"{path}.{Environment.ProcessId}.tmp";
        try
        {
            using (FileStream stream = new(temporary, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 16))
            {
                write(stream);
                stream.Flush(flushToDisk: true);
            }
            File.Move(temporary, path, overwrite: true);
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
            if (e is IOException or UnauthorizedAccessException) throw new CheckpointException($"{path}: cannot be written: {e.Message}", e);
            throw;
        }
    }
}
