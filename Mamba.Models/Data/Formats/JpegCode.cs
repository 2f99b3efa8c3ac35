namespace Mamba.Models.Data.Formats;

/// <summary>A Huffman code of a JPEG file (ITU-T T.81, C.2): up to 256 symbols of 1 to 16 bits.</summary>
internal sealed class JpegCode
{
    private const int FastBits = 9;

    private readonly byte[] _symbols;
    private readonly ushort[] _fast = new ushort[1 << FastBits]; // length and symbol of the code with this prefix; 0 for a longer code
    private readonly int[] _end = new int[17]; // per length: the end of its codes and of shorter ones, as 16 bits
    private readonly int[] _first = new int[17]; // per length: the index of the symbol of code 0

    public JpegCode(ReadOnlySpan<byte> counts, ReadOnlySpan<byte> symbols)
    {
        _symbols = symbols.ToArray();
        int code = 0, index = 0;
        for (int length = 1; length <= 16; length++, code <<= 1)
        {
            _first[length] = index - code;
            for (int i = 0; i < counts[length - 1]; i++, code++, index++)
            {
                if (code >= 1 << length) throw new InvalidDataException("JPEG with a Huffman table of more codes than there can be.");
                if (length <= FastBits)
                    _fast.AsSpan(code << (FastBits - length), 1 << (FastBits - length)).Fill((ushort)(length << 8 | symbols[index]));
            }
            _end[length] = code << (16 - length);
        }
    }

    /// <summary>Finds the code at the start of 16 bits.</summary>
    /// <returns>Its length and its symbol.</returns>
    public (int Length, int Symbol) Find(int bits)
    {
        int fast = _fast[bits >> (16 - FastBits)];
        if (fast != 0) return (fast >> 8, fast & 0xFF);
        for (int length = FastBits + 1; length <= 16; length++)
            if (bits < _end[length]) return (length, _symbols[_first[length] + (bits >> (16 - length))]);
        throw new InvalidDataException("JPEG with bits that are no Huffman code.");
    }
}
