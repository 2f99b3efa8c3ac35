using System.IO.Enumeration;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// Pictures on disk: reads PNG, JPEG, TIFF, BMP, GIF, WebP, TGA and portable maps (PBM, PGM, PPM), writes PNG. The first bytes of a file
/// tell its format; only TGA, which has no signature, goes by its name.
/// </summary>
public static class ImageFile
{
    /// <summary>The most bytes of a picture file, which is read whole.</summary>
    public const long MaxFileBytes = 1L << 30;

    /// <summary>The extensions of picture files, in lower case.</summary>
    public static IReadOnlyList<string> Extensions { get; } =
        [".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tga", ".pbm", ".pgm", ".ppm"];

    /// <summary>
    /// The pictures at any depth of a folder, found by extension and sorted by ordinal path. Hidden files and folders are skipped, on every
    /// system also those whose names begin with a dot and the <c>__MACOSX</c> of archives, and so are links to a folder that is below the
    /// folder anyway, or that holds it.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="cancellation">Stops between files.</param>
    /// <returns>Paths that start with the folder as it is given.</returns>
    /// <exception cref="IOException">The folder does not exist, or cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder cannot be listed.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static IReadOnlyList<string> Find(string folder, CancellationToken cancellation = default) =>
        Find(folder, name => Extensions.Contains(Path.GetExtension(name).ToLowerInvariant()), cancellation);

