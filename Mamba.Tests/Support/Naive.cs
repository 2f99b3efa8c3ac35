namespace Mamba.Tests.Support;

/// <summary>
/// The operators as their definitions read, in double precision: images (B, H, W, C), sequences (B, L, C), weights as in PyTorch.
/// </summary>
internal static class Naive
{
    /// <summary>y = x weight^T + bias: x (rows, inputs), weight (outputs, inputs).</summary>
    public static double[] Linear(double[] x, double[] weight, double[]? bias, int inputs, int outputs)
    {
        int rows = x.Length / inputs;
        double[] y = new double[rows * outputs];
        for (int r = 0; r < rows; r++)
            for (int o = 0; o < outputs; o++)
            {
                double sum = bias?[o] ?? 0;
                for (int i = 0; i < inputs; i++) sum += x[r * inputs + i] * weight[o * inputs + i];
                y[r * outputs + o] = sum;
            }
        return y;
    }

    /// <summary>Batches of (m, k) times (k, n), either stored transposed.</summary>
    public static double[] MatMul(double[] a, double[] b, int batch, int m, int k, int n, bool transposeA, bool transposeB)
    {
        double[] c = new double[batch * m * n];
        for (int s = 0; s < batch; s++)
            for (int i = 0; i < m; i++)
                for (int j = 0; j < n; j++)
                    for (int l = 0; l < k; l++)
                        c[(s * m + i) * n + j] += a[s * m * k + (transposeA ? l * m + i : i * k + l)]
                            * b[s * k * n + (transposeB ? j * k + l : l * n + j)];
        return c;
    }

    /// <summary>The sizes of a two-dimensional convolution.</summary>
    public sealed record Convolution(
        int Batch, int Height, int Width, int Inputs, int Outputs, int KernelHeight, int KernelWidth, int StrideY, int StrideX,
        int PaddingY, int PaddingX,
        int DilationY, int DilationX, int Groups)
    {
        /// <summary>Padding at the bottom and to the right beyond that at the top and to the left.</summary>
        public (int Rows, int Columns) Extra { get; init; }

        public int OutHeight => (Height + 2 * PaddingY + Extra.Rows - DilationY * (KernelHeight - 1) - 1) / StrideY + 1;

        public int OutWidth => (Width + 2 * PaddingX + Extra.Columns - DilationX * (KernelWidth - 1) - 1) / StrideX + 1;
    }

    /// <summary>Convolution of x (B, H, W, Inputs) with weight (Outputs, Inputs / Groups, Kh, Kw).</summary>
    public static double[] Conv2d(double[] x, double[] weight, double[]? bias, Convolution s)
    {
        double[] y = new double[s.Batch * s.OutHeight * s.OutWidth * s.Outputs];
        Walk(s, (input, output, w) => y[output] += x[input] * weight[w]);
        for (int i = 0; i < y.Length; i++) y[i] += bias?[i % s.Outputs] ?? 0;
        return y;
    }

    /// <summary>
    /// The same convolution transposed: x (B, OutHeight, OutWidth, Outputs) to (B, Height, Width, Inputs), the bias by input channel.
    /// </summary>
    public static double[] ConvTranspose2d(double[] x, double[] weight, double[]? bias, Convolution s)
    {
        double[] y = new double[s.Batch * s.Height * s.Width * s.Inputs];
        Walk(s, (input, output, w) => y[input] += x[output] * weight[w]);
        for (int i = 0; i < y.Length; i++) y[i] += bias?[i % s.Inputs] ?? 0;
        return y;
    }

