using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace Mamba.Core.Memory;

/// <summary>
/// A memory-mapped file. Its pages come from the system's file cache, which processes share, and are evicted when memory is short. Writes
/// go to private copies of pages, never to the file. The mapping lives as long as a buffer over it.
/// </summary>
/// <remarks>
/// Reading past the end of a file that was truncated after mapping raises a signal that ends the process, and managed code cannot catch it.
/// So a writable file is refused, and <see cref="IsWhole"/> is checked before a pass. A file that is made writable and truncated during a
/// pass remains a risk. A file that is replaced by renaming stays mapped as it was.
/// </remarks>
internal sealed unsafe class MappedFile
{
    private const UnixFileMode Writable = UnixFileMode.UserWrite | UnixFileMode.GroupWrite | UnixFileMode.OtherWrite;

    private readonly SafeFileHandle _file;
    private readonly SafeMemoryMappedViewHandle _view; // its finalizer unmaps the file when no buffer is left
    private readonly byte* _start;

    /// <summary>Maps a whole file.</summary>
    /// <param name="path">The file, which must not be writable.</param>
    /// <exception cref="IOException">It cannot be opened, is empty, or is writable.</exception>
    /// <exception cref="UnauthorizedAccessException">Read access is denied.</exception>
    public MappedFile(string path)
    {
        _file = File.OpenHandle(path);
        Length = RandomAccess.GetLength(_file);
        if (!OperatingSystem.IsWindows() && (File.GetUnixFileMode(_file) & Writable) != 0)
            throw new IOException(
                "can be written, and a mapped file that is cut ends the process; make it read-only (chmod a-w) or load it without mapping");
        if (Length == 0) throw new IOException("is empty");
        MemoryMappedFile map = MemoryMappedFile.CreateFromFile(
            _file, mapName: null, capacity: 0, MemoryMappedFileAccess.CopyOnWrite, HandleInheritability.None, leaveOpen: true);
        MemoryMappedViewAccessor view = map.CreateViewAccessor(0, Length, MemoryMappedFileAccess.CopyOnWrite);
        _view = view.SafeMemoryMappedViewHandle;
        _start = (byte*)_view.DangerousGetHandle() + view.PointerOffset;
    }

    /// <summary>The length of the file in bytes when it was mapped.</summary>
    public long Length { get; }

    /// <summary>Whether the file still has all mapped bytes.</summary>
    public bool IsWhole => RandomAccess.GetLength(_file) >= Length;

    /// <summary>Floats of the file, in place.</summary>
    /// <param name="position">Bytes from the start of the file, a multiple of four.</param>
    /// <param name="count">The number of floats.</param>
    /// <returns>A buffer that is not pooled; null if the position is not aligned for floats.</returns>
    public Buffer? Floats(long position, int count) =>
        position % sizeof(float) == 0 && position >= 0 && position + (long)count * sizeof(float) <= Length
            ? new Buffer((float*)(_start + position), count, this)
            : null;
}