    /// <summary>As <see cref="Find(string, CancellationToken)"/>, files whose names are wanted.</summary>
    internal static IReadOnlyList<string> Find(string folder, Func<string, bool> wanted, CancellationToken cancellation) =>
    [
        .. new FileSystemEnumerable<string>(
            folder, (ref entry) => entry.ToSpecifiedFullPath(),
            new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = false })
        {
            ShouldIncludePredicate = (ref entry) =>
            {
                cancellation.ThrowIfCancellationRequested();
                return !entry.IsDirectory && !IsHidden(entry.FileName) && wanted(entry.FileName.ToString());
            },
            ShouldRecursePredicate = (ref entry) =>
                !IsHidden(entry.FileName) && !IsThereAnyway(entry.ToFullPath(), entry.Attributes, folder),
        }.Order(StringComparer.Ordinal),
    ];

    /// <summary>Not every system hides these: a Mac puts ._NAME beside NAME, and both into __MACOSX.</summary>
    private static bool IsHidden(ReadOnlySpan<char> name) =>
        name is ['.', ..] || name.Equals("__MACOSX", StringComparison.Ordinal);

    private static bool IsThereAnyway(string link, FileAttributes attributes, string root)
    {
        if (!attributes.HasFlag(FileAttributes.ReparsePoint)) return false;
        if (new DirectoryInfo(link).ResolveLinkTarget(returnFinalTarget: true) is not { } target) return false;
        string to = Slashed(target.FullName), from = Slashed(Path.GetFullPath(root));
        return Slashed(link).StartsWith(to, StringComparison.Ordinal) || to.StartsWith(from, StringComparison.Ordinal);

        static string Slashed(string path) => Path.TrimEndingDirectorySeparator(path) + Path.DirectorySeparatorChar;
    }

    /// <summary>
    /// Reads a picture. Few bits become 0 to 255, palettes are resolved, 16 bits are kept, alpha is dropped, and the picture is turned
    /// as its EXIF orientation says. Of several pages or frames, the first is taken.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>The picture, with 1 channel if the file holds gray values and 3 otherwise.</returns>
    /// <exception cref="ImageException">The file cannot be read, is damaged, or is of a kind that is not supported.</exception>
    public static Image Load(string path) => Decode(path, ReadAll(path));

    /// <summary>Reads a picture as <see cref="Load"/> does, and says what is worth a warning.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The picture and notes such as "a stack; the first of 5 pages is taken".</returns>
    /// <exception cref="ImageException">The file cannot be read, is damaged, or is of a kind that is not supported.</exception>
    public static ImageWithNotes Read(string path)
    {
        byte[] bytes = ReadAll(path);
        return Guard(path, () =>
        {
            Raster raster = Decode(bytes, path);
            Image image = raster.ToImage();
            List<string> notes = [.. raster.Notes];
            if (raster.Alpha is not null && raster.Alpha.AsSpan().ContainsAnyExcept((byte)255)) notes.Add("transparency is left out");
            if (image is { Is16Bit: true, UsedBits: < 16 and var used, Origin: 0 })
                notes.Add($"values up to {(1 << used) - 1}: {(used == 8 ? "8 bits or fewer" : $"{used} bits")} in a file of 16");
            return new ImageWithNotes(image, notes);
        });
    }

    /// <summary>Reads a picture as <see cref="Load"/> does, and tells what its file has besides, or lacks.</summary>
    /// <param name="path">The file.</param>
    /// <param name="note">Takes a few words, such as "a stack; the first of 5 pages is taken".</param>
    /// <returns>The picture, and the pages or frames of the file.</returns>
    internal static (Image Image, int Pages) LoadNoted(string path, Action<string> note)
    {
        byte[] bytes = ReadAll(path);
        (Image image, Raster raster) = Guard(path, () =>
        {
            Raster read = Decode(bytes, path);
            return (read.ToImage(), read);
        });
        foreach (string text in raster.Notes) note(text);
        return (image, raster.Pages);
    }

    /// <summary>Reads a mask: its values as they are stored, which have no meaning yet, turned as the EXIF orientation says.</summary>
    /// <param name="path">The file.</param>
    /// <returns>
    /// The values. Few bits stay as they are stored (one bit gives 0 and 1, and 1 is white), palettes give indices, and a color file whose
    /// pixels are all gray gives gray values.
    /// </returns>
    /// <exception cref="ImageException">
    /// The file cannot be read, is damaged or cut short, or is of a kind that is not supported.
    /// </exception>
    public static RawMask LoadMask(string path)
    {
        byte[] bytes = ReadAll(path);
        return Guard(path, () => Decode(bytes, path).ToMask());
    }

    /// <summary>The pages of a TIFF stack; 1 for any other picture.</summary>
    /// <param name="path">The file.</param>
    /// <returns>1 or more; previews that accompany a page do not count.</returns>
    /// <exception cref="ImageException">The file cannot be read, or is damaged.</exception>
    public static int PageCount(string path)
    {
        byte[] bytes = ReadAll(path);
        return Guard(path, () => IsTiff(bytes) ? TiffReader.PageCount(bytes) : 1);
    }

    /// <summary>Reads one page of a TIFF stack.</summary>
    /// <param name="path">The file.</param>
    /// <param name="index">From 0 to <see cref="PageCount"/> - 1.</param>
    /// <returns>The page, as <see cref="Load"/> gives the first.</returns>
    /// <exception cref="ImageException">The file cannot be read, is damaged, or has fewer pages.</exception>
    public static Image LoadPage(string path, int index)
    {
        byte[] bytes = ReadAll(path);
        return Guard(path, () => Page(bytes, path, index).ToImage());
    }

    /// <summary>Reads one page of a TIFF stack of masks.</summary>
    /// <param name="path">The file.</param>
    /// <param name="index">From 0 to <see cref="PageCount"/> - 1.</param>
    /// <returns>The values, as <see cref="LoadMask"/> gives those of the first.</returns>
    /// <exception cref="ImageException">The file cannot be read, is damaged, or has fewer pages.</exception>
    public static RawMask LoadMaskPage(string path, int index)
    {
        byte[] bytes = ReadAll(path);
        return Guard(path, () => Page(bytes, path, index).ToMask());
    }

    /// <summary>Reads all pages of a TIFF stack, and the file once.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The pages in order, which may differ in size; one for any other picture.</returns>
    /// <exception cref="ImageException">The file cannot be read, or is damaged.</exception>
    public static IReadOnlyList<Image> LoadPages(string path) => Pages(path, raster => raster.ToImage());

    /// <summary>Reads all pages of a TIFF stack of masks, as <see cref="LoadMaskPage"/> does one.</summary>
    internal static IReadOnlyList<RawMask> LoadMaskPages(string path) => Pages(path, raster => raster.ToMask());

    /// <summary>Reads a picture from the bytes of a file.</summary>
    /// <param name="name">What errors call it; it ends in .tga if the bytes are a TGA.</param>
    /// <param name="bytes">The whole file.</param>
    /// <returns>The picture.</returns>
    /// <exception cref="ImageException">It is damaged, or of a kind that is not supported.</exception>
    internal static Image Decode(string name, byte[] bytes) => Guard(name, () => Decode(bytes, name).ToImage());

    /// <summary>Reads a mask from the bytes of a file, as <see cref="Decode(string, byte[])"/> does a picture.</summary>
    internal static RawMask DecodeMask(string name, byte[] bytes) => Guard(name, () => Decode(bytes, name).ToMask());

    /// <summary>
    /// Writes a picture as PNG, with its 8 or 16 bits per channel. The file appears whole or not at all, but is not flushed to disk: it can
    /// be made again, and waiting for the disk takes several times as long as the encoder.
    /// </summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="image">The picture.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void SavePng(string path, Image image) =>
        AtomicFile.Write(path, stream => PngWriter.Write(stream, image), durable: false);

    /// <summary>A picture as the bytes of a PNG file, for a page that holds its pictures.</summary>
    /// <param name="image">The picture.</param>
    /// <returns>The whole file; the same pixels give the same bytes.</returns>
    public static byte[] ToPng(Image image)
    {
        using MemoryStream bytes = new();
        PngWriter.Write(bytes, image);
        return bytes.ToArray();
    }

    /// <summary>Writes gray samples of 16 bits as PNG, for instance probabilities. The file appears whole or not at all.</summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="samples">height x width samples, rows from the top.</param>
    /// <exception cref="ArgumentException">The number of samples does not fit the size.</exception>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void SavePng16(string path, int width, int height, ReadOnlySpan<ushort> samples) =>
        SavePng(path, new Image(width, height, 1, samples.ToArray()));

    /// <summary>
    /// Writes a map of classes as PNG with a palette: the index of a pixel is its class, its color that of the class. The file appears
    /// whole or not at all.
    /// </summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="map">The classes.</param>
    /// <param name="colors">The colors 0xRRGGBB of class 0 and so on; classes beyond them, and ignored pixels, are white.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void SaveLabels(string path, LabelMap map, IReadOnlyList<int> colors) =>
        AtomicFile.Write(path, stream => PngWriter.Write(stream, map, colors), durable: false);

    /// <summary>Writes a mask as PNG with a bit for each pixel. The file appears whole or not at all.</summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="mask">height x width values, rows from the top; those that are not 0 are white.</param>
    /// <exception cref="ArgumentException">The number of values does not fit the size.</exception>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void SaveMask(string path, int width, int height, ReadOnlyMemory<byte> mask)
    {
        if (width < 1 || height < 1 || mask.Length != (long)width * height)
            throw new ArgumentException($"SaveMask: {mask.Length} values for {height} x {width} pixels; expected one for each");
        AtomicFile.Write(path, stream => PngWriter.WriteMask(stream, width, height, mask.Span), durable: false);
    }

    /// <summary>Refuses a picture that is empty or larger than <see cref="Image.MaxPixels"/>.</summary>
    internal static void CheckSize(string format, long width, long height)
    {
        if (width < 1 || height < 1 || width > Image.MaxPixels || height > Image.MaxPixels || width * height > Image.MaxPixels)
            throw new InvalidDataException(
                $"{format} of {width} x {height} pixels; expected at least 1 x 1 and at most {Image.MaxPixels} pixels.");
    }

    /// <summary>What to type where a file is of a kind that is not read.</summary>
    internal static string Convert(string from, string to, string options = "") =>
        $"Convert it, for instance with: magick IN.{from}{(options.Length > 0 ? " " + options : "")} OUT.{to}";

    private static bool IsTiff(byte[] bytes) =>
        bytes is [0x49, 0x49, 0x2A or 0x2B, 0, _, _, _, _, ..] or [0x4D, 0x4D, 0, 0x2A or 0x2B, _, _, _, _, ..];

    private static T[] Pages<T>(string path, Func<Raster, T> convert)
    {
        byte[] bytes = ReadAll(path);
        return Guard(path, () =>
        {
            int count = IsTiff(bytes) ? TiffReader.PageCount(bytes) : 1;
            return Enumerable.Range(0, count).Select(page => convert(Page(bytes, path, page))).ToArray();
        });
    }

    private static Raster Page(byte[] bytes, string name, int index)
    {
        int count = IsTiff(bytes) ? TiffReader.PageCount(bytes) : 1;
        if ((uint)index >= (uint)count) throw new InvalidDataException($"page {index} of {count}; expected 0 to {count - 1}.");
        return IsTiff(bytes) ? TiffReader.Page(bytes, index) : Decode(bytes, name);
    }

    private static Raster Decode(byte[] bytes, string name) => bytes switch
    {
        [0x89, 0x50, 0x4E, 0x47, ..] => PngReader.Read(bytes),
        [0xFF, 0xD8, ..] => JpegReader.Read(bytes),
        _ when IsTiff(bytes) => TiffReader.Read(bytes),
        [0x42, 0x4D, ..] => BmpReader.Read(bytes),
        [(byte)'G', (byte)'I', (byte)'F', (byte)'8', (byte)'7' or (byte)'9', (byte)'a', ..] => GifReader.Read(bytes),
        [(byte)'R', (byte)'I', (byte)'F', (byte)'F', _, _, _, _, (byte)'W', (byte)'E', (byte)'B', (byte)'P', ..] => WebpReader.Read(bytes),
        [(byte)'P', >= (byte)'1' and <= (byte)'6', (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n' or (byte)'#', ..] =>
            NetpbmReader.Read(bytes),
        _ when DicomFile.IsDicom(bytes) => throw new InvalidDataException(DicomFile.Advice),
        _ when name.EndsWith(".tga", StringComparison.OrdinalIgnoreCase) => TgaReader.Read(bytes),
        _ => throw new InvalidDataException(
            $"starts with '{System.Convert.ToHexString(bytes.AsSpan(0, Math.Min(4, bytes.Length)))}'; expected a PNG, JPEG, TIFF or BMP "
                + "file, or a WebP, GIF, TGA, PBM, PGM or PPM file."),
    };

    /// <summary>Whatever a decoder throws at a damaged file becomes one exception that names it.</summary>
    private static T Guard<T>(string name, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception e) when (e is InvalidDataException or IOException) // from our readers, and from the deflate stream
        {
            throw new ImageException($"{name}: {e.Message}", e);
        }
        catch (Exception e) when (e is not (ImageException or OutOfMemoryException))
        {
            throw new ImageException($"{name}: damaged, or of a kind that is not read: {e.Message}", e);
        }
    }

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
