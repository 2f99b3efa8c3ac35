using System.Buffers;
using System.IO.Compression;

namespace Mamba.Models.Data.Formats;

/// <summary>
/// Whether packed data holds as many bytes as the pixels need. The decoders leave what is missing black, or fill it with old memory.
/// </summary>
internal static class Packed
{
    private const int Clear = 256, End = 257, MaxCode = 4096;

    /// <summary>Unpacks zlib's form, without keeping it, until there are enough bytes.</summary>
    /// <exception cref="InvalidDataException">It is damaged, or there are fewer.</exception>
    public static void CheckInflates(string format, byte[] file, int offset, int count, long need)
    {
        // At best, 258 bytes come from 2 bits.
        if (need > 1032L * count + 64) throw Short(format, 1032L * count, need);
        using ZLibStream zlib = new(new MemoryStream(file, offset, count, writable: false), CompressionMode.Decompress);
        byte[] buffer = ArrayPool<byte>.Shared.Rent(1 << 16);
        try
        {
            long have = 0;
            while (have < need)
            {
                int read = zlib.Read(buffer, 0, (int)Math.Min(buffer.Length, need - have));
                if (read == 0) throw Short(format, have, need);
                have += read;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>Counts what TIFF's PackBits unpacks to: a length, then so many bytes or one that is repeated.</summary>
    public static void CheckPackBits(string format, ReadOnlySpan<byte> packed, long need)
    {
        long have = 0;
        for (int at = 0; at < packed.Length && have < need;)
        {
            int head = packed[at];
            int bytes = head == 128 ? 0 : head < 128 ? head + 1 : 1;
            if (at + bytes >= packed.Length) break;
            if (head != 128) have += head < 128 ? head + 1 : 257 - head;
            at += 1 + bytes;
        }
        if (have < need) throw Short(format, have, need);
        if (have > need) throw new InvalidDataException($"{format}: a strip unpacks to more than the {need} bytes of its rows.");
    }

    /// <summary>Counts what LZW codes unpack to, as TIFF (high bits first) or GIF (low bits first) packs them.</summary>
    /// <param name="format">What errors call the file.</param>
    /// <param name="packed">The codes.</param>
    /// <param name="gifBits">Bits of GIF's symbols; 0 for TIFF, which has 8.</param>
    /// <param name="need">The fewest bytes.</param>
    public static void CheckLzw(string format, ReadOnlySpan<byte> packed, int gifBits, long need)
    {
        bool gif = gifBits > 0;
        int clear = gif ? 1 << gifBits : Clear, end = clear + 1, first = clear + 2;
        Span<int> lengths = stackalloc int[MaxCode + 1];
        lengths[..clear].Fill(1);
        int next = first, width = gif ? gifBits + 1 : 9, old = -1;
        long have = 0, bits = 0;
        int held = 0;
        for (int at = 0; have < need;)
        {
            while (held < width && at < packed.Length)
            {
                bits = gif ? bits | (long)packed[at++] << held : bits << 8 | packed[at++];
                held += 8;
            }
            if (held < width) break;
            int code = (int)(gif ? bits : bits >> held - width) & (1 << width) - 1;
            held -= width;
            if (gif) bits >>= width;
            else bits &= (1L << held) - 1;
            if (code == end) break;
            if (code == clear) (next, width, old) = (first, gif ? gifBits + 1 : 9, -1);
            else if (old < 0 ? code >= clear : code > next || (code == next && next >= MaxCode))
                throw new InvalidDataException($"{format}: LZW code {code} before it has a meaning.");
            else
            {
                if (old >= 0 && next < MaxCode) lengths[next++] = lengths[old] + 1;
                have += lengths[code];
                old = code;
                // TIFF grows its codes one entry earlier than GIF.
                if (next + (gif ? 0 : 1) >= 1 << width && width < 12) width++;
            }
        }
        if (have < need) throw Short(format, have, need);
    }

    private static InvalidDataException Short(string format, long have, long need) =>
        new($"{format}: the pixels end after {have} of {need} bytes; expected more image data.");
}
