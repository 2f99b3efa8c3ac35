using System.Text;

namespace Mamba.Core;

/// <summary>The state of a <see cref="RandomStream"/> as a value, which a kernel copies to start at any position.</summary>
internal struct RandomState
{
    private const ulong Increment = 0x9E3779B97F4A7C15;

    private ulong _state;

    /// <summary>A separate stream for each (seed, name).</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="name">The purpose of the numbers.</param>
    public RandomState(ulong seed, ReadOnlySpan<char> name)
    {
        ulong hash = 0xCBF29CE484222325;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune rune in name.EnumerateRunes())
            foreach (byte b in utf8[..rune.EncodeToUtf8(utf8)]) hash = (hash ^ b) * 0x100000001B3;
        _state = Mix(seed + Increment) ^ hash;
    }

    /// <summary>The next 64 random bits.</summary>
    /// <returns>The bits.</returns>
    public ulong NextBits() => Mix(_state += Increment);

    /// <summary>Skips this many of the next numbers of <see cref="NextBits"/>.</summary>
    public void Skip(long numbers) => _state += unchecked((ulong)numbers * Increment);

    /// <summary>Uniform in [0, 1).</summary>
    /// <returns>The number.</returns>
    public double NextDouble() => (NextBits() >> 11) * (1.0 / (1UL << 53));

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
