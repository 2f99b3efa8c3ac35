using Mamba.Core;
using Mamba.Tests.Models;

namespace Mamba.Tests.Support;

/// <summary>Small scans with a bright block, in place of a lesion, and their masks.</summary>
internal static class Volumes
{
    public const int X = 16, Y = 20, Z = 6;

    /// <summary>A scan in numbers like those of a CT; each seed has another.</summary>
    public static byte[] Scan(int seed, bool big = false)
    {
        RandomStream random = new((ulong)seed, "scan");
        bool[] inside = Block(seed);
        double[] values = [.. inside.Select(lesion => Math.Round(random.NextDouble(-100, 100)) + (lesion ? 700 : 0))];
        return NiftiSamples.File(new NiftiSamples.Spec { Dimensions = [3, X, Y, Z, 1, 1, 1, 1], Big = big }, values);
    }

    /// <summary>The mask of <see cref="Scan"/>: 0 and another value.</summary>
    public static byte[] Mask(int seed, int value = 1) => NiftiSamples.File(
        new NiftiSamples.Spec { Type = 2, Dimensions = [3, X, Y, Z, 1, 1, 1, 1] },
        [.. Block(seed).Select(lesion => lesion ? (double)value : 0)]);

    private static bool[] Block(int seed)
    {
        bool[] inside = new bool[X * Y * Z];
        for (int z = 0, i = 0; z < Z; z++)
            for (int y = 0; y < Y; y++)
                for (int x = 0; x < X; x++, i++) inside[i] = Math.Abs(x - 5 - seed % 6) < 4 && Math.Abs(y - 9) < 4 && z is > 0 and < 4;
        return inside;
    }
}
