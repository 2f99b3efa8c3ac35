using System.Numerics;

namespace Mamba.Core.Kernels.Spectral;

/// <summary>Factorizations of lengths: supported lengths, the order of their stages, and the split of long transforms.</summary>
internal static class FftLength
{
    /// <summary>Complex points of a transform done in one piece: 16 KiB at 512 bits, half of L1.</summary>
    private const nint LongestPiece = 128;

    /// <summary>Complex points of the transforms in Bluestein's algorithm: a power of two.</summary>
    public static nint ForChirp(nint length) => (nint)BitOperations.RoundUpToPowerOf2((ulong)(2 * length - 1));

    /// <summary>Whether 2, 3 and 5 are the only prime factors.</summary>
    public static bool IsSmooth(nint length)
    {
        foreach (nint prime in (ReadOnlySpan<nint>)[2, 3, 5])
            while (length % prime == 0) length /= prime;
        return length == 1;
    }

    /// <summary>
    /// The radices of the stages of decimation in frequency, first to last. The last stage has no twiddle factors, so the largest radix
    /// saves most there. One stage of radix 8 makes an odd number of levels even.
    /// </summary>
    public static int[] Radices(nint length)
    {
        (int fives, int threes, int twos, int fours, int eights) = Stages(length);
        return
        [
            .. Enumerable.Repeat(5, fives), .. Enumerable.Repeat(3, threes), .. Enumerable.Repeat(2, twos), .. Enumerable.Repeat(4, fours),
            .. Enumerable.Repeat(8, eights),
        ];
    }

    /// <summary>The bin at each position after the stages, whose results come in digit-reversed order.</summary>
    public static int[] OrderOf(nint length)
    {
        int[] order = new int[length];
        int stride = 1;
        nint block = length;
        foreach (int radix in Radices(length))
        {
            block /= radix;
            for (int i = 0; i < length; i++) order[i] += (int)(i / block % radix) * stride;
            stride *= radix;
        }
        return order;
    }

    /// <summary>
    /// Columns of the matrix, columns times rows, that holds a transform: 1 for a short one, otherwise the divisor nearest to the square
    /// root.
    /// </summary>
    public static nint Columns(nint length)
    {
        if (length <= LongestPiece) return 1;
        nint columns = (nint)Math.Sqrt(length);
        while (length % columns != 0) columns--;
        return columns;
    }

    /// <summary>
    /// The cheapest even number of real points, at least <paramref name="least"/>, whose half has only the prime factors 2, 3 and 5.
    /// </summary>
    public static nint Good(nint least)
    {
        nint best = 0;
        double lowest = double.PositiveInfinity;
        nint half = Math.Max(1, (least + 1) / 2);
        for (nint five = 1; five < 2 * half; five *= 5)
            for (nint three = five; three < 2 * half; three *= 3)
            {
                nint length = three;
                while (length < half) length *= 2;
                double cost = Cost(length);
                if (cost < lowest || (cost == lowest && length < best)) (best, lowest) = (length, cost);
            }
        return 2 * best;
    }

    /// <summary>Cost of a transform, in stages of radix 4, plus two for the passes over memory.</summary>
    private static double Cost(nint length)
    {
        (int fives, int threes, int twos, int fours, int eights) = Stages(length);
        return length * (2 + 1.6 * fives + threes + 0.7 * twos + fours + 1.5 * eights);
    }

    /// <summary>The number of stages of each radix for a length.</summary>
    private static (int Fives, int Threes, int Twos, int Fours, int Eights) Stages(nint length)
    {
        int fives = 0, threes = 0;
        for (; length % 5 == 0; length /= 5) fives++;
        for (; length % 3 == 0; length /= 3) threes++;
        int levels = (int)nint.Log2(length), odd = levels % 2, eights = levels >= 3 ? odd : 0;
        return (fives, threes, odd - eights, (levels - 3 * eights) / 2, eights);
    }
}
