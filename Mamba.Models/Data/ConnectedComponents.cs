namespace Mamba.Models.Data;

/// <summary>
/// The connected regions of a class. Pixels are neighbors if they share a side or a corner (8-connectivity), so that a diagonal line is one
/// region. One pass over the rows joins runs of pixels that touch (union-find); memory grows with the number of runs, not of pixels.
/// </summary>
public static class ConnectedComponents
{
    /// <summary>The sizes of the regions of a class.</summary>
    /// <param name="classes">(Height, Width) values in row-major order.</param>
    /// <param name="width">Columns.</param>
    /// <param name="value">The value of the pixels in question.</param>
    /// <returns>The pixels of each region, in the order of their first rows.</returns>
    /// <exception cref="ArgumentException">The pixels do not fill rows of this width.</exception>
    public static IReadOnlyList<int> Areas(ReadOnlySpan<byte> classes, int width, byte value)
    {
        if (width < 1 || classes.Length % width != 0)
            throw new ArgumentException($"ConnectedComponents: {classes.Length} pixels in rows of {width}; expected full rows.");
        Forest regions = new();
        List<Run> above = [], row = [];
        for (int start = 0; start < classes.Length; start += width)
        {
            FindRuns(classes.Slice(start, width), value, above, row, regions);
            (above, row) = (row, above);
        }
        return regions.Areas();
    }

    /// <summary>The pixels of the largest region of a class; 0 if there is none.</summary>
    /// <inheritdoc cref="Areas"/>
    public static int Largest(ReadOnlySpan<byte> classes, int width, byte value) => Areas(classes, width, value).DefaultIfEmpty(0).Max();

    /// <summary>Finds the runs of a row, and joins each with those above that it touches.</summary>
    private static void FindRuns(ReadOnlySpan<byte> pixels, byte value, List<Run> above, List<Run> row, Forest regions)
    {
        row.Clear();
        for (int x = 0, first = 0; x < pixels.Length; x++)
        {
            if (pixels[x] != value) continue;
            int begin = x;
            while (x < pixels.Length && pixels[x] == value) x++;
            int region = regions.Add(x - begin);
            while (first < above.Count && above[first].End < begin) first++;
            // The last of those above that this run touches may reach over to the next run, too, so that it is not passed.
            for (int i = first; i < above.Count && above[i].Begin <= x; i++) regions.Join(above[i].Region, region);
            row.Add(new Run(begin, x, region));
        }
    }

    /// <summary>Pixels from Begin to End - 1 of a row.</summary>
    private readonly record struct Run(int Begin, int End, int Region);

    /// <summary>Disjoint sets with path halving; the older region of two becomes the root.</summary>
    private sealed class Forest
    {
        private readonly List<int> _parents = [], _areas = [];

        public int Add(int area)
        {
            _parents.Add(_parents.Count);
            _areas.Add(area);
            return _parents.Count - 1;
        }

        public void Join(int a, int b)
        {
            (a, b) = (Root(a), Root(b));
            if (a == b) return;
            (int root, int joined) = (Math.Min(a, b), Math.Max(a, b));
            _parents[joined] = root;
            _areas[root] += _areas[joined];
        }

        public IReadOnlyList<int> Areas() => [.. Enumerable.Range(0, _parents.Count).Where(i => _parents[i] == i).Select(i => _areas[i])];

        private int Root(int i)
        {
            while (_parents[i] != i) i = _parents[i] = _parents[_parents[i]];
            return i;
        }
    }
}
