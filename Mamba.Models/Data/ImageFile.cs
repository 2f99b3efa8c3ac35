using System.IO.Enumeration;
using System.Runtime.InteropServices;
using BitMiracle.LibTiff.Classic;
using JpegLibrary;
using Mamba.Core.Checkpoints;

namespace Mamba.Models.Data;

/// <summary>
/// Pictures on disk: PNG, JPEG, TIFF and BMP read, PNG written. The one file that knows a decoder: JpegLibrary and LibTiff.NET, and the own readers
/// of PNG and BMP; another library would take their place here.
/// </summary>
public static class ImageFile
{
    private const long MaxFileBytes = 1L << 30;

    /// <summary>The extensions, in lower case, of the files that are taken for pictures.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp"];

    /// <summary>
    /// The pictures in a folder of any depth, by their extensions and in the ordinal order of their paths. Hidden files and folders are passed over, and
    /// links to a folder that holds the link.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <returns>Paths that start with the folder as it is given.</returns>
    /// <exception cref="IOException">The folder does not exist, or cannot be listed.</exception>
    /// <exception cref="UnauthorizedAccessException">So may this say.</exception>
    public static IReadOnlyList<string> Find(string folder) =>
    [
        .. new FileSystemEnumerable<string>(
            folder, (ref entry) => entry.ToSpecifiedFullPath(), new EnumerationOptions { RecurseSubdirectories = true, IgnoreInaccessible = false })
        {
            ShouldIncludePredicate = (ref entry) => !entry.IsDirectory && Extensions.Contains(Path.GetExtension(entry.FileName).ToString().ToLowerInvariant()),
            ShouldRecursePredicate = (ref entry) => !LeadsBack(entry.ToFullPath(), entry.Attributes),
        }.Order(StringComparer.Ordinal),
    ];

    private static bool LeadsBack(string folder, FileAttributes attributes) => attributes.HasFlag(FileAttributes.ReparsePoint)
        && new DirectoryInfo(folder).ResolveLinkTarget(returnFinalTarget: true) is { } target
        && folder.StartsWith(Path.TrimEndingDirectorySeparator(target.FullName) + Path.DirectorySeparatorChar, StringComparison.Ordinal);

    /// <summary>
    /// Reads a picture; the format is told by the file's first bytes. One bit a sample becomes 0 or 255, palettes are resolved, 16 bits reduced to
    /// 8, alpha dropped.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <returns>The picture, with 1 channel if the file holds grey values and 3 otherwise.</returns>
    /// <exception cref="ImageException">The file cannot be read, is damaged, or is of a kind that is not supported.</exception>
    public static Image Load(string path)
    {
        byte[] bytes = ReadAll(path);
        // Decoders written elsewhere throw whatever they like on a damaged file, hence the wide net.
        try
        {
            return Decode(bytes);
        }
        catch (Exception e)
        {
            throw new ImageException($"{path}: {e.Message}", e);
        }
    }

    /// <summary>Writes a picture as PNG, 8 bits a sample. The file appears whole or not at all.</summary>
    /// <param name="path">The file; one that exists is replaced.</param>
    /// <param name="image">The picture.</param>
    /// <exception cref="CheckpointException">The file cannot be written.</exception>
    public static void SavePng(string path, Image image) => AtomicFile.Write(path, stream => Png.Write(stream, image));

    /// <summary>The size of a picture, refused if it is empty or larger than <see cref="Image.MaxPixels"/>.</summary>
    internal static void CheckSize(string format, long width, long height)
    {
        if (width < 1 || height < 1 || width > Image.MaxPixels || height > Image.MaxPixels || width * height > Image.MaxPixels)
            throw new InvalidDataException($"{format} of {width} x {height} pixels; expected at least 1 x 1 and at most {Image.MaxPixels} pixels.");
    }

