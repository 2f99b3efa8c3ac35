using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Mamba.Core.Checkpoints;
using Microsoft.ML.Tokenizers;

namespace Mamba.Models.Language;

/// <summary>
/// Byte-level byte-pair encoding (Sennrich et al. 2016; GPT-2) from a <c>tokenizer.json</c> of Hugging Face's tokenizers, as GPT-NeoX and
/// so state-spaces/mamba have it. Microsoft.ML.Tokenizers merges the pairs.
/// </summary>
public sealed partial class BpeTokens : TextTokenizer
{
    private const int MaxBytes = 64 << 20;
    private const int MaxTokens = 1 << 22;
    private const string EndOfText = "<|endoftext|>";

    private readonly BpeTokenizer _tokenizer;
    private readonly byte[][] _bytes;

    private BpeTokens(Dictionary<string, int> vocabulary, List<string> merges, Dictionary<string, int> added, HashSet<string> special)
    {
        // Text of added tokens is cut out before pairs are merged, the longest first: GPT-NeoX's are runs of spaces.
        Dictionary<string, int>? whole = added.Count == 0 ? null : new(added.OrderByDescending(t => t.Key.Length));
        _tokenizer = BpeTokenizer.Create(new BpeOptions(vocabulary)
        {
            Merges = merges,
            ByteLevel = true,
            PreTokenizer = new RegexPreTokenizer(Words(), whole),
            SpecialTokens = whole,
        });
        _bytes = new byte[vocabulary.Values.Max() + 1][];
        Array.Fill(_bytes, []);
        foreach ((string token, int id) in vocabulary)
            _bytes[id] = added.ContainsKey(token) ? Encoding.UTF8.GetBytes(token) : BytesOf(token);
        End = special.Contains(EndOfText) ? vocabulary[EndOfText] : null;
    }

    /// <inheritdoc/>
    public override int Vocabulary => _bytes.Length;

    /// <inheritdoc/>
    public override int? End { get; }

    /// <summary>Reads a tokenizer.json.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="CheckpointException">It cannot be read, or is not byte-level BPE.</exception>
    public static BpeTokens Open(string path)
    {
        try
        {
            if (new FileInfo(path).Length > MaxBytes) throw new CheckpointException($"{path}: expected at most {MaxBytes} bytes");
            using JsonDocument json = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { MaxDepth = 16 });
            return Read(json.RootElement);
        }
        catch (JsonException e)
        {
            throw new CheckpointException($"{path}: is not JSON: {e.Message}", e);
        }
        catch (Exception e) when (e is FormatException or InvalidOperationException or KeyNotFoundException or ArgumentException)
        {
            throw new CheckpointException($"{path}: is no tokenizer of byte-level BPE: {e.Message}", e);
        }
        catch (Exception e) when (e is (IOException and not CheckpointException) or UnauthorizedAccessException)
        {
            throw new CheckpointException($"{path}: cannot be read: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public override int[] Encode(string text)
    {
        // The normalizer of GPT-NeoX: one code point for a letter and its accents.
        return [.. _tokenizer.EncodeToIds(Nfc.Normalize(text))];
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> BytesOf(int token) => _bytes[token];

    // GPT-2's split into words: contractions, letters, digits, other signs, white space.
    [GeneratedRegex(@"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+")]
    private static partial Regex Words();

    private static BpeTokens Read(JsonElement root)
    {
        JsonElement model = root.GetProperty("model");
        if (model.GetProperty("type").GetString() != "BPE")
            throw new FormatException($"its model is {model.GetProperty("type").GetRawText()}");
        if (!IsByteLevel(root)) throw new FormatException("its pre-tokenizer is not ByteLevel");
        Dictionary<string, int> vocabulary = [], added = [];
        HashSet<string> special = [];
        foreach (JsonProperty token in model.GetProperty("vocab").EnumerateObject()) vocabulary[token.Name] = Id(token.Value);
        List<string> merges = [.. model.GetProperty("merges").EnumerateArray().Select(Merge)];
        if (root.TryGetProperty("added_tokens", out JsonElement tokens) && tokens.ValueKind == JsonValueKind.Array)
            foreach (JsonElement token in tokens.EnumerateArray())
            {
                string content = token.GetProperty("content").GetString() ?? "";
                if (content.Length == 0) throw new FormatException("an added token without text");
                vocabulary[content] = added[content] = Id(token.GetProperty("id"));
                if (token.TryGetProperty("special", out JsonElement s) && s.ValueKind == JsonValueKind.True) special.Add(content);
            }
        if (vocabulary.Count == 0) throw new FormatException("its vocabulary is empty");
        return new BpeTokens(vocabulary, merges, added, special);
    }

    private static bool IsByteLevel(JsonElement root) =>
        root.TryGetProperty("pre_tokenizer", out JsonElement words) && words.ValueKind == JsonValueKind.Object
        && (Is(words) || (words.TryGetProperty("pretokenizers", out JsonElement list) && list.EnumerateArray().Any(Is)));

    private static bool Is(JsonElement words) => words.TryGetProperty("type", out JsonElement type) && type.GetString() == "ByteLevel";

    private static int Id(JsonElement json) => json.GetInt32() is >= 0 and < MaxTokens and var id ? id
        : throw new FormatException($"a token is number {json.GetRawText()}, expected 0 to {MaxTokens - 1}");

    /// <summary>A pair is one text in older files, and two in newer ones.</summary>
    private static string Merge(JsonElement json) => json.ValueKind == JsonValueKind.Array && json.GetArrayLength() == 2
        ? $"{json[0].GetString()} {json[1].GetString()}"
        : json.GetString() is { } text && text.Count(c => c == ' ') == 1 ? text
        : throw new FormatException($"a merge is {json.GetRawText()}, expected two tokens");

    /// <summary>
    /// GPT-2's alphabet has a printable letter for each byte: printable Latin-1 stands for itself, the others follow from U+0100.
    /// </summary>
    private static byte[] BytesOf(string token)
    {
        List<byte> bytes = [];
        foreach (char letter in token)
            if (s_letters.TryGetValue(letter, out byte value)) bytes.Add(value);
            else bytes.AddRange(Encoding.UTF8.GetBytes(letter.ToString()));
        return [.. bytes];
    }

    private static readonly Dictionary<char, byte> s_letters = Letters();

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
