using System.Text;

namespace Mamba.Core;

/// <summary>
/// Random numbers determined by a seed and a name: SplitMix64 (Steele et al. 2014) from the FNV-1a hash of both. The same on every machine, and
/// independent of the order in which streams are used.
/// </summary>
public struct RandomStream
{
    private const ulong Increment = 0x9E3779B97F4A7C15;

    private ulong _state;
    private double? _spare;

    /// <summary>A stream of its own for each (seed, name).</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="name">What the numbers are for.</param>
    public RandomStream(ulong seed, ReadOnlySpan<char> name)
    {
        ulong hash = 0xCBF29CE484222325;
        Span<byte> utf8 = stackalloc byte[4];
        foreach (Rune rune in name.EnumerateRunes())
            foreach (byte b in utf8[..rune.EncodeToUtf8(utf8)]) hash = (hash ^ b) * 0x100000001B3;
        _state = Mix(seed + Increment) ^ hash;
        _spare = null;
    }

    /// <summary>The next 64 random bits.</summary>
    /// <returns>The bits.</returns>
    public ulong NextBits() => Mix(_state += Increment);

    /// <summary>Passes over so many of the next numbers of <see cref="NextBits"/>, or of what takes one of them each.</summary>
    internal void Skip(long numbers) => _state += unchecked((ulong)numbers * Increment);

    /// <summary>Uniform in [0, 1).</summary>
    /// <returns>The number.</returns>
    public double NextDouble() => (NextBits() >> 11) * (1.0 / (1UL << 53));

    /// <summary>Uniform in [low, high).</summary>
    /// <param name="low">The least.</param>
    /// <param name="high">The bound above.</param>
    /// <returns>The number.</returns>
    public double NextDouble(double low, double high) => low + (high - low) * NextDouble();

    /// <summary>Uniform among 0 to count - 1.</summary>
    /// <param name="count">How many; at least 1.</param>
    /// <returns>The number.</returns>
    public int NextInt(int count) => (int)Math.BigMul(NextBits(), (ulong)count, out _);

    /// <summary>Standard normal (Marsaglia's polar method).</summary>
    /// <returns>The number.</returns>
    public double NextNormal()
    {
        if (_spare is { } spare)
        {
            _spare = null;
            return spare;
        }
        double u, v, s;
        do
        {
            u = NextDouble(-1, 1);
            v = NextDouble(-1, 1);
            s = u * u + v * v;
        }
        while (s is >= 1 or 0);
        double factor = Math.Sqrt(-2 * Math.Log(s) / s);
        _spare = v * factor;
        return u * factor;
    }

    /// <summary>Beta distributed: x / (x + y) of two gamma distributed numbers x and y.</summary>
    /// <param name="a">The shape of x, from 1e-100 to 1e100.</param>
    /// <param name="b">The shape of y, likewise.</param>
    /// <returns>A number from 0 to 1.</returns>
    /// <exception cref="ArgumentOutOfRangeException">A shape is out of its range.</exception>
    public double NextBeta(double a, double b)
    {
        double x = NextLogGamma(a), y = NextLogGamma(b);
        return 1 / (1 + Math.Exp(y - x));
    }

    /// <summary>
    /// The logarithm, since a small shape gives numbers below the least double. Marsaglia and Tsang's method (2000) draws for the shape plus one, and a
    /// power of a uniform number takes the one off.
    /// </summary>
    private double NextLogGamma(double shape)
    {
        if (shape is not (>= 1e-100 and <= 1e100)) throw new ArgumentOutOfRangeException(nameof(shape), shape, "RandomStream: expected a shape from 1e-100 to 1e100.");
        double d = shape + 2.0 / 3, c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            double normal = NextNormal(), root = 1 + c * normal, v = root * root * root;
            if (root > 0 && Math.Log(1 - NextDouble()) < 0.5 * normal * normal + d - d * v + d * Math.Log(v))
                return Math.Log(d * v) + Math.Log(1 - NextDouble()) / shape;
        }
    }

    /// <summary>Puts a list into random order (Fisher and Yates).</summary>
    /// <param name="items">The list.</param>
    /// <typeparam name="T">Of anything.</typeparam>
    public void Shuffle<T>(Span<T> items)
    {
        for (int i = items.Length - 1; i > 0; i--)
        {
            int j = NextInt(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
        return z ^ (z >> 31);
    }
}
