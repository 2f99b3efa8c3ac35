namespace Mamba.Models.Language;

/// <summary>A token whose text is cut out whole before pairs are merged.</summary>
/// <param name="Text">Its text, not empty.</param>
/// <param name="Id">Its number.</param>
/// <param name="Special">Whether it is a sign of its own, such as the end of a text.</param>
/// <param name="Normalized">Whether it is looked for after the text was normalized.</param>
internal sealed record AddedToken(string Text, int Id, bool Special, bool Normalized);

/// <summary>Cuts a text at added tokens: the leftmost first, the longest of those that begin there.</summary>
internal sealed class AddedTokens(AddedToken[] tokens)
{
    // GPT-NeoX's are runs of spaces, each a part of the longer ones.
    private readonly AddedToken[] _longestFirst = [.. tokens.OrderByDescending(t => t.Text.Length)];
    private readonly string _firsts = string.Concat(tokens.Select(t => t.Text[0]).Distinct());

    /// <summary>The parts of a text in order: text between tokens, or a token.</summary>
    public List<(string Part, int? Token)> Cut(string text)
    {
        List<(string Part, int? Token)> parts = [];
        int from = 0;
        for (int at = 0; at < text.Length;)
        {
            int step = text.AsSpan(at).IndexOfAny(_firsts);
            if (step < 0) break;
            at += step;
            if (Array.Find(_longestFirst, t => string.CompareOrdinal(text, at, t.Text, 0, t.Text.Length) == 0) is not { } token)
            {
                at++;
                continue;
            }
            if (at > from) parts.Add((text[from..at], null));
            parts.Add((token.Text, token.Id));
            from = at += token.Text.Length;
        }
        if (from < text.Length) parts.Add((text[from..], null));
        return parts;
    }
}
