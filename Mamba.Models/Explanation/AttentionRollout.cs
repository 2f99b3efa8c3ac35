namespace Mamba.Models.Explanation;

/// <summary>
/// Attention roll-out (Abnar and Zuidema 2020): the product over the layers of A' = (A + I) / 2, where A is the mean over the heads and I
/// stands for the residual connection. One row of the product is a row times a matrix, layer by layer from the last to the first, so no
/// matrix is kept. Keys of a smaller image (SegFormer) stand for the tokens that they were made of: a key's weight is spread over these
/// evenly. Rows sum to 1.
/// </summary>
internal static class AttentionRollout
{
    /// <summary>The row of a token.</summary>
    /// <param name="layers">Layers over one grid, first to last.</param>
    /// <param name="token">Whose row.</param>
    /// <returns>A weight for each token of the first layer's input.</returns>
    public static double[] Row(IReadOnlyList<AttentionTrace> layers, int token)
    {
        double[] row = new double[layers[0].Grid.Tokens];
        row[token] = 1;
        for (int i = layers.Count - 1; i >= 0; i--) row = Through(layers[i], row);
        return row;
    }

    /// <summary>The mean over the heads of softmax(q k^T / sqrt(Dh)), of one query.</summary>
    /// <param name="layer">The attention.</param>
    /// <param name="query">Which token.</param>
    /// <returns>A weight for each key.</returns>
    public static double[] Weights(AttentionTrace layer, int query)
    {
        double[] mean = new double[layer.Keys], scores = new double[layer.Keys];
        int width = layer.Width / layer.Heads;
        for (int head = 0; head < layer.Heads; head++)
        {
            ReadOnlySpan<float> q = layer.Q.AsSpan(query * layer.Width + head * width, width);
            double most = double.NegativeInfinity, sum = 0;
            for (int key = 0; key < scores.Length; key++)
            {
                ReadOnlySpan<float> k = layer.K.AsSpan(key * layer.Width + head * width, width);
                double dot = 0;
                for (int i = 0; i < width; i++) dot += (double)q[i] * k[i];
                scores[key] = dot / Math.Sqrt(width);
                most = Math.Max(most, scores[key]);
            }
            for (int key = 0; key < scores.Length; key++) sum += scores[key] = Math.Exp(scores[key] - most);
            for (int key = 0; key < scores.Length; key++) mean[key] += scores[key] / (sum * layer.Heads);
        }
        return mean;
    }

    private static double[] Through(AttentionTrace layer, double[] row)
    {
        double[] keys = new double[layer.Keys], next = new double[row.Length];
        for (int query = 0; query < row.Length; query++)
        {
            if (row[query] == 0) continue;
            double[] weights = Weights(layer, query);
            for (int key = 0; key < keys.Length; key++) keys[key] += row[query] * weights[key];
        }
        TokenGrid grid = layer.Grid;
        int reduction = (int)Math.Round(Math.Sqrt((double)grid.Tokens / layer.Keys)), across = grid.Width / reduction;
        for (int i = 0; i < next.Length; i++)
        {
            int key = reduction == 1 ? i : i / grid.Width / reduction * across + i % grid.Width / reduction;
            next[i] = 0.5 * row[i] + 0.5 * keys[key] / (reduction * reduction);
        }
        return next;
    }
}
