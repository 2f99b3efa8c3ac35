using System.Text;

namespace Mamba.Models.Language;

/// <summary>Each byte of UTF-8 is a token.</summary>
public sealed class ByteTokens : TextTokenizer
{
    /// <summary>Bytes that there are.</summary>
    public const int Count = 256;

    private static readonly byte[] s_all = [.. Enumerable.Range(0, Count).Select(i => (byte)i)];

    private readonly IReadOnlyList<int> _ends;

    /// <summary>Bytes of which none ends a text.</summary>
    public ByteTokens()
        : this([])
    {
    }

    internal ByteTokens(IReadOnlyList<int> ends) => _ends = ends;

    /// <inheritdoc/>
    public override int Vocabulary => Math.Max(Count, _ends.DefaultIfEmpty().Max() + 1);

    /// <inheritdoc/>
    public override IReadOnlyList<int> Ends => _ends;

    /// <inheritdoc/>
    public override int[] Encode(string text) => Array.ConvertAll(Encoding.UTF8.GetBytes(text), b => (int)b);

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> BytesOf(int token) => token < Count ? s_all.AsSpan(token, 1) : [];
}
