using System.Buffers;

namespace Mamba.Models.Data.Labels;

/// <summary>Fills polygons in a map of classes.</summary>
public static class PolygonFill
{
    /// <summary>Coordinates are at most this far from 0.</summary>
    public const double MaxCoordinate = 1e9;

    /// <summary>
    /// Gives a value to each pixel whose center is inside the polygon by the even-odd rule: a ray from it crosses the outline an odd number
    /// of times. The pixel in column c and row r has its center at (c + 0.5, r + 0.5). A center on the outline belongs to the polygon that
    /// is to the right of it, or below, so that polygons which share an edge neither overlap nor leave a gap. The last corner is joined to
    /// the first. What is outside of the map is cut off.
    /// </summary>
    /// <remarks>
    /// An edge crosses a row of centers in one place. There, the parity of all pixels to the right changes: it is enough to flip the first
    /// of them, and then to sum along the row.
    /// </remarks>
    /// <param name="map">height * width classes, in rows.</param>
    /// <param name="width">Columns.</param>
    /// <param name="height">Rows.</param>
    /// <param name="xy">Corners x0, y0, x1, y1, ... in pixels, from the upper left corner of the map.</param>
    /// <param name="value">What to fill with.</param>
    /// <exception cref="ArgumentException">
    /// The map has another size, there are fewer than three corners, or a coordinate is not a number up to <see cref="MaxCoordinate"/>.
    /// </exception>
    public static void Fill(Span<byte> map, int width, int height, ReadOnlySpan<double> xy, byte value)
    {
        Check(map, width, height, xy);
        (int top, int bottom) = Rows(xy, height);
        if (top >= bottom) return;
        byte[] flips = ArrayPool<byte>.Shared.Rent((bottom - top) * width);
        try
        {
            Span<byte> parity = flips.AsSpan(0, (bottom - top) * width);
            parity.Clear();
            for (int i = 0; i < xy.Length; i += 2)
            {
                int next = i + 2 < xy.Length ? i + 2 : 0;
                bool down = xy[i + 1] <= xy[next + 1];
                (int from, int to) = down ? (i, next) : (next, i); // both polygons at an edge compute the same crossings
                Cross(parity, width, top, bottom, (xy[from], xy[from + 1]), (xy[to], xy[to + 1]));
            }
            for (int row = 0; row < bottom - top; row++)
            {
                int inside = 0;
                for (int column = 0, at = row * width; column < width; column++, at++)
                    if ((inside ^= parity[at]) != 0) map[top * width + at] = value;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(flips);
        }
    }

    /// <summary>Flips the first pixel to the right of an edge in each row that it crosses.</summary>
    private static void Cross(
        Span<byte> parity, int width, int top, int bottom, (double X, double Y) upper, (double X, double Y) lower)
    {
        int first = Math.Max(top, Center(upper.Y)), end = Math.Min(bottom, Center(lower.Y));
        (double dx, double dy) = (lower.X - upper.X, lower.Y - upper.Y);
        for (int row = first; row < end; row++)
        {
            int column = Math.Max(0, Center(upper.X + (row + 0.5 - upper.Y) * dx / dy)); // divided last, so that centers on an edge are met
            if (column < width) parity[(row - top) * width + column] ^= 1;
        }
    }

    /// <summary>The rows whose centers are between the highest and the lowest corner, as far as the map has them.</summary>
    private static (int Top, int Bottom) Rows(ReadOnlySpan<double> xy, int height)
    {
        double low = double.PositiveInfinity, high = double.NegativeInfinity;
        for (int i = 1; i < xy.Length; i += 2) (low, high) = (Math.Min(low, xy[i]), Math.Max(high, xy[i]));
        return (Math.Max(0, Center(low)), Math.Min(height, Center(high)));
    }

    /// <summary>The first pixel whose center is not before a coordinate.</summary>
    private static int Center(double coordinate) => (int)Math.Ceiling(coordinate - 0.5);

    private static void Check(ReadOnlySpan<byte> map, int width, int height, ReadOnlySpan<double> xy)
    {
        if (width < 1 || height < 1 || (long)width * height != map.Length)
            throw new ArgumentException($"PolygonFill: {map.Length} pixels for {width} x {height}; expected as many.");
        if (xy.Length < 6 || xy.Length % 2 != 0)
            throw new ArgumentException($"PolygonFill: {xy.Length} coordinates; expected pairs of three corners or more.");
        foreach (double coordinate in xy)
            if (!(Math.Abs(coordinate) <= MaxCoordinate))
                throw new ArgumentException($"PolygonFill: coordinate {coordinate}; expected a number up to {MaxCoordinate}.");
    }
}
