using System.Text;

namespace Mamba.Core;

/// <summary>
/// Random numbers determined by a seed and a name: SplitMix64 (Steele et al. 2014) seeded by the FNV-1a hash of both. The same on every
/// machine, and independent of the order in which streams are used.
/// </summary>
public sealed class RandomStream
{
    private RandomState _state;
    private double? _spare;

    /// <summary>A separate stream for each (seed, name).</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="name">The purpose of the numbers.</param>
    public RandomStream(ulong seed, ReadOnlySpan<char> name) => _state = new RandomState(seed, name);

    /// <summary>Restarts as another stream, without an allocation.</summary>
    /// <param name="seed">The seed of the run.</param>
    /// <param name="name">The purpose of the numbers.</param>
    public void Restart(ulong seed, ReadOnlySpan<char> name) => (_state, _spare) = (new RandomState(seed, name), null);

    /// <summary>The next 64 random bits.</summary>
    /// <returns>The bits.</returns>
    public ulong NextBits() => _state.NextBits();

    /// <summary>Skips the next numbers, and returns the state before them.</summary>
    internal RandomState Take(long numbers)
    {
        RandomState start = _state;
        _state.Skip(numbers);
        return start;
    }

    /// <summary>Uniform in [0, 1).</summary>
    /// <returns>The number.</returns>
    public double NextDouble() => _state.NextDouble();

    /// <summary>Uniform in [low, high).</summary>
    /// <param name="low">The lower bound, included.</param>
    /// <param name="high">The upper bound, excluded.</param>
    /// <returns>The number.</returns>
    public double NextDouble(double low, double high) => low + (high - low) * NextDouble();

    /// <summary>Uniform among 0 to count - 1.</summary>
    /// <param name="count">The number of values; at least 1.</param>
    /// <returns>The number.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The count is not positive.</exception>
    public int NextInt(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        return (int)Math.BigMul(NextBits(), (ulong)count, out _);
    }

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

    /// <summary>Beta distributed: x / (x + y) for two gamma distributed numbers x and y.</summary>
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
    /// The logarithm, since a small shape gives values below the smallest double. Marsaglia and Tsang's method (2000) samples for shape +
    /// 1; a power of a uniform number corrects the shape.
    /// </summary>
    private double NextLogGamma(double shape)
    {
        if (shape is not (>= 1e-100 and <= 1e100))
            throw new ArgumentOutOfRangeException(nameof(shape), shape, "RandomStream: expected a shape from 1e-100 to 1e100.");
        double d = shape + 2.0 / 3, c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            double normal = NextNormal(), root = 1 + c * normal, v = root * root * root;
            if (root > 0 && Math.Log(1 - NextDouble()) < 0.5 * normal * normal + d - d * v + d * Math.Log(v))
                return Math.Log(d * v) + Math.Log(1 - NextDouble()) / shape;
        }
    }

    /// <summary>Shuffles a list (Fisher and Yates).</summary>
    /// <param name="items">The list.</param>
    /// <typeparam name="T">Any type.</typeparam>
    public void Shuffle<T>(Span<T> items)
    {
        for (int i = items.Length - 1; i > 0; i--)
        {
            int j = NextInt(i + 1);
            (items[i], items[j]) = (items[j], items[i]);
        }
    }
}
