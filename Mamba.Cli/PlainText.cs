namespace Mamba.Cli;

/// <summary>Text from files on its way to a terminal.</summary>
internal static class PlainText
{
    /// <summary>The text as a terminal may show it: control characters, which could steer the terminal, become question marks.</summary>
    public static string Printable(string text) => string.Concat(text.Select(c => char.IsControl(c) ? '?' : c));

    /// <summary>The first names of a list that may be long.</summary>
    public static string Few(IReadOnlyList<string> names) => string.Join(", ", names.Take(3)) + (names.Count > 3 ? ", ..." : "");
}
