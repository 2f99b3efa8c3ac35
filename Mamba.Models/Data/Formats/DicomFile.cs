namespace Mamba.Models.Data.Formats;

/// <summary>DICOM files, which are not read: finds them, and says what to do.</summary>
public static class DicomFile
{
    /// <summary>What to do with a DICOM file.</summary>
    public const string Advice = "a DICOM file, which is not read; convert the series to NIfTI, for instance with: dcm2niix -z y -o OUT IN";

    private const int Signature = 128; // its place in the file

    private static readonly string[] s_extensions = [".dcm", ".dicom", ".ima"];

    /// <summary>Whether a file is DICOM, by its name or by its content.</summary>
    /// <param name="path">The file.</param>
    /// <returns>True if it is; false also for a file that cannot be read.</returns>
    public static bool IsDicom(string path)
    {
        if (s_extensions.Contains(Path.GetExtension(path).ToLowerInvariant())) return true;
        byte[] start = new byte[Signature + 4];
        try
        {
            using FileStream file = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
            file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return false;
        }
        return IsDicom(start);
    }

    /// <summary>The first DICOM file at any depth of a folder; scanners often leave out the extension.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <returns>Its path; null without one.</returns>
    /// <exception cref="IOException">The folder cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be listed.</exception>
    public static string? FindFirst(string folder, CancellationToken cancellation = default) =>
        ImageFile.Find(folder, MayBe, cancellation).FirstOrDefault(IsDicom);

    /// <summary>Whether the bytes of a file are those of DICOM.</summary>
    internal static bool IsDicom(ReadOnlySpan<byte> bytes) =>
        bytes.Length >= Signature + 4 && bytes.Slice(Signature, 4).SequenceEqual("DICM"u8);

    private static bool MayBe(string name) =>
        Path.GetExtension(name).ToLowerInvariant() is var extension && (extension.Length == 0 || s_extensions.Contains(extension)
            || extension.AsSpan(1).ContainsAnyExceptInRange('0', '9') == false); // the end of a number such as 1.2.840
}