    private static Image Decode(byte[] bytes) => bytes switch
    {
        [0x89, 0x50, 0x4E, 0x47, ..] => Png.Read(bytes),
        [0xFF, 0xD8, ..] => ReadJpeg(bytes),
        [0x49, 0x49, 0x2A or 0x2B, 0, _, _, _, _, ..] or [0x4D, 0x4D, 0, 0x2A or 0x2B, _, _, _, _, ..] => ReadTiff(bytes),
        [0x42, 0x4D, ..] => Bmp.Read(bytes),
        _ => throw new InvalidDataException($"starts with '{Convert.ToHexString(bytes.AsSpan(0, Math.Min(4, bytes.Length)))}'; expected a PNG, JPEG, TIFF or BMP file."),
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

    private static Image ReadJpeg(byte[] bytes)
    {
        JpegDecoder decoder = new();
        decoder.SetInput(bytes);
        decoder.Identify();
        int width = decoder.Width, height = decoder.Height, components = decoder.NumberOfComponents;
        CheckSize("JPEG", width, height);
        if (decoder.StartOfFrame is not (JpegMarker.StartOfFrame0 or JpegMarker.StartOfFrame1 or JpegMarker.StartOfFrame2) || decoder.Precision != 8)
            throw new InvalidDataException($"JPEG of kind {decoder.StartOfFrame} with {decoder.Precision} bits; expected baseline or progressive with 8 bits.");
        if (components is not (1 or 3)) throw new InvalidDataException($"JPEG with {components} components; expected 1 (grey) or 3 (YCbCr).");
        // The decoder trusts the sampling factors, and repeats samples by powers of two alone.
        for (int c = 0; c < components; c++)
        {
            int h = decoder.GetHorizontalSampling(c), v = decoder.GetVerticalSampling(c);
            int maxH = decoder.GetMaximumHorizontalSampling(), maxV = decoder.GetMaximumVerticalSampling();
            if (maxH is not (1 or 2 or 4) || maxV is not (1 or 2 or 4) || (h != maxH && h != 1) || (v != maxV && v != 1))
                throw new InvalidDataException($"JPEG component {c} sampled {h} x {v} of {maxH} x {maxV}; expected full resolution, or a half or a quarter of it.");
        }
        // Each block of 8 x 8 takes at least one bit, so a short file cannot make us allocate a large picture.
        if ((long)width * height > 512L * bytes.Length)
            throw new InvalidDataException($"JPEG of {width} x {height} pixels in {bytes.Length} bytes; expected at least one bit for 64 pixels.");
        BlockWriter writer = new(new Image(width, height, components));
        decoder.SetOutputWriter(writer);
        decoder.Decode();
        return writer.Finish();
    }

    private static Image ReadTiff(byte[] bytes)
    {
        TiffHeader header = TiffHeader.Read(bytes);
        int width = (int)header.Width, height = (int)header.Height;
        TiffMessages.First = null;
        using MemoryStream stream = new(bytes, writable: false);
        using Tiff tiff = Tiff.ClientOpen("TIFF", "r", stream, new TiffStream())
            ?? throw new InvalidDataException($"TIFF: {TiffMessages.First ?? "not readable"}; expected a directory with an image.");
        for (int i = tiff.IsTiled() ? tiff.NumberOfTiles() : tiff.NumberOfStrips(); --i >= 0;)
            if (tiff.RawStripSize(i) > bytes.Length)
                throw new InvalidDataException($"TIFF strip or tile {i} of {tiff.RawStripSize(i)} bytes; expected it inside the {bytes.Length} bytes of the file.");
        // Unspecified extra samples are passed over; the others would be multiplied into the colours.
        if (tiff.GetField(TiffTag.EXTRASAMPLES) is [var extra, ..] && extra.ToInt() > 0)
            tiff.SetField(TiffTag.EXTRASAMPLES, extra.ToInt(), new short[extra.ToInt()]);

        int[] raster = new int[width * height];
        if (!tiff.ReadRGBAImageOriented(width, height, raster, Orientation.TOPLEFT, stopOnError: true))
            throw new InvalidDataException($"TIFF: {TiffMessages.First ?? "damaged image data"}; expected {width} x {height} pixels.");
        bool grey = header.Grey;
        Image image = new(width, height, grey ? 1 : 3);
        Span<byte> to = image.Pixels;
        for (int i = 0; i < raster.Length; i++)
        {
            int pixel = raster[i];
            if (grey)
            {
                to[i] = (byte)pixel;
                continue;
            }
            to[3 * i] = (byte)pixel;
            to[3 * i + 1] = (byte)(pixel >> 8);
            to[3 * i + 2] = (byte)(pixel >> 16);
        }
        return image;
    }

    /// <summary>Takes the blocks of 8 x 8 samples that the JPEG decoder makes, one component after another.</summary>
    private sealed class BlockWriter(Image image) : JpegBlockOutputWriter
    {
        public override void WriteBlock(ref short blockRef, int componentIndex, int x, int y)
        {
            ReadOnlySpan<short> block = MemoryMarshal.CreateReadOnlySpan(ref blockRef, 64);
            int columns = Math.Min(image.Width - x, 8), rows = Math.Min(image.Height - y, 8), channels = image.Channels;
            if (columns <= 0) return;
            for (int j = 0; j < rows; j++)
            {
                Span<byte> row = image.Pixels.AsSpan(((y + j) * image.Width + x) * channels + componentIndex);
                for (int i = 0; i < columns; i++) row[i * channels] = Clamp(block[8 * j + i]);
            }
        }

        /// <summary>YCbCr to RGB as JFIF defines it (ITU-T T.871), in 16-bit fixed point.</summary>
        public Image Finish()
        {
            if (image.Channels == 1) return image;
            Span<byte> pixels = image.Pixels;
            for (int i = 0; i + 2 < pixels.Length; i += 3)
            {
                int luma = (pixels[i] << 16) + 32768, blue = pixels[i + 1] - 128, red = pixels[i + 2] - 128;
                pixels[i] = Clamp((luma + 91881 * red) >> 16);
                pixels[i + 1] = Clamp((luma - 22554 * blue - 46802 * red) >> 16);
                pixels[i + 2] = Clamp((luma + 116130 * blue) >> 16);
            }
            return image;
        }

        private static byte Clamp(int value) => (byte)Math.Clamp(value, 0, 255);
    }

    /// <summary>Keeps LibTiff from writing to standard error, and its first complaint on each thread for our own message.</summary>
    private sealed class TiffMessages : TiffErrorHandler
    {
        [ThreadStatic]
        private static string? s_first;

        static TiffMessages() => Tiff.SetErrorHandler(new TiffMessages());

        public static string? First
        {
            get => s_first;
            set => s_first = value;
        }

        public override void ErrorHandler(Tiff tif, string method, string format, params object[] args) => s_first ??= string.Format(format, args);

        public override void WarningHandler(Tiff tif, string method, string format, params object[] args)
        {
            // Padded strips and unknown tags are harmless.
        }
    }
}
