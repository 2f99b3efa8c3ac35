namespace Mamba.Models.Metrics;

/// <summary>
/// The 95th percentile of the distance between the outlines of two regions, in pixels. The outline of a region is its pixels with a pixel
/// above, below, on the left or on the right that does not belong to it; beyond the border of the image nothing does. The distance from an
/// outline to the other is measured at each of its pixels, to the nearest pixel of the other. The value is the larger of the 95th
/// percentiles (linear interpolation, as numpy's) of both directions, as in MONAI.
/// </summary>
/// <remarks>
/// The nearest pixels come from an exact Euclidean distance transform (Felzenszwalb and Huttenlocher 2012): distances down each column,
/// then the lower envelope of parabolas along each row. It takes time proportional to the rectangle around both regions.
/// </remarks>
public static class HausdorffDistance
{
    private const double Percentile = 0.95;

    // Farther than any pixel, and far enough from overflow.
    private const int Nowhere = int.MaxValue / 4;

    /// <summary>Measures two regions.</summary>
    /// <param name="first">(Height, Width): other than 0 inside the one.</param>
    /// <param name="second">The same size: other than 0 inside the other.</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <returns>The distance; NaN where a region is empty.</returns>
    /// <exception cref="ArgumentException">The numbers of pixels do not fit the size.</exception>
    public static double Measure(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int height, int width)
    {
        if (first.Length != (long)height * width || second.Length != first.Length)
            throw new ArgumentException(
                $"HausdorffDistance: regions of {first.Length} and {second.Length} pixels for {height} x {width}; expected as many.");
        List<(int Y, int X)> one = Outline(first, height, width), other = Outline(second, height, width);
        return one.Count == 0 || other.Count == 0 ? double.NaN : Math.Max(Directed(one, other), Directed(other, one));
    }

    /// <summary>The outline's pixels, row by row.</summary>
    private static List<(int Y, int X)> Outline(ReadOnlySpan<byte> region, int height, int width)
    {
        List<(int, int)> outline = [];
        for (int y = 0; y < height; y++)
        {
            ReadOnlySpan<byte> row = region.Slice(y * width, width);
            for (int x = row.IndexOfAnyExcept((byte)0); (uint)x < (uint)width; x++)
            {
                if (row[x] == 0) continue;
                int i = y * width + x;
                bool inner = y > 0 && x > 0 && y < height - 1 && x < width - 1
                    && region[i - width] != 0 && region[i + width] != 0 && region[i - 1] != 0 && region[i + 1] != 0;
                if (!inner) outline.Add((y, x));
            }
        }
        return outline;
    }

    /// <summary>The percentile of the distances from each pixel of an outline to the nearest of another.</summary>
    private static double Directed(List<(int Y, int X)> from, List<(int Y, int X)> to)
    {
        int top = Math.Min(from[0].Y, to[0].Y), height = Math.Max(from[^1].Y, to[^1].Y) - top + 1;
        int left = Math.Min(from.Min(p => p.X), to.Min(p => p.X)), width = Math.Max(from.Max(p => p.X), to.Max(p => p.X)) - left + 1;
        int[] columns = ColumnDistances(to, top, left, height, width);
        double[] distances = new double[from.Count];
        Envelope envelope = new(width);
        for (int i = 0, row = -1; i < from.Count; i++)
        {
            if (from[i].Y - top != row) envelope.Build(columns.AsSpan((row = from[i].Y - top) * width, width));
            distances[i] = Math.Sqrt(envelope.At(from[i].X - left));
        }
        Array.Sort(distances);
        double position = Percentile * (distances.Length - 1);
        int low = (int)position, high = Math.Min(low + 1, distances.Length - 1);
        return distances[low] + (distances[high] - distances[low]) * (position - low);
    }

    /// <summary>The distance of each pixel to the nearest point of its own column.</summary>
    private static int[] ColumnDistances(List<(int Y, int X)> points, int top, int left, int height, int width)
    {
        int[] distances = new int[checked(height * width)];
        distances.AsSpan().Fill(Nowhere);
        foreach ((int y, int x) in points) distances[(y - top) * width + x - left] = 0;
        for (int i = width; i < distances.Length; i++) distances[i] = Math.Min(distances[i], distances[i - width] + 1);
        for (int i = distances.Length - width - 1; i >= 0; i--) distances[i] = Math.Min(distances[i], distances[i + width] + 1);
        return distances;
    }

    /// <summary>The lower envelope of the parabolas (x - q)^2 + d(q)^2 of a row.</summary>
    private sealed class Envelope(int width)
    {
        private readonly int[] _apex = new int[width];
        private readonly long[] _height = new long[width];
        private readonly double[] _from = new double[width];
        private int _count, _at;

        public void Build(ReadOnlySpan<int> distances)
        {
            (_count, _at) = (0, 0);
            for (int q = 0; q < distances.Length; q++)
            {
                if (distances[q] >= Nowhere) continue;
                long height = (long)distances[q] * distances[q];
                double from = double.NegativeInfinity;
                // Numerators are whole numbers below 2^53: a parabola that starts at a pixel is told apart from one that starts beside it.
                while (_count > 0 && (from = Crossing(q, height, _count - 1)) <= _from[_count - 1]) _count--;
                if (_count == 0) from = double.NegativeInfinity;
                (_apex[_count], _height[_count], _from[_count]) = (q, height, from);
                _count++;
            }
        }

        /// <summary>The squared distance at x; calls between two builds are in rising order of x.</summary>
        public long At(int x)
        {
            while (_at + 1 < _count && _from[_at + 1] <= x) _at++;
            long across = x - _apex[_at];
            return across * across + _height[_at];
        }

        private double Crossing(int q, long height, int last)
        {
            long apex = _apex[last];
            return (double)(height + (long)q * q - _height[last] - apex * apex) / (2 * (q - apex));
        }
    }
}
