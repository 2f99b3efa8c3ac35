using System.Text;

namespace Mamba.Models.Language;

/// <summary>
/// GPT-2's alphabet has a printable letter for each byte: printable Latin-1 stands for itself, the others follow from U+0100.
/// </summary>
internal static class ByteLevel
{
    private static readonly Dictionary<char, byte> s_letters = Letters();

    /// <summary>The bytes of a token of the vocabulary.</summary>
    public static byte[] BytesOf(string token)
    {
        List<byte> bytes = [];
        foreach (char letter in token)
            if (s_letters.TryGetValue(letter, out byte value)) bytes.Add(value);
            else bytes.AddRange(Encoding.UTF8.GetBytes(letter.ToString()));
        return [.. bytes];
    }

    /// <summary>Whether each byte is a token, so that every text has tokens.</summary>
    public static bool IsCovered(Dictionary<string, int> vocabulary) => s_letters.Keys.All(l => vocabulary.ContainsKey(l.ToString()));

    private static Dictionary<char, byte> Letters()
    {
        Dictionary<char, byte> letters = [];
        int next = 0x100;
        for (int b = 0; b < 256; b++)
        {
            bool printable = b is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            letters[printable ? (char)b : (char)next++] = (byte)b;
        }
        return letters;
    }
}
