using System.IO.Hashing;
using System.Text;
using Mamba.Models.Data.Formats;

namespace Mamba.Models.Studies;

/// <summary>Tells the images of a study from others, so that runs on different ones are never compared.</summary>
internal static class StudyImages
{
    /// <summary>A fast hash of the names and bytes of all pictures, or of all files where none has a picture's name.</summary>
    /// <param name="data">The folder or the file.</param>
    /// <param name="except">A folder that does not count, for the study writes to it.</param>
    /// <returns>32 digits; null where there is no such path, as for synthetic images and those of a program.</returns>
    /// <exception cref="IOException">A file cannot be read.</exception>
    public static string? Digest(string data, string except)
    {
        if (!Path.Exists(data)) return null;
        string own = Path.GetFullPath(except) + Path.DirectorySeparatorChar;
        string[] files = File.Exists(data) ? [data] :
        [
            .. Directory.EnumerateFiles(data, "*", new EnumerationOptions { RecurseSubdirectories = true })
                .Where(path => !Path.GetFullPath(path).StartsWith(own, StringComparison.Ordinal)),
        ];
        string[] pictures = [.. files.Where(IsPicture)];
        XxHash128 hash = new();
        foreach (string path in (pictures.Length > 0 ? pictures : files).Order(StringComparer.Ordinal))
        {
            hash.Append(Encoding.UTF8.GetBytes($"{Path.GetRelativePath(data, path).Replace('\\', '/')}\n"));
            using FileStream file = File.OpenRead(path);
            hash.Append(file);
        }
        return Convert.ToHexStringLower(hash.GetCurrentHash());
    }

    private static bool IsPicture(string path) => ImageFile.Extensions.Contains(Path.GetExtension(path).ToLowerInvariant())
        || path.EndsWith(".nii", StringComparison.OrdinalIgnoreCase) || path.EndsWith(".nii.gz", StringComparison.OrdinalIgnoreCase);
}
