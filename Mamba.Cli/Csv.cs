namespace Mamba.Cli;

/// <summary>Tables of values with commas between (RFC 4180).</summary>
internal static class Csv
{
    /// <summary>A field, in quotes where it needs them.</summary>
    public static string Quoted(string text) => text.AsSpan().IndexOfAny(",\"\r\n") < 0 ? text : $"\"{text.Replace("\"", "\"\"")}\"";
}
