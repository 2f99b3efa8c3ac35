using Mamba.Core;
using Mamba.Models.Explanation;
using Mamba.Tests.Support;

namespace Mamba.Tests.Models;

/// <summary>Roll-out of a row against products of whole matrices.</summary>
internal sealed class AttentionRolloutTests
{
    [TestCase(3, 4, null, 1), TestCase(3, 4, 6, 1), TestCase(3, 4, 0, 1), TestCase(4, 8, null, 2), TestCase(4, 4, null, 4)]
    public void A_row_is_that_of_the_product_of_the_layers_and_sums_to_one(int height, int width, int? classToken, int reduction)
    {
        TokenGrid grid = new(height, width, classToken);
        AttentionTrace[] layers = [.. Enumerable.Range(0, 3).Select(i => Layer(grid, reduction, seed: 10 * i))];
        double[][] product = Identity(grid.Tokens);
        foreach (AttentionTrace layer in layers) product = Times(Mixed(layer, reduction), product);
        for (int token = 0; token < grid.Tokens; token++)
        {
            double[] row = AttentionRollout.Row(layers, token);
            Assert.That(row, Is.EqualTo(product[token]).Within(1e-12), $"token {token}");
            Assert.That(row.Sum(), Is.EqualTo(1).Within(1e-12));
        }
    }

    [Test]
    public void The_weights_are_those_of_the_operator()
    {
        const int Heads = 2, Tokens = 5;
        Tensor q = Numbers.Uniform(1, -2, 2, 1, Tokens, 6), k = Numbers.Uniform(2, -2, 2, 1, Tokens, 6);
        Tensor v = Tensor.Zeros(1, Tokens, Heads * Tokens); // each head's values are the identity, so its result is its weights
        for (int i = 0; i < Tokens; i++)
            for (int head = 0; head < Heads; head++) v.Span[i * Heads * Tokens + head * Tokens + i] = 1;
        Tensor y = Ops.Attention(q, k, v, Heads);
        ModelTrace trace = new();
        trace.Attention("layer", q, k, Heads);
        for (int i = 0; i < Tokens; i++)
        {
            double[] expected = new double[Tokens];
            for (int c = 0; c < Heads * Tokens; c++) expected[c % Tokens] += y.Span[i * Heads * Tokens + c] / (double)Heads;
            Assert.That(AttentionRollout.Weights(trace.Attentions[0], i), Is.EqualTo(expected).Within(1e-6));
        }
    }

    private static AttentionTrace Layer(TokenGrid grid, int reduction, int seed)
    {
        const int Width = 6;
        int keys = grid.Tokens / (reduction * reduction);
        return new AttentionTrace
        {
            Layer = "layer",
            Grid = grid,
            Heads = 2,
            Keys = keys,
            Width = Width,
            Q = Numbers.Uniform(grid.Tokens * Width, seed + 1, -2f, 2f),
            K = Numbers.Uniform(keys * Width, seed + 2, -2f, 2f),
        };
    }

    /// <summary>(A + I) / 2 with the columns of A spread over the tokens.</summary>
    private static double[][] Mixed(AttentionTrace layer, int reduction)
    {
        double[][] result = Identity(layer.Grid.Tokens);
        for (int i = 0; i < result.Length; i++)
        {
            double[] weights = AttentionRollout.Weights(layer, i);
            for (int j = 0; j < result.Length; j++)
            {
                int y = j / layer.Grid.Width, x = j % layer.Grid.Width;
                int key = reduction == 1 ? j : y / reduction * (layer.Grid.Width / reduction) + x / reduction;
                result[i][j] = (result[i][j] + weights[key] / (reduction * reduction)) / 2;
            }
        }
        return result;
    }

    private static double[][] Identity(int size) =>
        [.. Enumerable.Range(0, size).Select(i => Enumerable.Range(0, size).Select(j => i == j ? 1.0 : 0).ToArray())];

    private static double[][] Times(double[][] a, double[][] b) =>
        [.. a.Select(row => Enumerable.Range(0, b[0].Length).Select(j => row.Select((v, k) => v * b[k][j]).Sum()).ToArray())];
}
