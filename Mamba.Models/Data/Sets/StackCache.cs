using Mamba.Models.Data.Formats;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// Keeps the volumes that were read last, so that a slice does not unpack its file again. Threads that want the same volume at once wait
/// for one of them to read it.
/// </summary>
/// <param name="budget">The most bytes to keep; the last volume stays, however large it is.</param>
internal sealed class StackCache(long budget)
{
    private readonly Lock _gate = new();
    private readonly List<Entry> _recent = []; // the last first

    /// <summary>A volume.</summary>
    /// <param name="path">Its file, which is always read in the same way.</param>
    /// <param name="load">Reads it.</param>
    /// <exception cref="ImageException">It cannot be read; the next call says the same without reading it again.</exception>
    public SliceStack Get(string path, Func<string, SliceStack> load)
    {
        Entry entry;
        lock (_gate)
        {
            int at = _recent.FindIndex(known => known.Path == path);
            entry = at < 0 ? new Entry(path, new Lazy<SliceStack>(() => load(path))) : _recent[at];
            if (at >= 0) _recent.RemoveAt(at);
            _recent.Insert(0, entry);
        }
        SliceStack stack = entry.Stack.Value; // outside the lock, so that threads read side by side
        lock (_gate)
        {
            long bytes = 0;
            for (int i = 0; i < _recent.Count; i++)
                if (_recent[i].Stack.IsValueCreated && (bytes += _recent[i].Stack.Value.Bytes) > budget && i > 0) _recent.RemoveAt(i--);
        }
        return stack;
    }

    private sealed record Entry(string Path, Lazy<SliceStack> Stack);
}
