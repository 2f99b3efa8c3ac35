namespace Mamba.Models.Data.Labels;

/// <summary>
/// Masks as COCO stores them: the lengths of runs, the first of background and then in turn, down the columns from the left. The facts of
/// the packed form are those of maskApi.c.
/// </summary>
public static class RunLength
{
    /// <summary>Gives a value to the pixels of a mask.</summary>
    /// <param name="map">height * width classes, in rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="counts">The lengths of the runs; together height * width.</param>
    /// <param name="value">What to fill with.</param>
    /// <exception cref="ArgumentException">The map has another size, or the runs have another length in all.</exception>
    public static void Decode(Span<byte> map, int width, int height, ReadOnlySpan<int> counts, byte value)
    {
        if (width < 1 || height < 1 || (long)width * height != map.Length)
            throw new ArgumentException($"RunLength: {map.Length} pixels for {width} x {height}; expected as many.");
        if (!Fits(counts, map.Length))
            throw new ArgumentException($"RunLength: runs that are not {map.Length} pixels long in all, or are negative.");
        int at = 0;
        for (int run = 0; run < counts.Length; at += counts[run++])
            for (int i = at; run % 2 == 1 && i < at + counts[run]; i++) map[i % height * width + i / height] = value;
    }

    /// <summary>Whether runs are as long in all as a mask has pixels.</summary>
    internal static bool Fits(ReadOnlySpan<int> counts, long pixels)
    {
        long sum = 0;
        foreach (int count in counts)
        {
            if (count < 0) return false;
            sum += count;
        }
        return sum == pixels;
    }

    /// <summary>
    /// Unpacks the lengths of runs from COCO's text. A character holds five bits of a number, the lowest first, and one that says whether
    /// more follow; the number is signed. From the fourth on it is the difference to the length two before.
    /// </summary>
    /// <param name="packed">The text.</param>
    /// <returns>The lengths.</returns>
    /// <exception cref="FormatException">It has other characters, ends within a number, or a length is negative or too large.</exception>
    public static int[] Unpack(ReadOnlySpan<char> packed)
    {
        const int Zero = '0', Bits = 5, More = 0x20, Sign = 0x10;
        List<int> counts = [];
        for (int at = 0; at < packed.Length;)
        {
            long number = 0;
            int begin = at, shift = 0, character;
            do
            {
                if (at == packed.Length) throw new FormatException($"it ends within the number at character {begin}");
                character = packed[at++] - Zero;
                if (character is < 0 or > 63) throw new FormatException($"character '{packed[at - 1]}' at {at - 1}");
                if (shift > 30) throw new FormatException($"the number at character {begin} has more than 32 bits");
                number |= (long)(character & (More - 1)) << shift;
                shift += Bits;
            }
            while ((character & More) != 0);
            if ((character & Sign) != 0) number |= -1L << shift;
            if (counts.Count > 2) number += counts[^2];
            if (number is < 0 or > int.MaxValue) throw new FormatException($"a run of {number} pixels at character {begin}");
            counts.Add((int)number);
        }
        return [.. counts];
    }
}
