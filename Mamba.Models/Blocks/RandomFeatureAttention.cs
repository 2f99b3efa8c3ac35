using Mamba.Core;
using Mamba.Core.Memory;
using Mamba.Core.Nn;

namespace Mamba.Models.Blocks;

/// <summary>
/// Self-attention by random features (FAVOR+, Choromanski et al. 2021), linear in the tokens. The directions are a buffer,
/// <c>projection_matrix</c>, shared by all heads as in performer-pytorch. They are sampled once; performer-pytorch resamples them
/// periodically in training.
/// </summary>
internal sealed class RandomFeatureAttention : IModule
{
    private readonly int _heads;
    private readonly FavorOptions _options;
    private readonly Tensor _projection;

    /// <summary>Declares <c>projection_matrix</c>.</summary>
    public RandomFeatureAttention(Scope scope, int heads, int headWidth, int features, FavorKernel kernel)
    {
        if (features < 1) throw new ArgumentException($"features is {features}, expected a positive number", nameof(features));
        (_heads, _options) = (heads, new FavorOptions { Kernel = kernel });
        _projection = scope.Buffer("projection_matrix", (values, random) => Orthogonal(values, headWidth, random), features, headWidth);
    }

    /// <summary>Attends between the tokens of each image.</summary>
    /// <param name="x">(B, L, 3 heads head width): queries, keys and values.</param>
    /// <returns>(B, L, heads head width).</returns>
    public Tensor Forward(Tensor x)
    {
        using MemoryScope memory = new();
        int width = x.Shape[2] / 3;
        TensorList parts = Ops.Split(x, width, width, width);
        return memory.Return(Ops.FavorAttention(parts[0], parts[1], parts[2], _projection, _heads, _options));
    }

    /// <summary>
    /// Directions of the paper's section 3.3: blocks of orthogonal rows, with the lengths of normal random rows. Their products have less
    /// variance than those of independent rows.
    /// </summary>
    /// <param name="values">(features, width).</param>
    /// <param name="width">Channels of a head.</param>
    /// <param name="random">The random stream of the buffer.</param>
    internal static void Orthogonal(Span<float> values, int width, RandomStream random)
    {
        double[] block = new double[width * width], lengths = new double[width];
        for (int from = 0; from < values.Length; from += block.Length)
        {
            for (int row = 0; row < width; row++) lengths[row] = Normal(block.AsSpan(row * width, width), random);
            for (int row = 0; row < width; row++) Normal(block.AsSpan(row * width, width), random);
            Orthonormalize(block, width);
            int count = Math.Min(block.Length, values.Length - from);
            for (int i = 0; i < count; i++) values[from + i] = (float)(block[i] * lengths[i / width]);
        }
    }

    /// <summary>Fills a row with normal numbers; returns its Euclidean norm.</summary>
    private static double Normal(Span<double> row, RandomStream random)
    {
        double squares = 0;
        foreach (ref double value in row)
        {
            value = random.NextNormal();
            squares += value * value;
        }
        return Math.Sqrt(squares);
    }

    /// <summary>Gram-Schmidt on the rows in order; twice, to remove rounding errors.</summary>
    private static void Orthonormalize(double[] rows, int width)
    {
        for (int i = 0; i < width; i++)
        {
            Span<double> row = rows.AsSpan(i * width, width);
            for (int pass = 0; pass < 2; pass++)
                for (int j = 0; j < i; j++)
                {
                    ReadOnlySpan<double> other = rows.AsSpan(j * width, width);
                    double product = Product(row, other);
                    for (int k = 0; k < width; k++) row[k] -= product * other[k];
                }
            double length = Math.Sqrt(Product(row, row));
            foreach (ref double value in row) value /= length;
        }
    }

    private static double Product(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        double sum = 0;
        for (int i = 0; i < a.Length; i++) sum += a[i] * b[i];
        return sum;
    }
}
