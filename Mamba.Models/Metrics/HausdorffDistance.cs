using Mamba.Models.Data;

namespace Mamba.Models.Metrics;

/// <summary>
/// The 95th percentile of the distance between the outlines of two regions of a picture, or of a volume. The outline of a region is its
/// pixels with a neighbor (4 in a picture, 6 in a volume) that does not belong to it; beyond the border nothing does. The distance from an
/// outline to the other is measured at each of its pixels, to the nearest pixel of the other. The value is the larger of the 95th
/// percentiles (linear interpolation, as numpy's) of both directions, as in MONAI.
/// </summary>
/// <remarks>
/// The nearest pixels come from an exact Euclidean distance transform (Felzenszwalb and Huttenlocher 2012) in three passes: distances
/// across slices, then lower envelopes of parabolas down each column and along each row. It takes time proportional to the box around both
/// regions.
/// </remarks>
public static class HausdorffDistance
{
    private const double Percentile = 0.95;

    // Farther than any slice, and far enough from overflow.
    private const int Nowhere = int.MaxValue / 4;

    /// <summary>Measures two regions of a picture.</summary>
    /// <param name="first">(Height, Width): other than 0 inside the one.</param>
    /// <param name="second">The same size: other than 0 inside the other.</param>
    /// <param name="height">Rows.</param>
    /// <param name="width">Columns.</param>
    /// <returns>The distance in pixels; NaN where a region is empty.</returns>
    /// <exception cref="ArgumentException">The numbers of pixels do not fit the size.</exception>
    public static double Measure(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, int height, int width) =>
        Measure(first, second, (1, height, width), VoxelSpacing.One);

    /// <summary>Measures two regions of a volume. A volume of one slice is a picture.</summary>
    /// <param name="first">(Slices, Height, Width): other than 0 inside the one.</param>
    /// <param name="second">The same size: other than 0 inside the other.</param>
    /// <param name="size">Slices, rows and columns.</param>
    /// <param name="spacing">How far voxels are apart.</param>
    /// <returns>The distance in the unit of the spacing; NaN where a region is empty.</returns>
    /// <exception cref="ArgumentException">The numbers of voxels do not fit the size, or a spacing is not positive.</exception>
    public static double Measure(
        ReadOnlySpan<byte> first, ReadOnlySpan<byte> second, (int Slices, int Height, int Width) size, VoxelSpacing spacing)
    {
        if (first.Length != (long)size.Slices * size.Height * size.Width || second.Length != first.Length)
            throw new ArgumentException(
                $"HausdorffDistance: regions of {first.Length} and {second.Length} pixels for {size.Slices} x {size.Height} x "
                    + $"{size.Width}; expected as many.");
        if (!(spacing is { Slice: > 0, Row: > 0, Column: > 0 }))
            throw new ArgumentException($"HausdorffDistance: {spacing}; expected positive distances.");
        List<Voxel> one = Outline(first, size), other = Outline(second, size);
        return one.Count == 0 || other.Count == 0 ? double.NaN
            : Math.Max(Directed(one, other, spacing), Directed(other, one, spacing));
    }

    /// <summary>The outline's voxels, slice by slice and row by row.</summary>
    private static List<Voxel> Outline(ReadOnlySpan<byte> region, (int Slices, int Height, int Width) size)
    {
        (int slices, int height, int width) = size;
        List<Voxel> outline = [];
        for (int row = 0; row < slices * height; row++)
        {
            (int z, int y) = (row / height, row % height);
            ReadOnlySpan<byte> values = region.Slice(row * width, width);
            for (int x = values.IndexOfAnyExcept((byte)0); (uint)x < (uint)width; x++)
            {
                if (values[x] == 0) continue;
                int i = row * width + x, plane = height * width;
                bool inner = y > 0 && x > 0 && y < height - 1 && x < width - 1
                    && region[i - width] != 0 && region[i + width] != 0 && region[i - 1] != 0 && region[i + 1] != 0
                    && (slices == 1 || (z > 0 && z < slices - 1 && region[i - plane] != 0 && region[i + plane] != 0));
                if (!inner) outline.Add(new Voxel(z, y, x));
            }
        }
        return outline;
    }

