using System.Collections.Concurrent;

namespace Mamba.Tests.Support;

/// <summary>Elements of row-major arrays by their indices, as slowly and as plainly as they come.</summary>
internal static class Elements
{
    // Where the operands of each element are, by shapes: a check by finite differences asks some seventy times.
    private static readonly ConcurrentDictionary<string, int[][]> s_sources = new();

    /// <summary>The indices of an element.</summary>
    public static int[] Of(int element, int[] shape)
    {
        int[] indices = new int[shape.Length];
        for (int d = shape.Length - 1; d >= 0; d--) (element, indices[d]) = Math.DivRem(element, shape[d]);
        return indices;
    }

    /// <summary>The element at some indices; where the shape has extent 1 it repeats, and missing dimensions are in front.</summary>
    public static int At(ReadOnlySpan<int> indices, int[] shape)
    {
        int element = 0;
        for (int d = 0; d < shape.Length; d++)
            element = element * shape[d] + (shape[d] == 1 ? 0 : indices[indices.Length - shape.Length + d]);
        return element;
    }

    /// <summary>The broadcast shape.</summary>
    public static int[] Broadcast(params int[][] shapes)
    {
        int rank = shapes.Max(s => s.Length);
        return
        [
            .. Enumerable.Range(0, rank).Select(d =>
                shapes.Select(s => d < rank - s.Length ? 1 : s[d - rank + s.Length]).Aggregate((a, b) => a == 1 ? b : a)),
        ];
    }

    /// <summary>A function of arrays of some shapes, element by element under broadcasting.</summary>
    public static double[] Broadcast(double[][] x, Func<double[], double> function, params int[][] shapes)
    {
        int[][] sources = s_sources.GetOrAdd(string.Join(';', shapes.Select(s => string.Join(',', s))), _ => Sources(shapes));
        double[] y = new double[sources.Length], operands = new double[x.Length];
        for (int e = 0; e < y.Length; e++)
        {
            for (int i = 0; i < operands.Length; i++) operands[i] = x[i][sources[e][i]];
            y[e] = function(operands);
        }
        return y;
    }

    /// <inheritdoc cref="Broadcast(double[][], Func{double[], double}, int[][])"/>
    public static double[] Broadcast(double[][] x, Func<double, double, double> function, int[] a, int[] b) =>
        Broadcast(x, v => function(v[0], v[1]), a, b);

    /// <summary>What is left of an array, element by element of the result, when the given dimensions are reduced.</summary>
    public static double[] Reduce(double[] x, int[] shape, int[] axes, Func<double[], double> function)
    {
        int[] result = [.. shape.Select((e, d) => axes.Contains(d) ? 1 : e)];
        int[][] members = s_sources.GetOrAdd(
            $"{string.Join(',', shape)} by {string.Join(',', axes)}",
            _ => [.. Enumerable.Range(0, x.Length).GroupBy(e => At(Of(e, shape), result)).OrderBy(g => g.Key).Select(g => g.ToArray())]);
        return [.. members.Select(group => function(Array.ConvertAll(group, e => x[e])))];
    }

    private static int[][] Sources(int[][] shapes)
    {
        int[] result = Broadcast(shapes);
        return
        [
            .. Enumerable.Range(0, result.Aggregate(1, (n, e) => n * e))
                .Select(e => Array.ConvertAll(shapes, shape => At(Of(e, result), shape))),
        ];
    }
}
