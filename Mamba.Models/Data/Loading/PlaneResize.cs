using CommunityToolkit.HighPerformance.Buffers;

namespace Mamba.Models.Data.Loading;

/// <summary>
/// Resizes rows of interleaved channels, columns first and rows then. A pixel is a weighted sum of those near its center, with a triangle
/// as the filter. Antialiased, the triangle is as wide as the reduction.
/// </summary>
internal static class PlaneResize
{
    /// <summary>The first source pixel of each pixel, and the weights of it and its followers.</summary>
    private sealed record Axis(int[] First, float[][] Weights);

    public static void Run(
        ReadOnlySpan<float> from, (int Height, int Width) size, Span<float> to, (int Height, int Width) toSize, int channels,
        Resampling resampling)
    {
        Axis across = Of(size.Width, toSize.Width, resampling), down = Of(size.Height, toSize.Height, resampling);
        int stride = toSize.Width * channels;
        using SpanOwner<float> narrowed = SpanOwner<float>.Allocate(size.Height * stride);
        Span<float> rows = narrowed.Span;
        for (int y = 0, at = 0; y < size.Height; y++)
        {
            ReadOnlySpan<float> row = from.Slice(y * size.Width * channels, size.Width * channels);
            for (int x = 0; x < toSize.Width; x++)
            {
                float[] weights = across.Weights[x];
                for (int c = 0; c < channels; c++)
                {
                    float sum = 0;
                    for (int k = 0, source = across.First[x] * channels + c; k < weights.Length; k++, source += channels)
                        sum += weights[k] * row[source];
                    rows[at++] = sum;
                }
            }
        }
        for (int y = 0; y < toSize.Height; y++)
        {
            Span<float> target = to.Slice(y * stride, stride);
            target.Clear();
            float[] weights = down.Weights[y];
            for (int k = 0; k < weights.Length; k++)
            {
                ReadOnlySpan<float> row = rows.Slice((down.First[y] + k) * stride, stride);
                for (int i = 0; i < stride; i++) target[i] += weights[k] * row[i];
            }
        }
    }

    private static Axis Of(int sourceSize, int size, Resampling resampling)
    {
        int[] first = new int[size];
        float[][] weights = new float[size][];
        double step = (double)sourceSize / size, reach = resampling == Resampling.Antialias ? Math.Max(1, step) : 1;
        for (int i = 0; i < size; i++)
        {
            double center = (i + 0.5) * step;
            // Without antialiasing, a center beyond the border pixels' centers takes the border pixel alone: so does the filter,
            // normalized.
            int low = Math.Max(0, (int)(center - reach + 0.5)), high = Math.Min(sourceSize, (int)(center + reach + 0.5));
            double[] filter = [.. Enumerable.Range(low, high - low).Select(k => Math.Max(0, 1 - Math.Abs((k + 0.5 - center) / reach)))];
            double sum = filter.Sum();
            (first[i], weights[i]) = (low, Array.ConvertAll(filter, w => (float)(w / sum)));
        }
        return new Axis(first, weights);
    }
}
