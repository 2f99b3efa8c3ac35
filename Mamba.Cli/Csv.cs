namespace Mamba.Cli;

/// <summary>Tables of values with commas between (RFC 4180).</summary>
internal static class Csv
{
    /// <summary>A field, in quotes where it needs them.</summary>
    public static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"")}\"";

    /// <summary>The records of a table, each with the line break that ends it; one between quotes does not.</summary>
    public static List<string> Records(string table)
    {
        List<string> records = [];
        bool quoted = false;
        for (int i = 0, start = 0; i < table.Length; i++)
        {
            if (table[i] == '"') quoted = !quoted; // a doubled quote is two changes
            if ((table[i] != '\n' || quoted) && i + 1 < table.Length) continue;
            records.Add(table[start..(i + 1)]);
            start = i + 1;
        }
        return records;
    }
}
