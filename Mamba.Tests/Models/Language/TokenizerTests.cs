using System.Text;
using Mamba.Core.Checkpoints;
using Mamba.Models.Language;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Text to tokens and back.</summary>
internal sealed class TokenizerTests
{
    // The letters of GPT-2's alphabet that the texts below need, pairs, and runs of spaces as GPT-NeoX adds them, the shorter first.
    private const string Small = """
        {"version": "1.0",
         "added_tokens": [{"id": 0, "content": "<|endoftext|>", "special": true, "normalized": false},
                          {"id": 30, "content": "  ", "special": false}, {"id": 31, "content": "    ", "special": false}],
         "normalizer": {"type": "NFC"},
         "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
         "model": {"type": "BPE", "vocab": {"<|endoftext|>": 0, "h": 1, "e": 2, "l": 3, "o": 4, "\u0120": 5, "w": 6, "r": 7, "d": 8,
           "he": 9, "ll": 10, "hell": 11, "hello": 12, "\u0120w": 13, "or": 14, "\u00c3": 15, "\u00a4": 16, "\u010a": 17, "1": 18,
           "\u0120wor": 19, "\u00c3\u00a4": 20, "'": 21, "s": 22, "'s": 23},
          "merges": ["h e", "l l", "he ll", "hell o", "\u0120 w", "o r", "\u0120w or", "\u00c3 \u00a4", "' s"]}}
        """;

    private TemporaryFolder _folder = null!;

    [SetUp]
    public void MakeFolder() => _folder = new TemporaryFolder();

    [TearDown]
    public void RemoveFolder() => _folder.Dispose();

    [TestCase("hello world", "12 19 3 8"), TestCase("hellhello", "11 12"), TestCase("hello\n", "12 17")]
    [TestCase("h\u00e4", "1 20")]
    [TestCase("d    d", "8 31 8"), TestCase("d  d", "8 30 8"), TestCase("d      d", "8 31 30 8")]
    [TestCase("hello's", "12 23"), TestCase("<|endoftext|>hello", "0 12"), TestCase("", "")]
    public void Pairs_are_merged_in_their_order(string text, string expected)
    {
        TextTokenizer tokenizer = Open(Small);
        int[] tokens = tokenizer.Encode(text);
        Assert.That(string.Join(' ', tokens), Is.EqualTo(expected));
        Assert.That(Text(tokenizer, tokens), Is.EqualTo(text));
        Assert.That((tokenizer.Vocabulary, tokenizer.End), Is.EqualTo((32, 0)));
        Assert.That(tokenizer.BytesOf(25).IsEmpty, "a number that is no token");
    }

    [Test]
    public void Pairs_may_be_written_as_lists() =>
        Assert.That(Open(Small.Replace("\"h e\", \"l l\"", "[\"h\", \"e\"], [\"l\", \"l\"]", StringComparison.Ordinal)).Encode("hello"),
            Is.EqualTo(new[] { 12 }));

    [TestCase("\"BPE\"", "\"Unigram\"", "Unigram"), TestCase("ByteLevel", "Whitespace", "ByteLevel")]
    [TestCase("{\"version\"", "{version", "JSON"), TestCase("\"h e\"", "\"he\"", "merge")]
    [TestCase("\"id\": 31", "\"id\": -1", "-1"), TestCase("\"h\": 1", "\"h\": 1000000000", "1000000000")]
    [TestCase("\"vocab\"", "\"words\"", "BPE"), TestCase("\"content\": \"  \"", "\"content\": \"\"", "without text")]
    public void Another_file_is_refused_in_one_line(string text, string instead, string problem)
    {
        Assert.That(Small.Contains(text, StringComparison.Ordinal));
        CheckpointException error = Assert.Throws<CheckpointException>(() => Open(Small.Replace(text, instead, StringComparison.Ordinal)))!;
        Assert.That(error.Message, Does.Contain(problem).And.Contain("tokenizer.json").And.Not.Contain("\n"));
    }

    [Test]
    public void Bytes_are_tokens_where_there_is_nothing_else()
    {
        ByteTokens bytes = new();
        int[] tokens = bytes.Encode("h\u00e4");
        Assert.That(tokens, Is.EqualTo(new[] { 104, 0xC3, 0xA4 }));
        Assert.That(Text(bytes, tokens), Is.EqualTo("h\u00e4"));
        Assert.That((bytes.Vocabulary, bytes.End), Is.EqualTo((256, (int?)null)));
    }

    private static string Text(TextTokenizer tokenizer, int[] tokens)
    {
        List<byte> bytes = [];
        foreach (int token in tokens) bytes.AddRange(tokenizer.BytesOf(token));
        return Encoding.UTF8.GetString([.. bytes]);
    }

    private TextTokenizer Open(string json)
    {
        string path = Path.Combine(_folder.Root, "tokenizer.json");
        File.WriteAllText(path, json);
        return BpeTokens.Open(path);
    }
}
