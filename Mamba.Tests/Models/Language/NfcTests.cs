using System.Globalization;
using System.Text;
using Mamba.Models.Language;

namespace Mamba.Tests.Models;

/// <summary>Form C without the system's ICU.</summary>
internal sealed class NfcTests
{
    [Test]
    public void Texts_become_those_of_an_independent_implementation()
    {
        int count = 0;
        foreach (string line in File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Fixtures", "unicode", "nfc.txt")))
        {
            if (line[0] == '#') continue;
            string[] parts = line.Split(';');
            string text = Text(parts[0]), expected = Text(parts[1]);
            Assert.That(Nfc.Normalize(text), Is.EqualTo(expected), line);
            Assert.That(Nfc.Normalize(expected), Is.EqualTo(expected), line);
            count++;
        }
        Assert.That(count, Is.GreaterThan(4_000));
    }

    [Test]
    public void Syllables_of_Hangul_are_composed()
    {
        for (int i = 0; i < 19 * 21 * 28; i++)
        {
            string syllable = ((char)(0xAC00 + i)).ToString(), letters = $"{(char)(0x1100 + i / 588)}{(char)(0x1161 + i / 28 % 21)}";
            if (i % 28 != 0) letters += (char)(0x11A7 + i % 28);
            Assert.That(Nfc.Normalize(letters), Is.EqualTo(syllable));
            Assert.That(Nfc.Normalize(syllable), Is.EqualTo(syllable));
        }
    }

    [Test]
    public void Other_texts_stay_as_they_are()
    {
        foreach (string text in new[] { "", "plain", "\u00e4\u00ff", "\ud83d\ude00 \u4e2d\u6587", "\ud800a", "a\udc00", "\ufb01 \u00bd" })
            Assert.That(Nfc.Normalize(text), Is.EqualTo(text));
    }

    private static string Text(string points)
    {
        StringBuilder text = new();
        foreach (string point in points.Split(' '))
            text.Append(char.ConvertFromUtf32(int.Parse(point, NumberStyles.HexNumber, CultureInfo.InvariantCulture)));
        return text.ToString();
    }
}
