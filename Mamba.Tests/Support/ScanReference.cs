namespace Mamba.Tests.Support;

/// <summary>The selective scan of one sequence and its derivatives, written down in double precision.</summary>
/// <param name="Output">(L, D).</param>
/// <param name="Last">(D, N), the state after the last token.</param>
/// <param name="Gradients">Of sum(output * cotangent) by u, delta, A, B, C, D, z, delta bias and initial state.</param>
internal sealed record ScanReference(double[] Output, double[] Last, double[][] Gradients)
{
    /// <param name="x">u, delta (L, D); A (D, N); B, C (L, N); D (D); z (L, D); delta bias (D); initial state (D, N).</param>
    /// <param name="cotangent">(L, D).</param>
    /// <param name="length">L.</param>
    /// <param name="channels">D.</param>
    /// <param name="states">N.</param>
    /// <param name="softplus">Whether dt = softplus(delta + bias), or the sum.</param>
    public static ScanReference Of(float[][] x, float[] cotangent, int length, int channels, int states, bool softplus)
    {
        (
            float[] u, float[] delta, float[] a, float[] b, float[] c, float[] skip, float[] z,
            float[] bias) = (x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7]);
        int perToken = channels * states;
        double[] y = new double[length * channels], h = new double[(length + 1) * perToken]; // h[t] stands before token t
        for (int i = 0; i < perToken; i++) h[i] = x[8][i];
        double[] sums = new double[length * channels];
        for (int t = 0; t < length; t++)
            for (int d = 0; d < channels; d++)
            {
                int i = t * channels + d;
                double dt = Step(i, d);
                sums[i] = (double)skip[d] * u[i];
                for (int n = 0; n < states; n++)
                {
                    int at = t * perToken + d * states + n;
                    h[at + perToken] = Math.Exp(dt * a[d * states + n]) * h[at] + dt * b[t * states + n] * u[i];
                    sums[i] += c[t * states + n] * h[at + perToken];
                }
                y[i] = sums[i] * z[i] * Sigmoid(z[i]);
            }

        double[][] g = [.. x.Select(values => new double[values.Length])];
        double[] dh = g[8]; // what is left of it before the first token
        for (int t = length - 1; t >= 0; t--)
            for (int d = 0; d < channels; d++)
            {
                int i = t * channels + d;
                double dt = Step(i, d), gate = Sigmoid(z[i]), dsum = cotangent[i] * z[i] * gate, ddt = 0;
                g[6][i] = cotangent[i] * sums[i] * gate * (1 + z[i] * (1 - gate));
                g[5][d] += dsum * u[i];
                g[0][i] += dsum * skip[d];
                for (int n = 0; n < states; n++)
                {
                    int s = d * states + n, at = t * perToken + s, bc = t * states + n;
                    double decay = Math.Exp(dt * a[s]);
                    dh[s] += dsum * c[bc];
                    g[4][bc] += dsum * h[at + perToken];
                    ddt += dh[s] * (a[s] * decay * h[at] + (double)b[bc] * u[i]);
                    g[2][s] += dh[s] * dt * decay * h[at];
                    g[3][bc] += dh[s] * dt * u[i];
                    g[0][i] += dh[s] * dt * b[bc];
                    dh[s] *= decay;
                }
                g[1][i] = softplus ? ddt * Sigmoid((double)delta[i] + bias[d]) : ddt;
                g[7][d] += g[1][i];
            }
        return new ScanReference(y, h[^perToken..], g);

        double Step(int i, int d) => softplus ? Math.Log(1 + Math.Exp((double)delta[i] + bias[d])) : (double)delta[i] + bias[d];

        static double Sigmoid(double v) => 1 / (1 + Math.Exp(-v));
    }
}
