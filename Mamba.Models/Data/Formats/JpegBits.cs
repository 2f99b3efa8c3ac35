namespace Mamba.Models.Data.Formats;

/// <summary>The bits of a scan, up to the next marker. A byte 0xFF in the data is followed by a zero (ITU-T T.81, F.2.2.5).</summary>
internal sealed class JpegBits(byte[] file, int start)
{
    private ulong _bits;
    private int _count;

    /// <summary>The next byte to fetch.</summary>
    public int Position { get; private set; } = start;

    /// <summary>The next symbol of a code.</summary>
    public int Symbol(JpegCode code)
    {
        (int length, int symbol) = code.Find(Peek(16));
        Take(length);
        return symbol;
    }

    /// <summary>A whole number of up to 16 bits.</summary>
    public int Number(int bits)
    {
        if (bits == 0) return 0;
        int value = Peek(bits);
        Take(bits);
        return value;
    }

    /// <summary>A signed number of this many bits. The lower half of the range is negative.</summary>
    public int Signed(int bits)
    {
        int value = Number(bits);
        return bits == 0 || value >= 1 << (bits - 1) ? value : value - (1 << bits) + 1;
    }

    /// <summary>Skips a restart marker, numbered 0 to 7, and the unused bits before it.</summary>
    public void Restart(int number)
    {
        if (Position + 2 > file.Length || file[Position] != 0xFF || file[Position + 1] != 0xD0 + number)
            throw new InvalidDataException($"JPEG without its restart marker {number} at byte {Position}.");
        Position += 2;
        _count = 0;
    }

    /// <summary>The next bits, zeros after the last.</summary>
    private int Peek(int bits)
    {
        if (_count < bits) Fill();
        ulong value = _count >= bits ? _bits >> (_count - bits) : _bits << (bits - _count);
        return (int)(value & ((1u << bits) - 1));
    }

    private void Take(int bits)
    {
        if (bits > _count) throw new InvalidDataException($"JPEG scan ends at byte {Position} amid its blocks.");
        _count -= bits;
    }

    private void Fill()
    {
        while (_count <= 56 && Position < file.Length)
        {
            byte next = file[Position];
            if (next == 0xFF)
            {
                if (Position + 1 >= file.Length || file[Position + 1] != 0) return;
                Position++;
            }
            Position++;
            _bits = _bits << 8 | next;
            _count += 8;
        }
    }
}
