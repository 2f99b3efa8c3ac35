using System.Text;
using System.Text.Json;
using Mamba.Core.Checkpoints;
using Microsoft.ML.Tokenizers;

namespace Mamba.Models.Language;

/// <summary>
/// Byte-level byte-pair encoding (Sennrich et al. 2016; GPT-2) from a <c>tokenizer.json</c> of Hugging Face's tokenizers, as GPT-NeoX and
/// so state-spaces/mamba have it. Microsoft.ML.Tokenizers merges the pairs.
/// </summary>
public sealed class BpeTokens : TextTokenizer
{
    private const int MaxBytes = 64 << 20;
    private const string EndOfText = "<|endoftext|>";

    private readonly BpeTokenizer _tokenizer;
    private readonly byte[][] _bytes;
    private readonly bool _composes;
    private readonly AddedTokens _raw, _normalized;

    private BpeTokens(TokenizerFile file, IReadOnlyList<int>? ends)
    {
        _tokenizer = BpeTokenizer.Create(new BpeOptions(file.Vocabulary)
        {
            Merges = file.Merges,
            ByteLevel = true,
            PreTokenizer = new WordSplitter(),
        });
        _composes = file.Composes;
        _raw = new AddedTokens([.. file.Added.Where(t => !t.Normalized)]);
        _normalized = new AddedTokens(
            [.. file.Added.Where(t => t.Normalized).Select(t => _composes ? t with { Text = Nfc.Normalize(t.Text) } : t)]);
        Ends = ends ?? [.. file.Added.Where(t => t.Special && t.Text == EndOfText).Select(t => t.Id)];
        // An end may be a number that is no token: it is chosen, and has no bytes.
        _bytes = new byte[file.Vocabulary.Values.Concat(file.Added.Select(t => t.Id)).Concat(Ends).Max() + 1][];
        Array.Fill(_bytes, []);
        foreach ((string token, int id) in file.Vocabulary) _bytes[id] = ByteLevel.BytesOf(token);
        foreach (AddedToken token in file.Added) _bytes[token.Id] = Encoding.UTF8.GetBytes(token.Text);
    }

    /// <inheritdoc/>
    public override int Vocabulary => _bytes.Length;

    /// <inheritdoc/>
    public override IReadOnlyList<int> Ends { get; }

    /// <summary>Reads a tokenizer.json. The special token <c>&lt;|endoftext|></c> ends a text.</summary>
    /// <param name="path">The file.</param>
    /// <returns>The tokenizer.</returns>
    /// <exception cref="CheckpointException">
    /// It cannot be read, is not byte-level BPE, or names a step that is not done here, such as another normalizer.
    /// </exception>
    public static BpeTokens Open(string path) => Open(path, null);

    /// <summary>As <see cref="Open(string)"/>, with tokens that end a text; the file says it if they are null.</summary>
    internal static BpeTokens Open(string path, Func<TokenizerFile, IReadOnlyList<int>?>? ends) =>
        ModelJson.Read(path, MaxBytes, "no tokenizer of byte-level BPE", json =>
        {
            TokenizerFile file = TokenizerFile.Read(json);
            return new BpeTokens(file, ends?.Invoke(file));
        });

    /// <inheritdoc/>
    public override int[] Encode(string text)
    {
        List<int> tokens = [];
        foreach ((string part, int? token) in _raw.Cut(text))
            if (token is { } whole) tokens.Add(whole);
            else EncodeNormalized(_composes ? Nfc.Normalize(part) : part, tokens);
        return [.. tokens];
    }

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> BytesOf(int token) => _bytes[token];

    private void EncodeNormalized(string text, List<int> tokens)
    {
        foreach ((string part, int? token) in _normalized.Cut(text))
            if (token is { } whole) tokens.Add(whole);
            else
            {
                int first = tokens.Count, bytes = 0;
                tokens.AddRange(_tokenizer.EncodeToIds(part));
                for (int i = first; i < tokens.Count; i++) bytes += _bytes[tokens[i]].Length;
                if (bytes != Encoding.UTF8.GetByteCount(part)) // a vocabulary that lacks letters of the alphabet
                    throw new ArgumentException($"BpeTokens.Encode: a part of the text has no tokens: '{part}'.", nameof(text));
            }
    }
}
