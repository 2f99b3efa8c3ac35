using System.Globalization;
using System.Text;
using Microsoft.ML.Tokenizers;

namespace Mamba.Models.Language;

/// <summary>
/// GPT-2's split into words: <c>'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+</c>. By hand, since regular
/// expressions of .NET see a character beyond U+FFFF as two that are no letters.
/// </summary>
internal sealed class WordSplitter : PreTokenizer
{
    private static readonly string[] s_endings = ["'s", "'t", "'re", "'ve", "'m", "'ll", "'d"];

    private enum Kind
    {
        Space,
        Letter,
        Number,
        Other,
    }

    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text) => PreTokenize(text.AsSpan());

    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text)
    {
        List<(int Offset, int Length)> words = [];
        for (int at = 0; at < text.Length;)
        {
            int length = WordLength(text[at..]);
            words.Add((at, length));
            at += length;
        }
        return words;
    }

    private static int WordLength(ReadOnlySpan<char> text)
    {
        foreach (string ending in s_endings)
            if (text.StartsWith(ending, StringComparison.Ordinal)) return ending.Length;
        int start = text[0] == ' ' && text.Length > 1 && KindAt(text, 1, out _) != Kind.Space ? 1 : 0;
        Kind kind = KindAt(text, start, out _);
        int end = start;
        while (end < text.Length && KindAt(text, end, out int width) == kind) end += width;
        // The last white space before a word belongs to the word, or stands alone.
        return kind == Kind.Space && end < text.Length && end > 1 ? end - 1 : end;
    }

    private static Kind KindAt(ReadOnlySpan<char> text, int at, out int width)
    {
        Rune.DecodeFromUtf16(text[at..], out Rune rune, out width); // half of a pair is one character, and is replaced
        return Rune.IsWhiteSpace(rune) ? Kind.Space : Rune.GetUnicodeCategory(rune) switch
        {
            <= UnicodeCategory.OtherLetter => Kind.Letter,
            UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber => Kind.Number,
            _ => Kind.Other,
        };
    }
}
