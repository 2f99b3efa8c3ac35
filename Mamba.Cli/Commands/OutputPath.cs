using System.Diagnostics;
using Mamba.Core.Checkpoints;

namespace Mamba.Cli.Commands;

/// <summary>Places of results: what cannot be written is refused before the work, not after it.</summary>
internal static class OutputPath
{
    /// <summary>
    /// A part of a name that no other process and no other moment has. Not of a Guid: its random bytes come from OpenSSL, which small
    /// systems lack.
    /// </summary>
    public static string Unique => $"{Stopwatch.GetTimestamp():x}-{Environment.ProcessId}";

    /// <summary>Refuses a file that cannot be written.</summary>
    /// <param name="path">The file; one that exists is replaced later.</param>
    /// <exception cref="CheckpointException">It is a folder, its folder is not there, or nothing can be written there.</exception>
    public static void ThrowIfNoFile(string path)
    {
        if (Directory.Exists(path) || Path.EndsInDirectorySeparator(path))
            throw new CheckpointException($"{path}: is a folder; expected the name of a file to write");
        string folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
        if (!Directory.Exists(folder))
            throw new CheckpointException($"{path}: there is no folder {folder}; expected one that exists, so make it first");
        ThrowIfReadOnly(path, folder);
    }

    /// <summary>Refuses a folder that cannot be made, or in which nothing can be written.</summary>
    /// <param name="path">The folder, whether it is there or not.</param>
    /// <exception cref="CheckpointException">A part of the path is a file, or nothing can be written there.</exception>
    public static void ThrowIfNoFolder(string path)
    {
        string full = Path.GetFullPath(path);
        string? at = full;
        while (at is not null && !Path.Exists(at)) at = Path.GetDirectoryName(at);
        if (File.Exists(at)) throw new CheckpointException($"{path}: {(at == full ? "" : $"{at} ")}is a file; expected a folder");
        if (at is not null) ThrowIfReadOnly(path, at);
    }

    private static void ThrowIfReadOnly(string path, string folder)
    {
        try
        {
            string probe = Path.Combine(folder, $".mamba-{Unique}");
            using FileStream file = new(probe, FileMode.CreateNew, FileAccess.Write, FileShare.None, 1, FileOptions.DeleteOnClose);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be written: {e.Message}", e);
        }
    }
}
