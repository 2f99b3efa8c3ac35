namespace Mamba.Models.Data.Labels;

/// <summary>Reads whole files of annotations and labels.</summary>
internal static class LabelFile
{
    /// <summary>The most bytes of a file.</summary>
    public const long MaxBytes = 1L << 30;

    // Of files that are read line by line.
    private const long MaxTextBytes = 1L << 26;

    /// <summary>The lines of a text file that are neither empty nor a comment after '#' and a space.</summary>
    /// <exception cref="DatasetException">It cannot be read, or is too large.</exception>
    public static string[] Lines(string path)
    {
        using StreamReader text = new(new MemoryStream(ReadAll(path, MaxTextBytes))); // which knows a byte order mark
        return [.. text.ReadToEnd().Split('\n').Select(line => line.Trim())
            .Where(line => line.Length > 0 && !line.StartsWith("# ", StringComparison.Ordinal))];
    }

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="most">The most bytes that it may have.</param>
    /// <exception cref="DatasetException">It cannot be read, or is larger.</exception>
    public static byte[] ReadAll(string path, long most)
    {
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
            if (file.Length > most) throw new DatasetException($"{path}: {file.Length} bytes; expected at most {most}.");
            byte[] bytes = new byte[file.Length];
            file.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is UnauthorizedAccessException or ArgumentException or NotSupportedException
            or (IOException and not DatasetException))
        {
            throw new DatasetException($"{path}: cannot be read: {e.Message}", e);
        }
    }
}
