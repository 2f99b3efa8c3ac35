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
    public void A_letter_and_its_accent_are_composed_only_if_the_file_says_so()
    {
        Assert.That(Open(Small).Encode("ha\u0308"), Is.EqualTo(new[] { 1, 20 }));
        string plain = Small.Replace("{\"type\": \"NFC\"}", "null", StringComparison.Ordinal);
        Assert.That(Open(plain).Encode("h\u00e4"), Is.EqualTo(new[] { 1, 20 }));
        Assert.That(() => Open(plain).Encode("ha\u0308"), Throws.ArgumentException.With.Message.Contains("no tokens"), "no letter a");
        string list = Small.Replace(
            "{\"type\": \"NFC\"}", "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFC\"}]}", StringComparison.Ordinal);
        Assert.That(Open(list).Encode("ha\u0308"), Is.EqualTo(new[] { 1, 20 }));
    }

    /// <summary>A token that is not normalized is cut out before its last letter could compose with what follows.</summary>
    [Test]
    public void Added_tokens_are_cut_out_before_or_after_the_text_is_composed()
    {
        string json = Small.Replace("\"content\": \"  \"", "\"normalized\": false, \"content\": \"xa\"", StringComparison.Ordinal)
            .Replace("\"content\": \"    \"", "\"content\": \"y\\u00e4\"", StringComparison.Ordinal);
        TextTokenizer tokenizer = Open(json);
        Assert.That(tokenizer.Encode("ya\u0308hxah"), Is.EqualTo(new[] { 31, 1, 30, 1 }));
        Assert.That(() => tokenizer.Encode("xa\u0308"), Throws.ArgumentException, "the accent alone has no token");
    }

    [Test]
    public void Pairs_may_be_written_as_lists() =>
        Assert.That(Open(Small.Replace("\"h e\", \"l l\"", "[\"h\", \"e\"], [\"l\", \"l\"]", StringComparison.Ordinal)).Encode("hello"),
            Is.EqualTo(new[] { 12 }));

    [TestCase("\"BPE\"", "\"Unigram\"", "Unigram"), TestCase("ByteLevel", "Whitespace", "ByteLevel")]
    [TestCase("{\"version\"", "{version", "JSON"), TestCase("\"h e\"", "\"he\"", "merge")]
    [TestCase("\"id\": 31", "\"id\": -1", "-1"), TestCase("\"h\": 1", "\"h\": 1000000000", "1000000000")]
    [TestCase("\"vocab\"", "\"words\"", "BPE"), TestCase("\"content\": \"  \"", "\"content\": \"\"", "without text")]
    [TestCase("\"NFC\"", "\"Lowercase\"", "'normalizer.type' is 'Lowercase'")]
    [TestCase(
        "{\"type\": \"NFC\"}",
        "{\"type\": \"Sequence\", \"normalizers\": [{\"type\": \"NFKC\"}]}", "'normalizer.normalizers[0].type' is 'NFKC'")]
    [TestCase("\"add_prefix_space\": false", "\"add_prefix_space\": true", "'pre_tokenizer.add_prefix_space' is true")]
    [TestCase("\"trim_offsets\": true", "\"use_regex\": false", "'pre_tokenizer.use_regex' is false")]
    [TestCase(
        "{\"type\": \"ByteLevel\"",
        "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\"}, {\"type\": \"ByteLevel\"}]", "Digits")]
    [TestCase("\"trim_offsets\"", "\"split\"", "'pre_tokenizer.split' is true; it is not known")]
    [TestCase("\"special\": false", "\"lstrip\": true", "'added_tokens[1].lstrip' is true")]
    [TestCase("\"special\": false", "\"single_word\": true", "'added_tokens[1].single_word' is true")]
    [TestCase("\"special\": false", "\"greedy\": true", "'added_tokens[1].greedy' is true")]
    [TestCase("\"type\": \"BPE\"", "\"type\": \"BPE\", \"ignore_merges\": true", "'model.ignore_merges' is true")]
    [TestCase("\"type\": \"BPE\"", "\"type\": \"BPE\", \"dropout\": 0.1", "'model.dropout' is 0.1")]
    [TestCase("\"type\": \"BPE\"", "\"type\": \"BPE\", \"end_of_word_suffix\": \"</w>\"", "'model.end_of_word_suffix'")]
    [TestCase("\"type\": \"BPE\"", "\"type\": \"BPE\", \"unk_token\": \"h\"", "'model.unk_token'")]
    [TestCase("\"version\": \"1.0\"", "\"decoder\": {\"type\": \"Metaspace\"}", "'decoder.type' is 'Metaspace'")]
    [TestCase("\"version\": \"1.0\"", "\"post_processor\": {\"type\": \"BertProcessing\"}", "'post_processor.type' is 'BertProcessing'")]
    [TestCase(
        "\"version\": \"1.0\"",
        "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {}}, {\"Sequence\": {}}]}",
        "'post_processor.single' adds tokens")]
    [TestCase("\"version\": \"1.0\"", "\"filter\": 3", "'filter' is 3; it is not known")]
    public void Another_file_is_refused_in_one_line(string text, string instead, string problem)
    {
        Assert.That(Small.Contains(text, StringComparison.Ordinal));
        CheckpointException error = Assert.Throws<CheckpointException>(() => Open(Small.Replace(text, instead, StringComparison.Ordinal)))!;
        Assert.That(error.Message, Does.Contain(problem).And.Contain("tokenizer.json").And.Not.Contain("\n"));
    }

    [TestCase(
        "\"post_processor\": {\"type\": \"ByteLevel\", \"trim_offsets\": true}, "
        + "\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false}")]
    [TestCase(
        "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"Sequence\": {\"id\": \"A\"}}], "
        + "\"pair\": [], \"special_tokens\": {}}")]
    [TestCase("\"truncation\": {\"max_length\": 3}, \"padding\": null, \"post_processor\": null")]
    public void Steps_that_change_no_token_are_accepted(string steps) => Assert.That(
        Open(Small.Replace("\"version\": \"1.0\"", steps, StringComparison.Ordinal)).Encode("hello world"),
        Is.EqualTo(new[] { 12, 19, 3, 8 }));

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
