namespace Mamba.Models.Data.Formats;

/// <summary>One scan of a JPEG file: coefficients of some components, all of them or a part (ITU-T T.81, F.2 and G.2).</summary>
/// <param name="bits">Its bits.</param>
/// <param name="progressive">Whether it may hold a part of the coefficients.</param>
/// <param name="components">Its components, each with its DC and AC codes. An unused code is null.</param>
/// <param name="from">The first coefficient, in zigzag order.</param>
/// <param name="to">The last.</param>
/// <param name="refines">Whether it refines known coefficients by one bit.</param>
/// <param name="low">The position of its lowest bit.</param>
internal sealed class JpegScan(
    JpegBits bits, bool progressive, (JpegComponent Component, JpegCode? Dc, JpegCode? Ac)[] components,
    int from, int to, bool refines, int low)
{
    private int _emptyBlocks; // blocks left in a run of empty ones

    /// <summary>The index in a block of each coefficient in zigzag order.</summary>
    public static ReadOnlySpan<byte> ZigZag =>
    [
        0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
        35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
    ];

    /// <summary>Reads all blocks.</summary>
    /// <param name="columns">MCUs in a row, for a scan of several components.</param>
    /// <param name="rows">Rows of MCUs.</param>
    /// <param name="restartInterval">MCUs between restart markers; 0 for none.</param>
    public void Read(int columns, int rows, int restartInterval)
    {
        if (components is [var (single, dc, ac)])
        {
            for (int y = 0, done = 0; y < single.Rows; y++)
                for (int x = 0; x < single.Columns; x++, done++)
                {
                    RestartAt(done, restartInterval);
                    ReadBlock(single, dc, ac, single.Block(x, y));
                }
            return;
        }
        for (int mcu = 0; mcu < columns * rows; mcu++)
        {
            RestartAt(mcu, restartInterval);
            foreach ((JpegComponent component, JpegCode? meanCode, JpegCode? code) in components)
            {
                int left = mcu % columns * component.Horizontal, top = mcu / columns * component.Vertical;
                for (int v = 0; v < component.Vertical; v++)
                    for (int h = 0; h < component.Horizontal; h++) ReadBlock(component, meanCode, code, component.Block(left + h, top + v));
            }
        }
    }

    private void RestartAt(int mcu, int interval)
    {
        bool restart = interval > 0 && mcu > 0 && mcu % interval == 0;
        if (restart) bits.Restart((mcu / interval - 1) % 8);
        if (!restart && mcu > 0) return;
        _emptyBlocks = 0;
        foreach ((JpegComponent component, _, _) in components) component.PreviousDc = 0;
    }

    private void ReadBlock(JpegComponent component, JpegCode? dc, JpegCode? ac, Span<short> block)
    {
        if (from == 0)
        {
            if (refines) block[0] |= (short)(bits.Number(1) << low);
            else
            {
                int size = bits.Symbol(dc!);
                if (size > 11) throw new InvalidDataException($"JPEG with a difference of means of {size} bits; expected at most 11.");
                component.PreviousDc += bits.Signed(size);
                block[0] = (short)(component.PreviousDc << low);
            }
        }
        if (to == 0) return;
        if (!progressive) ReadAll(ac!, block);
        else if (_emptyBlocks > 0 && !refines) _emptyBlocks--;
        else if (refines) Refine(ac!, block);
        else ReadPart(ac!, block);
    }

    private void ReadAll(JpegCode code, Span<short> block)
    {
        for (int k = 1; k < 64; k++)
        {
            int symbol = bits.Symbol(code), size = symbol & 15;
            k += symbol >> 4;
            if (size == 0 && symbol != 0xF0) return;
            if (size > 0) block[At(k)] = (short)bits.Signed(size);
        }
    }

    private void ReadPart(JpegCode code, Span<short> block)
    {
        for (int k = from; k <= to; k++)
        {
            int symbol = bits.Symbol(code), run = symbol >> 4, size = symbol & 15;
            if (size == 0 && run < 15)
            {
                _emptyBlocks = (1 << run) + bits.Number(run) - 1;
                return;
            }
            k += run;
            if (size > 0) block[At(k)] = (short)(bits.Signed(size) << low);
        }
    }

    /// <summary>Refines known coefficients by one bit, and sets new ones between them.</summary>
    private void Refine(JpegCode code, Span<short> block)
    {
        int k = from;
        while (_emptyBlocks == 0 && k <= to)
        {
            int symbol = bits.Symbol(code), run = symbol >> 4, size = symbol & 15;
            if (size == 0 && run < 15)
            {
                _emptyBlocks = (1 << run) + bits.Number(run);
                break;
            }
            int value = size == 0 ? 0 : bits.Number(1) == 1 ? 1 << low : -1 << low;
            for (; k <= to; k++)
            {
                ref short known = ref block[ZigZag[k]];
                if (known != 0) Correct(ref known);
                else if (run-- == 0)
                {
                    known = (short)value;
                    k++;
                    break;
                }
            }
        }
        if (_emptyBlocks == 0) return;
        _emptyBlocks--;
        for (; k <= to; k++)
        {
            ref short known = ref block[ZigZag[k]];
            if (known != 0) Correct(ref known);
        }
    }

    private void Correct(ref short known)
    {
        if (bits.Number(1) == 1 && (known & 1 << low) == 0) known += (short)(known > 0 ? 1 << low : -1 << low);
    }

    private int At(int k) => k <= to ? ZigZag[k]
        : throw new InvalidDataException($"JPEG block with a coefficient {k}; expected {to} as the last.");
}