    /// <summary>
    /// (x - mean) / sqrt(variance + eps) weight + bias, where elements of the same statistic (a function of their index) share mean and
    /// variance, and the last dimension is the channel.
    /// </summary>
    public static double[] Normalize(
        double[] x, Func<int, int> statistic, double[]? weight, double[]? bias, int channels, double eps = 1e-5, bool center = true)
    {
        var groups = Enumerable.Range(0, x.Length).GroupBy(statistic).ToDictionary(g => g.Key, g =>
        {
            double mean = center ? g.Average(i => x[i]) : 0;
            return (Mean: mean, Rstd: 1 / Math.Sqrt(g.Average(i => (x[i] - mean) * (x[i] - mean)) + eps));
        });
        return
        [
            .. x.Select((v, i) =>
                (v - groups[statistic(i)].Mean) * groups[statistic(i)].Rstd * (weight?[i % channels] ?? 1) + (bias?[i % channels] ?? 0)),
        ];
    }

    /// <summary>Softmax of rows.</summary>
    public static double[] Softmax(double[] x, int columns)
    {
        double[] y = new double[x.Length];
        for (int row = 0; row < x.Length; row += columns)
        {
            double max = x.AsSpan(row, columns).ToArray().Max(), sum = 0;
            for (int i = row; i < row + columns; i++) sum += y[i] = Math.Exp(x[i] - max);
            for (int i = row; i < row + columns; i++) y[i] /= sum;
        }
        return y;
    }

    /// <summary>Attention of q, k and v side by side: (B, L, 3 H Dh).</summary>
    public static double[] SelfAttention(double[] qkv, int batch, int length, int heads, int dh)
    {
        double[] Part(int part) => [.. qkv.Chunk(3 * heads * dh).SelectMany(token => token.Skip(part * heads * dh).Take(heads * dh))];
        return Attention(Part(0), Part(1), Part(2), batch, length, length, heads, dh, dh);
    }

    /// <summary>Attention by heads: q (B, Lq, H Dh), k (B, Lk, H Dh), v (B, Lk, H Dv).</summary>
    public static double[] Attention(double[] q, double[] k, double[] v, int batch, int lq, int lk, int heads, int dh, int dv)
    {
        double[] y = new double[batch * lq * heads * dv];
        for (int b = 0; b < batch; b++)
            for (int h = 0; h < heads; h++)
                for (int i = 0; i < lq; i++)
                {
                    double[] scores = new double[lk];
                    for (int j = 0; j < lk; j++)
                        for (int d = 0; d < dh; d++)
                            scores[j] += q[((b * lq + i) * heads + h) * dh + d] * k[((b * lk + j) * heads + h) * dh + d] / Math.Sqrt(dh);
                    scores = Softmax(scores, lk);
                    for (int j = 0; j < lk; j++)
                        for (int d = 0; d < dv; d++)
                            y[((b * lq + i) * heads + h) * dv + d] += scores[j] * v[((b * lk + j) * heads + h) * dv + d];
                }
        return y;
    }

    private static void Walk(Convolution s, Action<int, int, int> visit)
    {
        int perGroup = s.Inputs / s.Groups, outPerGroup = s.Outputs / s.Groups;
        for (int b = 0; b < s.Batch; b++)
            for (int oy = 0; oy < s.OutHeight; oy++)
                for (int ox = 0; ox < s.OutWidth; ox++)
                    for (int ky = 0; ky < s.KernelHeight; ky++)
                        for (int kx = 0; kx < s.KernelWidth; kx++)
                        {
                            int y = oy * s.StrideY - s.PaddingY + ky * s.DilationY, x = ox * s.StrideX - s.PaddingX + kx * s.DilationX;
                            if (y < 0 || y >= s.Height || x < 0 || x >= s.Width) continue;
                            for (int co = 0; co < s.Outputs; co++)
                                for (int ci = 0; ci < perGroup; ci++)
                                    visit(
                                        ((b * s.Height + y) * s.Width + x) * s.Inputs + co / outPerGroup * perGroup + ci,
                                        ((b * s.OutHeight + oy) * s.OutWidth + ox) * s.Outputs + co,
                                        ((co * perGroup + ci) * s.KernelHeight + ky) * s.KernelWidth + kx);
                        }
    }
}
