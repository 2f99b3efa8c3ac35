using Mamba.Core;

namespace Mamba.Tests.Support;

/// <summary>Reproducible numbers for tests.</summary>
internal static class Numbers
{
    /// <summary>Values in [low, high), a function of the seed alone.</summary>
    public static float[] Uniform(int count, int seed, float low = -1f, float high = 1f)
    {
        float[] values = new float[count];
        ulong state = (ulong)seed * 0x9E3779B97F4A7C15 + 1;
        for (int i = 0; i < count; i++)
        {
            ulong z = state += 0x9E3779B97F4A7C15;
            z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
            z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
            z ^= z >> 31;
            values[i] = low + (high - low) * ((z >> 40) * (1f / (1 << 24)));
        }
        return values;
    }

    /// <summary>A tensor of <see cref="Uniform(int, int, float, float)"/> values.</summary>
    public static Tensor Uniform(int seed, float low, float high, params ReadOnlySpan<int> shape) =>
        Tensor.From(Uniform(new Shape(shape).Count, seed, low, high), shape);

    /// <summary>A tensor of values in [-1, 1).</summary>
    public static Tensor Random(int seed, params ReadOnlySpan<int> shape) => Uniform(seed, -1f, 1f, shape);

    public static double[] ToDouble(this Tensor tensor) => Array.ConvertAll(tensor.Span.ToArray(), x => (double)x);
}
