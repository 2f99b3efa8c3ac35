using CommunityToolkit.HighPerformance.Buffers;
using Mamba.Core;

namespace Mamba.Models.Data.Augmentation;

/// <summary>
/// A smooth random displacement of each pixel: normal numbers at the nodes of a coarse grid, with cubic B-splines between them. The grid
/// has eight cells along the shorter side.
/// </summary>
internal static class ElasticField
{
    private const int Cells = 8;

    // The mean of the sum of the four squared weights of a cubic B-spline, 151/315. A field in the plane has the product of two of them as
    // its variance, so that nodes of standard deviation 1 make a field of this standard deviation.
    private const double Damping = 151.0 / 315;

    /// <summary>Adds a field to coordinates.</summary>
    /// <param name="sigma">The standard deviation of a displacement along one axis, in pixels.</param>
    /// <param name="random">Where the nodes come from.</param>
    /// <param name="size">Rows and columns.</param>
    /// <param name="to">(Height, Width) coordinates along one axis.</param>
    public static void Add(double sigma, RandomStream random, (int Height, int Width) size, Span<float> to)
    {
        double cell = (double)Math.Min(size.Height, size.Width) / Cells;
        int across = Nodes(size.Width, cell), down = Nodes(size.Height, cell);
        double[] nodes = new double[down * across];
        for (int i = 0; i < nodes.Length; i++) nodes[i] = sigma / Damping * random.NextNormal();

        using SpanOwner<double> owner = SpanOwner<double>.Allocate(down * size.Width);
        Span<double> rows = owner.Span; // of nodes, at all columns
        for (int x = 0; x < size.Width; x++)
        {
            (int first, Weights w) = At(x, cell);
            for (int row = 0; row < down; row++) rows[row * size.Width + x] = w.Of(nodes, row * across + first, 1);
        }
        for (int y = 0, at = 0; y < size.Height; y++)
        {
            (int first, Weights w) = At(y, cell);
            for (int x = 0; x < size.Width; x++) to[at++] += (float)w.Of(rows, first * size.Width + x, size.Width);
        }
    }

    /// <summary>A node more before the first cell, and one more after the end of the last.</summary>
    private static int Nodes(int size, double cell) => (int)((size - 0.5) / cell) + 4;

    private static (int First, Weights Weights) At(int pixel, double cell)
    {
        double place = (pixel + 0.5) / cell, t = place - Math.Floor(place), u = 1 - t;
        double b = (3 * t * t * t - 6 * t * t + 4) / 6, c = (3 * u * u * u - 6 * u * u + 4) / 6;
        return ((int)place, new Weights(u * u * u / 6, b, c, t * t * t / 6));
    }

    /// <summary>The weights of four nodes in a row.</summary>
    private readonly record struct Weights(double A, double B, double C, double D)
    {
        public double Of(ReadOnlySpan<double> values, int first, int stride) =>
            A * values[first] + B * values[first + stride] + C * values[first + 2 * stride] + D * values[first + 3 * stride];
    }
}
