using System.Text.RegularExpressions;
using Mamba.Core;
using Mamba.Models.Language;

namespace Mamba.Tests.Models;

/// <summary>GPT-2's split into words.</summary>
internal sealed class WordSplitterTests
{
    private static readonly Regex s_words = new(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+");

    [Test]
    public void Words_are_those_of_the_expression_up_to_U_FFFF()
    {
        const string Signs = "aBz\u00e9\u4e2d\u02b0 \n\t\u00a0\u2003'stremvld19\u0663\u00bd\u2167.,!-_\u0301\u20ac  ";
        RandomStream random = new(3, "words");
        for (int i = 0; i < 3_000; i++)
        {
            string text = string.Concat(Enumerable.Range(0, 1 + i % 24).Select(_ => Signs[(int)(random.NextDouble() * Signs.Length)]));
            Assert.That(Split(text), Is.EqualTo(s_words.Matches(text).Select(m => m.Value)), text);
        }
    }

    [TestCase("a\ud801\udc00b c", "a\ud801\udc00b| c", TestName = "A letter beyond U+FFFF is one")]
    [TestCase(" 1\ud835\udfcfx", " 1\ud835\udfcf|x", TestName = "So is a digit")]
    [TestCase("a\ud83d\ude00\ud83d\ude01 b", "a|\ud83d\ude00\ud83d\ude01| b", TestName = "And a sign")]
    [TestCase("\ud800a", "\ud800|a", TestName = "Half of a pair is a sign")]
    public void Characters_beyond_U_FFFF_are_one(string text, string expected) =>
        Assert.That(string.Join('|', Split(text)), Is.EqualTo(expected));

    private static IEnumerable<string> Split(string text) =>
        new WordSplitter().PreTokenize(text).Select(w => text.Substring(w.Offset, w.Length));
}
