using Mamba.Core;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>Configuration of <see cref="PositionEmbedding"/>.</summary>
/// <param name="Name">The name of its table.</param>
/// <param name="Grid">Patches per side.</param>
/// <param name="Width">Channels of a token.</param>
/// <param name="Initial">Initial values of the class token and the table.</param>
public sealed record PositionConfig(string Name, int Grid, int Width, Initializer Initial)
{
    /// <summary>Whether the class token is in the middle of the patches, not before them.</summary>
    public bool MiddleClassToken { get; init; }

    /// <summary>Whether PyTorch's shapes start with a batch of 1.</summary>
    public bool BatchDimension { get; init; }

    /// <summary>The number of patches before the class token, for a grid of this many patches per side.</summary>
    internal int ClassToken(int grid) => MiddleClassToken ? grid * grid / 2 : 0;
}

/// <summary>A learned class token among the patches of an image, and a learned position embedding of each token.</summary>
/// <remarks>Weights for another grid can be loaded: the table is resampled.</remarks>
public sealed class PositionEmbedding : IModule
{
    private readonly PositionConfig _config;
    private readonly Tensor _token;
    private readonly Tensor _table;

    /// <summary>Declares <c>cls_token</c> and the table.</summary>
    /// <param name="scope">The embedding's scope.</param>
    /// <param name="config">The configuration.</param>
    public PositionEmbedding(Scope scope, PositionConfig config)
    {
        _config = config;
        int tokens = config.Grid * config.Grid + 1;
        _token = scope.Parameter("cls_token", config.Initial, config.BatchDimension ? [1, 1, config.Width] : [1, config.Width]);
        _table = scope.Parameter(config.Name, config.Initial, config.BatchDimension ? [1, tokens, config.Width] : [tokens, config.Width]);
        scope.Refit(config.Name, shape =>
            GridOf(shape) is { } grid ? (from, to) => Resample(from, grid, to, config.Grid, config.Width, config.ClassToken) : null);
    }

    /// <summary>The index of the class token.</summary>
    public int ClassToken => _config.ClassToken(_config.Grid);

    /// <summary>
    /// Resamples a table from one grid of patches to another, as DeiT and timm before 0.9 did: bicubic, like PyTorch's interpolate without
    /// antialiasing and aligned corners (Keys 1981 with a = -0.75, borders repeated). The row of the class token is kept.
    /// </summary>
    /// <param name="table">(grid grid + 1, width).</param>
    /// <param name="grid">Patches per side of the table.</param>
    /// <param name="result">(resultGrid resultGrid + 1, width).</param>
    /// <param name="resultGrid">Patches per side of the result.</param>
    /// <param name="width">Channels of a token.</param>
    /// <param name="classToken">The number of patches before the class token, given patches per side.</param>
    public static void Resample(
        ReadOnlySpan<float> table, int grid, Span<float> result, int resultGrid, int width, Func<int, int> classToken)
    {
        int classFrom = classToken(grid), classTo = classToken(resultGrid);
        table.Slice(classFrom * width, width).CopyTo(result[(classTo * width)..]);
        (int[] Taps, double[] Weights)[] axis = [.. Enumerable.Range(0, resultGrid).Select(i => Cubic(i, resultGrid, grid))];
        for (int patch = 0; patch < resultGrid * resultGrid; patch++)
        {
            (int[] rows, double[] rowWeights) = axis[patch / resultGrid];
            (int[] columns, double[] columnWeights) = axis[patch % resultGrid];
            Span<float> target = result.Slice((patch < classTo ? patch : patch + 1) * width, width);
            for (int c = 0; c < width; c++)
            {
                double sum = 0;
                for (int y = 0; y < rows.Length; y++)
                    for (int x = 0; x < columns.Length; x++)
                    {
                        int from = rows[y] * grid + columns[x];
                        sum += rowWeights[y] * columnWeights[x] * table[(from < classFrom ? from : from + 1) * width + c];
                    }
                target[c] = (float)sum;
            }
        }
    }

    /// <summary>Inserts the class token and adds the table.</summary>
    /// <param name="patches">(B, Grid Grid, Width).</param>
    /// <returns>(B, Grid Grid + 1, Width).</returns>
    public Tensor Forward(Tensor patches)
    {
        int before = ClassToken, after = patches.Shape[1] - before;
        Tensor token = Ops.Add(Tensor.Zeros(patches.Shape[0], 1, _config.Width), _token); // one per image
        Tensor all = before == 0 ? Ops.Concat([token, patches], axis: 1)
            : Ops.Concat([Ops.Slice(patches, 1, 0, before), token, Ops.Slice(patches, 1, before, after)], axis: 1);
        return Ops.Add(all, _table);
    }

    /// <summary>The grid of a table with this shape; null if it does not fit this model.</summary>
    private int? GridOf(int[] shape)
    {
        ReadOnlySpan<int> extents = shape;
        if (_config.BatchDimension)
        {
            if (extents.Length != 3 || extents[0] != 1) return null;
            extents = extents[1..];
        }
        if (extents.Length != 2 || extents[1] != _config.Width || extents[0] < 2) return null;
        int side = (int)Math.Sqrt(extents[0] - 1);
        return side * side == extents[0] - 1 ? side : null;
    }

    /// <summary>
    /// The four samples nearest to the center of cell i of <paramref name="cells"/>, in a row of <paramref name="count"/>, and their
    /// weights.
    /// </summary>
    private static (int[] Taps, double[] Weights) Cubic(int i, int cells, int count)
    {
        const double A = -0.75;
        double position = (i + 0.5) * count / cells - 0.5;
        int first = (int)Math.Floor(position) - 1;
        int[] taps = new int[4];
        double[] weights = new double[4];
        for (int k = 0; k < 4; k++)
        {
            double x = Math.Abs(position - (first + k));
            taps[k] = Math.Clamp(first + k, 0, count - 1);
            weights[k] = x <= 1 ? ((A + 2) * x - (A + 3)) * x * x + 1 : ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
        }
        return (taps, weights);
    }
}
