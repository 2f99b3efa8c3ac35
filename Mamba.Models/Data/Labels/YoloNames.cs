using System.Globalization;
using System.Text;

namespace Mamba.Models.Data.Labels;

/// <summary>
/// The class names of a YOLO data set: classes.txt with a name a line, or 'names:' in a YAML file. Of YAML, the forms that such files have
/// are read: a list or a map, in brackets or a line per name, with quotes and comments. Others are refused.
/// </summary>
public static class YoloNames
{
    private const long MaxFileBytes = 1 << 16;
    private const int MaxDigits = 4, MaxLines = 512;

    private static readonly string[] s_files = ["data.yaml", "data.yml", "dataset.yaml", "dataset.yml", "classes.txt"];

    /// <summary>The file of names in a folder: data.yaml, dataset.yaml (or .yml) or classes.txt; null if there is none.</summary>
    /// <param name="folder">The folder.</param>
    /// <returns>Its path.</returns>
    public static string? Find(string folder) => s_files.Select(name => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>Reads the names.</summary>
    /// <param name="path">A .yaml or .yml file, or a text file with a name a line.</param>
    /// <returns>The names, in the order of their indices; 1 to 255.</returns>
    /// <exception cref="DatasetException">The file cannot be read, or has no names in a form that is read.</exception>
    public static string[] Load(string path) => Read(path, LabelFile.ReadAll(path, MaxFileBytes));

    /// <summary>Reads the bytes of a file.</summary>
    internal static string[] Read(string path, byte[] bytes)
    {
        string text = Encoding.UTF8.GetString(bytes).TrimStart('\uFEFF');
        try
        {
            string[] names = Path.GetExtension(path).ToLowerInvariant() is ".yaml" or ".yml"
                ? Yaml(text)
                : [.. text.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)];
            return names.Length is >= 1 and <= CocoAnnotations.MaxClasses && names.All(name => name.Length > 0)
                ? names
                : throw new FormatException($"{names.Length} names of classes; expected 1 to {CocoAnnotations.MaxClasses}, none empty");
        }
        catch (FormatException e)
        {
            throw new DatasetException($"{path}: {e.Message}.", e);
        }
    }

    private static string[] Yaml(string text)
    {
        string[] lines = [.. text.Split('\n').Select(line => WithoutComment(line.TrimEnd()))];
        int at = Array.FindIndex(lines, line => line.StartsWith("names:", StringComparison.Ordinal));
        if (at < 0) throw new FormatException("no 'names:'; expected the names of the classes");
        string first = lines[at]["names:".Length..].Trim();
        string[] names = first.Length > 0 ? Inline(first, lines[(at + 1)..]) : Block(lines[(at + 1)..]);
        string? count = lines.FirstOrDefault(line => line.StartsWith("nc:", StringComparison.Ordinal))?["nc:".Length..].Trim();
        return count is null || count == names.Length.ToString(CultureInfo.InvariantCulture)
            ? names
            : throw new FormatException($"{names.Length} names, but 'nc: {Few(count)}'; expected as many");
    }

    /// <summary>[a, b] or {0: a, 1: b}, perhaps over several lines.</summary>
    private static string[] Inline(string first, string[] more)
    {
        char close = first[0] switch
        {
            '[' => ']',
            '{' => '}',
            _ => throw new FormatException($"'names: {Few(first)}'; expected a list or a map"),
        };
        StringBuilder all = new(first);
        for (int i = 0; i < Math.Min(more.Length, MaxLines) && !IsClosed(all.ToString(), close); i++)
            all.Append(' ').Append(more[i].Trim());
        string text = all.ToString();
        if (!IsClosed(text, close)) throw new FormatException($"'names:' has no '{close}' at its end");
        List<string> entries = [.. Split(text[1..^1], ',')];
        if (entries.Count > 0 && string.IsNullOrWhiteSpace(entries[^1])) entries.RemoveAt(entries.Count - 1); // a comma at the end
        return close == ']' ? [.. entries.Select(Name)] : Map(entries);
    }

