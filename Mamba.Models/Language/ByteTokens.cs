using System.Text;

namespace Mamba.Models.Language;

/// <summary>Each byte of UTF-8 is a token.</summary>
public sealed class ByteTokens : TextTokenizer
{
    /// <summary>Bytes that there are.</summary>
    public const int Count = 256;

    private static readonly byte[] s_all = [.. Enumerable.Range(0, Count).Select(i => (byte)i)];

    /// <inheritdoc/>
    public override int Vocabulary => Count;

    /// <inheritdoc/>
    public override int[] Encode(string text) => Array.ConvertAll(Encoding.UTF8.GetBytes(text), b => (int)b);

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> BytesOf(int token) => s_all.AsSpan(token, 1);
}
