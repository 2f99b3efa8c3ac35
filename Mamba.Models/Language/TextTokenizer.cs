namespace Mamba.Models.Language;

/// <summary>Turns text into tokens, and tokens into bytes of UTF-8.</summary>
public abstract class TextTokenizer
{
    /// <summary>Tokens from 0 up to this one have bytes.</summary>
    public abstract int Vocabulary { get; }

    /// <summary>The tokens that end a text; often there is one, or none.</summary>
    public virtual IReadOnlyList<int> Ends => [];

    /// <summary>The first of <see cref="Ends"/>; null if there is none.</summary>
    public int? End => Ends.Count > 0 ? Ends[0] : null;

    /// <summary>Whether a token ends a text.</summary>
    /// <param name="token">The token.</param>
    /// <returns>True if it does.</returns>
    public bool IsEnd(int token)
    {
        for (int i = 0; i < Ends.Count; i++)
            if (Ends[i] == token) return true;
        return false;
    }

    /// <summary>The tokens of a text.</summary>
    /// <param name="text">Any text.</param>
    /// <returns>Its tokens.</returns>
    /// <exception cref="ArgumentException">A part of it is no token.</exception>
    public abstract int[] Encode(string text);

    /// <summary>The bytes that a token stands for. A character may begin in one token and end in a later one.</summary>
    /// <param name="token">From 0, below <see cref="Vocabulary"/>.</param>
    /// <returns>Bytes of UTF-8; empty for a number that is no token.</returns>
    public abstract ReadOnlySpan<byte> BytesOf(int token);
}