    /// <summary>Lines "- a", or lines "0: a", until one of another indentation.</summary>
    private static string[] Block(string[] lines)
    {
        List<string> entries = [];
        string? indent = null;
        foreach (string line in lines)
        {
            string entry = line.Trim();
            if (entry.Length == 0) continue;
            string own = line[..line.IndexOf(entry[0])];
            indent ??= own;
            if (own != indent || (own.Length == 0 && entry[0] != '-')) break; // a list may stand at the margin, a map may not
            entries.Add(entry);
        }
        if (entries.Count == 0) throw new FormatException("'names:' is empty; expected a list or a map");
        if (entries[0][0] != '-') return Map(entries);
        return [.. entries.Select(entry => entry is ['-', ' ', .. var name]
            ? Name(name)
            : throw new FormatException($"'{Few(entry)}' among the names; expected '- NAME'"))];
    }

    private static string[] Map(List<string> entries)
    {
        SortedDictionary<int, string> names = [];
        foreach (string entry in entries)
        {
            int colon = entry.IndexOf(':');
            string key = colon < 0 ? "" : Unquoted(entry[..colon].Trim());
            if (key.Length > MaxDigits || !int.TryParse(key, NumberStyles.None, CultureInfo.InvariantCulture, out int index))
                throw new FormatException($"'{Few(entry)}' among the names; expected 'INDEX: NAME'");
            if (!names.TryAdd(index, Name(entry[(colon + 1)..]))) throw new FormatException($"class {index} is there twice");
        }
        return names.Keys.SequenceEqual(Enumerable.Range(0, names.Count))
            ? [.. names.Values]
            : throw new FormatException($"classes {string.Join(", ", names.Keys.Take(5))}...; expected 0 to {names.Count - 1}");
    }

    private static string Name(string text)
    {
        string name = Unquoted(text.Trim());
        return name.Length > 0 && !(name == text.Trim() && name[0] is '[' or '{' or '&' or '*' or '|' or '>' or '!')
            ? name
            : throw new FormatException($"'{Few(text)}' among the names; expected a plain or quoted name");
    }

    private static string Unquoted(string text) => text switch
    {
        ['\'', .. var inner, '\''] => inner.Replace("''", "'", StringComparison.Ordinal),
        ['"', .. var inner, '"'] => inner.Contains('\\')
            ? throw new FormatException($"the name '{Few(text)}' has a backslash; expected plain characters")
            : inner,
        _ => text,
    };

    private static bool IsClosed(string text, char close) => text.EndsWith(close) && Quote(text, text.Length - 1) is '\0';

    /// <summary>Splits at a character outside of quotes.</summary>
    private static IEnumerable<string> Split(string text, char at)
    {
        int begin = 0;
        char quote = '\0';
        for (int i = 0; i < text.Length; i++)
        {
            quote = After(quote, text, i, begin);
            if (quote != '\0' || text[i] != at) continue;
            yield return text[begin..i];
            begin = i + 1;
        }
        yield return text[begin..];
    }

    /// <summary>A comment begins at a # at the start of a line or behind a space, outside of quotes.</summary>
    private static string WithoutComment(string line)
    {
        char quote = '\0';
        for (int i = 0; i < line.Length; i++)
        {
            quote = After(quote, line, i, 0);
            if (quote == '\0' && line[i] == '#' && (i == 0 || char.IsWhiteSpace(line[i - 1]))) return line[..i].TrimEnd();
        }
        return line;
    }

    /// <summary>The quote that is open at a character; 0 for none.</summary>
    private static char Quote(string text, int end)
    {
        char quote = '\0';
        for (int i = 0; i < end; i++) quote = After(quote, text, i, 0);
        return quote;
    }

    /// <summary>The quote that is open behind a character. An apostrophe within a word opens none.</summary>
    private static char After(char open, string text, int at, int begin)
    {
        if (open != '\0') return text[at] == open ? '\0' : open;
        bool starts = at == begin || text[at - 1] is ' ' or ',' or '[' or '{' or ':' or '-';
        return text[at] is '\'' or '"' && starts ? text[at] : '\0';
    }

    private static string Few(string text) => text.Length <= 40 ? text : text[..40] + "...";
}
