using System.IO.Compression;

namespace Mamba.Models.Data.Sets;

/// <summary>Reads whole files of data sets, never more than expected.</summary>
internal static class DataFile
{
    /// <summary>The most bytes of a file, also after unpacking.</summary>
    public const long MaxBytes = 1L << 30;

    // Deflate expands one byte to at most 1032.
    private const long MaxInflation = 1032;

    private const int PieceBytes = 1 << 20;

    /// <summary>The first of the folders that holds one of these files; null if none does.</summary>
    public static string? Folder(string[] folders, string[] names) =>
        folders.FirstOrDefault(folder => names.Any(name => File.Exists(Path.Combine(folder, name))));

    /// <summary>Opens a file to read.</summary>
    /// <exception cref="DatasetException">It cannot be opened.</exception>
    public static FileStream Open(string path)
    {
        try
        {
            return new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DatasetException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <summary>Reads a file of known structure.</summary>
    /// <param name="path">What errors call it.</param>
    /// <param name="file">The file, at its beginning.</param>
    /// <param name="headBytes">The bytes of its head.</param>
    /// <param name="bodyBytes">The number of bytes after the head. It throws if the head is malformed.</param>
    /// <param name="gzip">Whether the file may be a gzip file, detected by its first bytes.</param>
    /// <param name="cancellation">Stops between pieces of the file.</param>
    /// <returns>Head and body.</returns>
    /// <exception cref="DatasetException">The file cannot be read, is damaged, or is shorter or longer than its head says.</exception>
    public static byte[] Read(
        string path, Stream file, int headBytes, Func<byte[], long> bodyBytes, bool gzip = false, CancellationToken cancellation = default)
    {
        try
        {
            bool packed = gzip && file.ReadByte() == 0x1F && file.ReadByte() == 0x8B;
            file.Position = 0;
            using GZipStream? unpacked = packed ? new(file, CompressionMode.Decompress) : null;
            Stream stream = unpacked ?? (Stream)file;

            string unit = packed ? " unpacked" : "";
            byte[] head = new byte[headBytes];
            int read = stream.ReadAtLeast(head, headBytes, throwOnEndOfStream: false);
            if (read < headBytes) throw new DatasetException($"{path}: ends at byte {read}; expected a head of {headBytes} bytes.");
            long size = headBytes + bodyBytes(head), most = Math.Min(MaxBytes, packed ? file.Length * MaxInflation : file.Length);
            if (size > most)
                throw new DatasetException(
                    $"{path}: a head that promises {size} bytes{unit}, of a file of {file.Length}; expected at most {most}.");
            byte[] bytes = new byte[size];
            head.CopyTo(bytes, 0);
            for (int piece; read < size && (piece = stream.Read(bytes, read, (int)Math.Min(PieceBytes, size - read))) > 0; read += piece)
                cancellation.ThrowIfCancellationRequested();
            if (read < size)
                throw new DatasetException($"{path}: ends at byte {read}{unit}; expected {size} bytes.");
            if (stream.ReadByte() >= 0)
                throw new DatasetException($"{path}: continues after byte {size}{unit}; expected its end there.");
            return bytes;
        }
        catch (Exception e) when (e is InvalidDataException or (IOException and not DatasetException))
        {
            throw new DatasetException($"{path}: cannot be read: {e.Message}", e);
        }
    }
}
