namespace Mamba.Models.Data.Formats;

/// <summary>
/// TIFF's LZW (TIFF 6.0, section 13): codes of 9 to 12 bits, highest bit first. A code stands for a string that occurs earlier in the
/// result, so the table holds its position and length.
/// </summary>
internal static class TiffLzw
{
    private const int Clear = 256, End = 257, FirstFree = 258, Codes = 1 << 12;

    /// <summary>Unpacks up to the size of the target; returns the number of bytes written.</summary>
    public static int Unpack(ReadOnlySpan<byte> packed, Span<byte> to)
    {
        // A table entry is the string of the previous code plus the next byte; both lie side by side in the result.
        Span<int> starts = stackalloc int[Codes], lengths = stackalloc int[Codes];
        int free = FirstFree, previousStart = -1, previousLength = 0, done = 0;
        int bits = 9;
        for (long bit = 0; bit + bits <= 8L * packed.Length && done < to.Length; bit += bits, bits = CodeBits(free))
        {
            int code = Code(packed, bit, bits);
            if (code == End) break;
            if (code == Clear)
            {
                (free, previousStart) = (FirstFree, -1);
                continue;
            }
            if (code > free || (code >= FirstFree && previousStart < 0))
                throw new InvalidDataException($"TIFF LZW code {code} at bit {bit}; expected less than {free}.");
            if (previousStart >= 0 && free < Codes) (starts[free], lengths[free++]) = (previousStart, previousLength + 1);
            int length = code < 256 ? 1 : lengths[code], written = Math.Min(length, to.Length - done);
            // Copy byte by byte: the string may overlap its copy by one byte.
            if (code < 256) to[done] = (byte)code;
            else
                for (int i = 0; i < written; i++) to[done + i] = to[starts[code] + i];
            (previousStart, previousLength) = (done, length);
            done += written;
        }
        return done;
    }

    /// <summary>The number of bits of the next code. TIFF widens its codes one entry early.</summary>
    private static int CodeBits(int free) => free + 1 < 512 ? 9 : free + 1 < 1024 ? 10 : free + 1 < 2048 ? 11 : 12;

    private static int Code(ReadOnlySpan<byte> packed, long bit, int bits)
    {
        int at = (int)(bit >> 3);
        int value = packed[at] << 16 | (at + 1 < packed.Length ? packed[at + 1] << 8 : 0) | (at + 2 < packed.Length ? packed[at + 2] : 0);
        return value >> (24 - bits - (int)(bit & 7)) & ((1 << bits) - 1);
    }
}
