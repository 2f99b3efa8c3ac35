namespace Mamba.Models.Data.Labels;

/// <summary>Reads whole files of annotations.</summary>
internal static class LabelFile
{
    /// <summary>The most bytes of a file.</summary>
    public const long MaxBytes = 1L << 30;

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
