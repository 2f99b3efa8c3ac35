namespace Mamba.Models.Data.Labels;

/// <summary>Small text files that come with data.</summary>
internal static class TextFile
{
    private const long MaxBytes = 1L << 26;

    /// <summary>The lines of a file that are neither empty nor a comment after '#' and a space.</summary>
    /// <exception cref="DatasetException">It cannot be read, or is too large.</exception>
    public static string[] Lines(string path)
    {
        try
        {
            if (new FileInfo(path).Length > MaxBytes) throw new DatasetException($"{path}: larger than {MaxBytes} bytes");
            return [.. File.ReadLines(path).Select(line => line.Trim()).Where(l => l.Length > 0
                && !l.StartsWith("# ", StringComparison.Ordinal))];
        }
        catch (Exception e) when (e is UnauthorizedAccessException or (IOException and not DatasetException))
        {
            throw new DatasetException($"{path}: cannot be read: {e.Message}", e);
        }
    }
}
