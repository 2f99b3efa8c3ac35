namespace Mamba.Models.Data.Sets;

/// <summary>
/// What reading the files of a folder told of them, as pages that are left out: a line per kind, with the number of files and the first of
/// them. Several threads may add to it.
/// </summary>
internal sealed class ReadNotes
{
    private readonly Lock _gate = new();
    private readonly SortedDictionary<string, SortedDictionary<string, string>> _kinds = new(StringComparer.Ordinal);

    /// <summary>A line per kind, the same whatever the order of reading was.</summary>
    public IReadOnlyList<string> Lines
    {
        get
        {
            lock (_gate) return [.. _kinds.Values.Select(Line)];
        }
    }

    /// <summary>Adds a note; one that is known is not counted again.</summary>
    /// <param name="file">The file that it is about.</param>
    /// <param name="text">The note; those that differ in numbers alone are counted together.</param>
    public void Add(string file, string text) => Add(file, string.Concat(text.Where(c => !char.IsAsciiDigit(c))), () => text);

    /// <summary>As the other, with words that are made only once.</summary>
    /// <param name="file">The file that it is about.</param>
    /// <param name="kind">What notes that are counted together have in common.</param>
    /// <param name="text">The note.</param>
    public void Add(string file, string kind, Func<string> text)
    {
        lock (_gate)
        {
            if (!_kinds.TryGetValue(kind, out SortedDictionary<string, string>? files))
                _kinds[kind] = files = new SortedDictionary<string, string>(StringComparer.Ordinal);
            if (!files.ContainsKey(file)) files[file] = text();
        }
    }

    private static string Line(SortedDictionary<string, string> files)
    {
        (string first, string text) = files.First();
        return files.Count == 1 ? $"{first}: {text}" : $"{files.Count} files, the first {first}: {text}";
    }
}
