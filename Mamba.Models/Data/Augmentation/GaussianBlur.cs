using System.Numerics;
using System.Runtime.InteropServices;
using CommunityToolkit.HighPerformance.Buffers;

namespace Mamba.Models.Data.Augmentation;

/// <summary>Means of neighbors, weighted by a Gaussian up to three standard deviations; border pixels are repeated outside.</summary>
/// <param name="Sigma">The standard deviation in pixels; 0 changes nothing.</param>
internal readonly record struct GaussianBlur(double Sigma) : ISampleOperation
{
    public Image Apply(Image from) => Sigma == 0 ? from : Samples.Apply(from, this);

    /// <inheritdoc/>
    public T[] Apply<T>(T[] from, int width, int height) where T : unmanaged, IBinaryInteger<T>, IMinMaxValue<T>
    {
        float[] kernel = Kernel();
        int reach = kernel.Length / 2, channels = from.Length / (width * height), stride = width * channels;
        using SpanOwner<float> blurred = SpanOwner<float>.Allocate(from.Length),
            line = SpanOwner<float>.Allocate(stride + 2 * reach * channels);
        Span<float> rows = blurred.Span, padded = line.Span;
        for (int y = 0; y < height; y++)
        {
            for (int i = 0; i < padded.Length; i++)
            {
                int x = Math.Clamp(i / channels - reach, 0, width - 1);
                padded[i] = float.CreateTruncating(from[y * stride + x * channels + i % channels]);
            }
            Span<float> row = rows.Slice(y * stride, stride);
            row.Clear();
            for (int k = 0; k < kernel.Length; k++) Accumulate(padded.Slice(k * channels, stride), kernel[k], row);
        }

        T[] to = new T[from.Length];
        Span<float> sum = padded[..stride];
        for (int y = 0; y < height; y++)
        {
            sum.Clear();
            for (int k = 0; k < kernel.Length; k++)
                Accumulate(rows.Slice(Math.Clamp(y + k - reach, 0, height - 1) * stride, stride), kernel[k], sum);
            for (int i = 0; i < stride; i++) to[y * stride + i] = T.CreateSaturating(sum[i] + 0.5f);
        }
        return to;
    }

    private float[] Kernel()
    {
        int reach = (int)Math.Ceiling(3 * Sigma);
        double[] weights = new double[2 * reach + 1];
        for (int i = 0; i < weights.Length; i++) weights[i] = Math.Exp(-0.5 * Math.Pow((i - reach) / Sigma, 2));
        double sum = weights.Sum();
        return Array.ConvertAll(weights, weight => (float)(weight / sum));
    }

    /// <summary>to += weight * from. Each number is rounded as by itself, so that the width of the vectors changes no bit.</summary>
    private static void Accumulate(ReadOnlySpan<float> from, float weight, Span<float> to)
    {
        ReadOnlySpan<Vector<float>> source = MemoryMarshal.Cast<float, Vector<float>>(from);
        Span<Vector<float>> target = MemoryMarshal.Cast<float, Vector<float>>(to);
        for (int i = 0; i < target.Length; i++) target[i] += weight * source[i];
        for (int i = target.Length * Vector<float>.Count; i < to.Length; i++) to[i] += weight * from[i];
    }
}
