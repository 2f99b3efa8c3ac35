using System.Text.Json;

namespace Mamba.Models.Language;

/// <summary>
/// What a tokenizer.json says, if it is byte-level BPE as GPT-NeoX's. Any step that would change the tokens and is not done here is refused
/// by its name.
/// </summary>
internal sealed class TokenizerFile
{
    private const int MaxTokens = 1 << 22;

    private TokenizerFile(JsonFields root)
    {
        JsonFields model = root.Below("model") ?? throw new FormatException("'model' is missing");
        model.Expect("type", "BPE");
        foreach (JsonProperty token in model.Required("vocab").EnumerateObject()) Vocabulary[token.Name] = Id(token.Value);
        if (Vocabulary.Count == 0) throw new FormatException("its vocabulary is empty");
        Merges = [.. model.Required("merges").EnumerateArray().Select(Merge)];
        model.ExpectNone("dropout");
        model.ExpectNone("continuing_subword_prefix");
        model.ExpectNone("end_of_word_suffix");
        model.Expect("ignore_merges", false);
        if (ByteLevel.IsCovered(Vocabulary)) model.Ignore("unk_token", "fuse_unk", "byte_fallback"); // no byte is unknown
        model.ExpectNone("unk_token");
        model.Expect("byte_fallback", false);
        model.Ignore("fuse_unk");
        model.RefuseOthers();
        foreach (JsonFields token in root.List("added_tokens")) Added.Add(ReadAdded(token));
        Composes = root.Below("normalizer") is { } normalizer && IsNfc(normalizer);
        RequireByteLevel(root.Below("pre_tokenizer") ?? throw new FormatException("'pre_tokenizer' is missing, expected ByteLevel"));
        if (root.Below("post_processor") is { } after) RequireNoTokens(after);
        root.Below("decoder")?.Expect("type", "ByteLevel");
        // Callers of such files set length and padding anew for each text.
        root.Ignore("version", "truncation", "padding");
        root.RefuseOthers();
    }

    /// <summary>Tokens of the model, in GPT-2's alphabet, with their numbers.</summary>
    public Dictionary<string, int> Vocabulary { get; } = [];

    /// <summary>Pairs, the first to be merged first, with a space between.</summary>
    public List<string> Merges { get; }

    /// <summary>Tokens that are cut out.</summary>
    public List<AddedToken> Added { get; } = [];

    /// <summary>Whether texts are brought into Unicode's form C.</summary>
    public bool Composes { get; }

    public static TokenizerFile Read(JsonFields root) => new(root);

    /// <summary>The number of a token; null if there is none.</summary>
    public int? Find(string token) => Added.Find(t => t.Text == token)?.Id ?? (Vocabulary.TryGetValue(token, out int id) ? id : null);

    private static AddedToken ReadAdded(JsonFields token)
    {
        string text = token.Text("content") ?? "";
        if (text.Length == 0) throw new FormatException("an added token without text");
        // Each of these takes characters beside the token with it, or looks at them.
        foreach (string flag in new[] { "single_word", "lstrip", "rstrip" }) token.Expect(flag, false);
        bool special = token.Flag("special") ?? false;
        AddedToken read = new(text, Id(token.Required("id")), special, token.Flag("normalized") ?? !special);
        token.RefuseOthers();
        return read;
    }

    private static bool IsNfc(JsonFields normalizer)
    {
        bool composes;
        if (normalizer.Text("type") == "Sequence")
        {
            composes = false;
            foreach (JsonFields step in normalizer.List("normalizers")) composes |= IsNfc(step);
        }
        else
        {
            normalizer.Expect("type", "NFC");
            composes = true;
        }
        normalizer.RefuseOthers();
        return composes;
    }

    private static void RequireByteLevel(JsonFields words)
    {
        if (words.Text("type") == "Sequence")
        {
            List<JsonFields> steps = words.List("pretokenizers");
            if (steps.Count != 1) throw new FormatException(
                $"'{words.Path}' is a sequence of {string.Join(", ", steps.Select(s => s.Text("type")))}; only ByteLevel alone is built");
            RequireByteLevel(steps[0]);
        }
        else
        {
            words.Expect("type", "ByteLevel");
            words.Expect("add_prefix_space", false);
            words.Expect("use_regex", true);
            words.Ignore("trim_offsets");
        }
        words.RefuseOthers();
    }

    /// <summary>Refuses a last step that adds tokens; others move the places of tokens in the text, which nothing here reads.</summary>
    private static void RequireNoTokens(JsonFields after)
    {
        switch (after.Text("type"))
        {
            case "Sequence":
                foreach (JsonFields step in after.List("processors")) RequireNoTokens(step);
                after.RefuseOthers();
                break;
            case "TemplateProcessing":
                List<JsonFields> parts = after.List("single");
                if (parts.Count != 1 || parts[0].Below("Sequence") is null)
                    throw new FormatException($"'{after.Path}.single' adds tokens to each text, which is not built");
                break;
            default:
                after.Expect("type", "ByteLevel");
                break;
        }
    }

    private static int Id(JsonElement json) => json.GetInt32() is >= 0 and < MaxTokens and var id ? id
        : throw new FormatException($"a token is number {json.GetRawText()}, expected 0 to {MaxTokens - 1}");

    /// <summary>A pair is one text in older files, and two in newer ones.</summary>
    private static string Merge(JsonElement json) => json.ValueKind == JsonValueKind.Array && json.GetArrayLength() == 2
        ? $"{json[0].GetString()} {json[1].GetString()}"
        : json.GetString() is { } text && text.Count(c => c == ' ') == 1 ? text
        : throw new FormatException($"a merge is {json.GetRawText()}, expected two tokens");
}
