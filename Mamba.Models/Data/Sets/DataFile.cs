using System.IO.Compression;
using Mamba.Models.Data.Formats;

namespace Mamba.Models.Data.Sets;

/// <summary>Files of data sets: read whole, never more of them than expected.</summary>
internal static class DataFile
{
    /// <summary>The most bytes that a file, or what is packed in it, may have.</summary>
    public const long MaxBytes = 1L << 30;

    // Deflate makes at most 1032 bytes of one.
    private const long MaxInflation = 1032;

    private const int PieceBytes = 1 << 20;

    /// <summary>The first of the folders that holds one of these files; null if none does.</summary>
    public static string? Folder(string[] folders, string[] names) => folders.FirstOrDefault(folder => names.Any(name => File.Exists(Path.Combine(folder, name))));

    /// <summary>The pictures in a folder of any depth: paths relative to it, with '/' between folders on every system, in ordinal order.</summary>
    /// <exception cref="DatasetException">The folder does not exist, or cannot be listed.</exception>
    public static List<string> Pictures(string root, CancellationToken cancellation)
    {
        try
        {
            return [.. ImageFile.Find(root, cancellation).Select(path => Path.GetRelativePath(root, path).Replace(Path.DirectorySeparatorChar, '/'))];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DatasetException($"{root}: cannot be listed: {e.Message}", e);
        }
    }

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
    /// <param name="file">The file, at its begin.</param>
    /// <param name="headBytes">The bytes of its head.</param>
    /// <param name="bodyBytes">How many bytes the head promises after it; it throws where the head is wrong.</param>
    /// <param name="gzip">Whether it may be packed by gzip; its first bytes tell.</param>
    /// <param name="cancellation">Stops between pieces of the file.</param>
    /// <returns>Head and body.</returns>
    /// <exception cref="DatasetException">The file cannot be read, is damaged, or is shorter or longer than its head says.</exception>
    public static byte[] Read(string path, Stream file, int headBytes, Func<byte[], long> bodyBytes, bool gzip = false, CancellationToken cancellation = default)
    {
        try
        {
            bool packed = gzip && file.ReadByte() == 0x1F && file.ReadByte() == 0x8B;
            file.Position = 0;
            using GZipStream? unpacked = packed ? new(file, CompressionMode.Decompress) : null;
            Stream stream = unpacked ?? (Stream)file;

            byte[] head = new byte[headBytes];
            int read = stream.ReadAtLeast(head, headBytes, throwOnEndOfStream: false);
            if (read < headBytes) throw new DatasetException($"{path}: ends at byte {read}; expected a head of {headBytes} bytes.");
            long size = headBytes + bodyBytes(head), most = Math.Min(MaxBytes, packed ? file.Length * MaxInflation : file.Length);
            if (size > most) throw new DatasetException($"{path}: a head that promises {size} bytes{(packed ? " unpacked" : "")}, of a file of {file.Length}; expected at most {most}.");
            byte[] bytes = new byte[size];
            head.CopyTo(bytes, 0);
            for (int piece; read < size && (piece = stream.Read(bytes, read, (int)Math.Min(PieceBytes, size - read))) > 0; read += piece) cancellation.ThrowIfCancellationRequested();
            if (read < size) throw new DatasetException($"{path}: ends at byte {read}{(packed ? " unpacked" : "")}; expected {size} bytes.");
            if (stream.ReadByte() >= 0) throw new DatasetException($"{path}: goes on after byte {size}{(packed ? " unpacked" : "")}; expected its end there.");
            return bytes;
        }
        catch (Exception e) when (e is InvalidDataException or (IOException and not DatasetException))
        {
            throw new DatasetException($"{path}: cannot be read: {e.Message}", e);
        }
    }
}
