using System.Text;

namespace Mamba.Models.Data.Sets;

/// <summary>
/// A line of a table as text: fields between commas, semicolons or tabs. A field in quotes may hold those, and quotes that are doubled.
/// </summary>
internal static class CsvLine
{
    private const string Separators = "\t;,";

    /// <summary>What separates the fields of a file, by its first line: what stands there most often outside of quotes.</summary>
    /// <param name="line">The first line.</param>
    /// <returns>A tab, semicolon or comma; of equals the first of these, since names may have commas. A comma if there is none.</returns>
    public static char SeparatorOf(string line)
    {
        int[] counts = new int[Separators.Length];
        bool quoted = false;
        foreach (char c in line)
        {
            if (c == '"') quoted = !quoted;
            else if (!quoted && Separators.IndexOf(c) is var kind and >= 0) counts[kind]++;
        }
        return counts.Max() == 0 ? ',' : Separators[Array.IndexOf(counts, counts.Max())];
    }

    /// <summary>The fields of a line, without the spaces around them and the quotes.</summary>
    /// <param name="line">The line.</param>
    /// <param name="separator">What is between fields.</param>
    /// <returns>The fields; null if a quote is not closed, or text follows one.</returns>
    public static string[]? Split(string line, char separator)
    {
        List<string> fields = [];
        for (int at = 0; at <= line.Length; at++)
        {
            while (at < line.Length && line[at] == ' ') at++;
            if (at == line.Length || line[at] != '"')
            {
                int end = line.IndexOf(separator, at);
                if (end < 0) end = line.Length;
                fields.Add(line[at..end].Trim());
                at = end;
                continue;
            }
            StringBuilder text = new();
            for (at++; ; at++)
            {
                int quote = line.IndexOf('"', at);
                if (quote < 0) return null;
                text.Append(line, at, quote - at);
                at = quote + 1;
                if (at == line.Length || line[at] != '"') break;
                text.Append('"'); // two of them stand for one
            }
            while (at < line.Length && line[at] == ' ') at++;
            if (at < line.Length && line[at] != separator) return null;
            fields.Add(text.ToString().Trim());
        }
        return [.. fields];
    }
}
