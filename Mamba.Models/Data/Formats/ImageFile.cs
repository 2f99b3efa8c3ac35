using System.IO.Enumeration;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// Pictures on disk: reads PNG, JPEG, TIFF and BMP, writes PNG. Only this file knows the decoders, so a library could replace them here.
/// </summary>
public static class ImageFile
{
    /// <summary>The most bytes of a picture file, which is read whole.</summary>
    public const long MaxFileBytes = 1L << 30;

    /// <summary>The extensions of picture files, in lower case.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"];

    /// <summary>
    /// The pictures at any depth of a folder, found by extension and sorted by ordinal path. Hidden files and folders are skipped, and so
    /// are links to a folder that holds the link.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <returns>Paths that start with the folder as it is given.</returns>
    /// <exception cref="IOException">The folder does not exist, or cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be listed.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<string> Find(string folder, CancellationToken cancellation = default) =>
    [
        .. new FileSystemEnumerable<string>(
            folder, (ref entry) => entry.ToSpecifiedFullPath(),
            new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = false })
        {
            ShouldIncludePredicate = (ref entry) =>
            {
                cancellation.ThrowIfCancellationRequested();
                return !entry.IsDirectory && Extensions.Contains(Path.GetExtension(entry.FileName).ToString().ToLowerInvariant());
            },
            ShouldRecursePredicate = (ref entry) => !LeadsBack(entry.ToFullPath(), entry.Attributes),
        }.Order(StringComparer.Ordinal),
    ];

    private static bool LeadsBack(string folder, FileAttributes attributes) => attributes.HasFlag(FileAttributes.ReparsePoint)
        && new DirectoryInfo(folder).ResolveLinkTarget(returnFinalTarget: true) is { } target
        && folder.StartsWith(Path.TrimEndingDirectorySeparator(target.FullName) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <summary>
    /// Reads a picture; the first bytes of the file tell the format. One bit becomes 0 or 255, palettes are resolved, 16 bits are reduced
    /// to 8, and alpha is dropped.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>The picture, with 1 channel if the file holds gray values and 3 otherwise.</returns>
    /// <exception cref="ImageException">The file cannot be read, is damaged, or is of a kind that is not supported.</exception>
    public static Image Load(string path) => Decode(path, ReadAll(path));

    /// <summary>Reads a mask: its values as they are stored, which have no meaning yet.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The values.</returns>
    /// <exception cref="ImageException">The file cannot be read, is damaged, or is of a kind that is not supported.</exception>
    public static RawMask LoadMask(string path)
    {
        Image image = Load(path);
        bool lossy = Path.GetExtension(path).ToLowerInvariant() is ".jpg" or ".jpeg";
        byte[] p = image.Pixels;
        int[] values = new int[image.Width * image.Height];
        for (int i = 0; i < values.Length; i++) values[i] = image.Channels == 1 ? p[i] : p[3 * i] << 16 | p[3 * i + 1] << 8 | p[3 * i + 2];
        return new RawMask(image.Width, image.Height, image.Channels == 1 ? MaskEncoding.Gray : MaskEncoding.Color, values) { Lossy = lossy };
    }

    /// <summary>Reads a picture from the bytes of a file.</summary>
    /// <param name="name">What errors call it.</param>
    /// <param name="bytes">The whole file.</param>
    /// <returns>The picture.</returns>
    /// <exception cref="ImageException">It is damaged, or of a kind that is not supported.</exception>
    internal static Image Decode(string name, byte[] bytes)
    {
        try
        {
            return Decode(bytes);
        }
        catch (Exception e) when (e is InvalidDataException or IOException) // from the decoders, and from the deflate stream
        {
            throw new ImageException($"{name}: {e.Message}", e);
        }
    }

    /// <summary>Writes a picture as PNG with 8 bits per channel. The file appears whole or not at all.</summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="image">The picture.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void SavePng(string path, Image image) => AtomicFile.Write(path, stream => Png.Write(stream, image));

    /// <summary>Refuses a picture that is empty or larger than <see cref="Image.MaxPixels"/>.</summary>
    internal static void CheckSize(string format, long width, long height)
    {
        if (width < 1 || height < 1 || width > Image.MaxPixels || height > Image.MaxPixels || width * height > Image.MaxPixels)
            throw new InvalidDataException(
                $"{format} of {width} x {height} pixels; expected at least 1 x 1 and at most {Image.MaxPixels} pixels.");
    }

    private static Image Decode(byte[] bytes) => bytes switch
    {
        [0x89, 0x50, 0x4E, 0x47, ..] => Png.Read(bytes),
        [0xFF, 0xD8, ..] => Jpeg.Read(bytes),
        [0x49, 0x49, 0x2A or 0x2B, 0, _, _, _, _, ..] or [0x4D, 0x4D, 0, 0x2A or 0x2B, _, _, _, _, ..] => Tiff.Read(bytes),
        [0x42, 0x4D, ..] => Bmp.Read(bytes),
        _ => throw new InvalidDataException(
            $"starts with '{Convert.ToHexString(bytes.AsSpan(0, Math.Min(4, bytes.Length)))}'; expected a PNG, JPEG, TIFF or BMP file."),
    };

    private static byte[] ReadAll(string path)
    {
        try
        {
            using FileStream stream = new(path, FileMode.Open, FileAccess.Read, FileShare.Read, 1);
            if (stream.Length > MaxFileBytes) throw new ImageException($"{path}: {stream.Length} bytes; expected at most {MaxFileBytes}.");
            byte[] bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            return bytes;
        }
        catch (Exception e) when (e is not ImageException)
        {
            throw new ImageException($"{path}: cannot be read: {e.Message}", e);
        }
    }
}