    /// <summary>The percentile of the distances from each voxel of an outline to the nearest of another.</summary>
    private static double Directed(List<Voxel> from, List<Voxel> to, VoxelSpacing spacing)
    {
        Voxel low = new(Math.Min(from[0].Z, to[0].Z), Least(p => p.Y), Least(p => p.X));
        int height = Most(p => p.Y) - low.Y + 1, width = Most(p => p.X) - low.X + 1;
        int[] across = SliceDistances(to, low, (Math.Max(from[^1].Z, to[^1].Z) - low.Z + 1, height, width));
        double[] distances = new double[from.Count], plane = new double[height * width];
        Envelope rows = new(width, spacing.Column);
        for (int i = 0, z = -1, y = -1; i < from.Count; i++)
        {
            Voxel at = new(from[i].Z - low.Z, from[i].Y - low.Y, from[i].X - low.X);
            if (at.Z != z)
            {
                (z, y) = (at.Z, -1);
                FillPlane(across.AsSpan(z * plane.Length, plane.Length), plane, height, spacing);
            }
            if (at.Y != y) rows.Build(plane.AsSpan((y = at.Y) * width, width));
            distances[i] = Math.Sqrt(rows.At(at.X));
        }
        Array.Sort(distances);
        double position = Percentile * (distances.Length - 1);
        int below = (int)position, above = Math.Min(below + 1, distances.Length - 1);
        return distances[below] + (distances[above] - distances[below]) * (position - below);

        int Least(Func<Voxel, int> of) => Math.Min(from.Min(of), to.Min(of));
        int Most(Func<Voxel, int> of) => Math.Max(from.Max(of), to.Max(of));
    }

    /// <summary>Of each voxel, the number of slices to the nearest point at its row and column.</summary>
    private static int[] SliceDistances(List<Voxel> points, Voxel low, (int Slices, int Height, int Width) box)
    {
        int plane = checked(box.Height * box.Width);
        int[] distances = new int[checked(box.Slices * plane)];
        distances.AsSpan().Fill(Nowhere);
        foreach (Voxel p in points) distances[(p.Z - low.Z) * plane + (p.Y - low.Y) * box.Width + p.X - low.X] = 0;
        for (int i = plane; i < distances.Length; i++) distances[i] = Math.Min(distances[i], distances[i - plane] + 1);
        for (int i = distances.Length - plane - 1; i >= 0; i--) distances[i] = Math.Min(distances[i], distances[i + plane] + 1);
        return distances;
    }

    /// <summary>Of each pixel of a slice, the squared distance to the nearest point of its column, in any slice.</summary>
    private static void FillPlane(ReadOnlySpan<int> across, double[] plane, int height, VoxelSpacing spacing)
    {
        int width = plane.Length / height;
        double[] column = new double[height];
        Envelope columns = new(height, spacing.Row);
        for (int x = 0; x < width; x++)
        {
            for (int y = 0; y < height; y++)
            {
                double distance = across[y * width + x] * spacing.Slice;
                column[y] = across[y * width + x] >= Nowhere ? double.PositiveInfinity : distance * distance;
            }
            columns.Build(column);
            for (int y = 0; y < height; y++) plane[y * width + x] = columns.At(y);
        }
    }

    private readonly record struct Voxel(int Z, int Y, int X);

    /// <summary>The lower envelope of the parabolas s^2 (x - q)^2 + h(q) along an axis whose pixels are s apart.</summary>
    private sealed class Envelope(int size, double spacing)
    {
        private readonly double _squared = spacing * spacing;
        private readonly int[] _apex = new int[size];
        private readonly double[] _height = new double[size], _from = new double[size];
        private int _count, _at;

        /// <summary>Takes h; infinite where there is no parabola.</summary>
        public void Build(ReadOnlySpan<double> heights)
        {
            (_count, _at) = (0, 0);
            for (int q = 0; q < heights.Length; q++)
            {
                if (double.IsInfinity(heights[q])) continue;
                double from = double.NegativeInfinity;
                // With a spacing of 1, numerators are whole numbers below 2^53, and no crossing is rounded to another pixel.
                while (_count > 0 && (from = Crossing(q, heights[q], _count - 1)) <= _from[_count - 1]) _count--;
                if (_count == 0) from = double.NegativeInfinity;
                (_apex[_count], _height[_count], _from[_count]) = (q, heights[q], from);
                _count++;
            }
        }

        /// <summary>The value at x, infinite without a parabola; calls between two builds are in rising order of x.</summary>
        public double At(int x)
        {
            if (_count == 0) return double.PositiveInfinity;
            while (_at + 1 < _count && _from[_at + 1] <= x) _at++;
            double across = x - _apex[_at];
            return _squared * (across * across) + _height[_at];
        }

        private double Crossing(int q, double height, int last)
        {
            double apex = _apex[last];
            return (height - _height[last] + _squared * ((double)q * q - apex * apex)) / (2 * _squared * (q - apex));
        }
    }
}
