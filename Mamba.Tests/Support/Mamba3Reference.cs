namespace Mamba.Tests.Support;

/// <summary>The sizes of a Mamba-3 scan and its inputs.</summary>
internal sealed record Mamba3Size(int Batch, int Length, int Heads, int Groups, int States, int Values, int Turned, bool Shared = false)
{
    /// <summary>
    /// Q, K, V, A dt, dt, Trap, the biases of Q and K, angles, D, Z; then the state: angles, S, key, value. Decays and steps have the sign
    /// that they need.
    /// </summary>
    public Mamba.Core.Tensor[] Inputs() =>
    [
        Numbers.Random(11, Batch, Length, Groups, States), Numbers.Random(12, Batch, Length, Groups, States),
        Numbers.Random(13, Batch, Length, Heads, Values), Numbers.Uniform(14, -2f, -0.05f, Batch, Length, Heads),
        Numbers.Uniform(15, 0.05f, 1f, Batch, Length, Heads), Numbers.Random(16, Batch, Length, Heads),
        Numbers.Random(17, Heads, States), Numbers.Random(18, Heads, States),
        Numbers.Random(19, Batch, Length, Shared ? 1 : Heads, Turned), Numbers.Random(20, Heads),
        Numbers.Random(21, Batch, Length, Heads, Values), Numbers.Random(22, Batch, Heads, Turned),
        Numbers.Random(23, Batch, Heads, States, Values), Numbers.Random(24, Batch, Heads, States),
        Numbers.Random(25, Batch, Heads, Values),
    ];
}

/// <summary>The scan of Mamba-3 in double precision, as the paper has it: the state itself, both terms of the trapezoid.</summary>
/// <param name="Output">(B, L, H, P).</param>
/// <param name="Angles">(B, H, S), in [0, 2 pi).</param>
/// <param name="Ssm">(B, H, N, P).</param>
/// <param name="Key">(B, H, N).</param>
/// <param name="Value">(B, H, P).</param>
internal sealed record Mamba3Reference(double[] Output, double[] Angles, double[] Ssm, double[] Key, double[] Value)
{
    public double[][] All => [Output, Angles, Ssm, Key, Value];

    /// <param name="s">The sizes.</param>
    /// <param name="x">As <see cref="Mamba3Size.Inputs"/>.</param>
    public static Mamba3Reference Of(Mamba3Size s, double[][] x)
    {
        double[] y = new double[s.Batch * s.Length * s.Heads * s.Values];
        double[] angles = (double[])x[11].Clone(), ssm = (double[])x[12].Clone(), key = (double[])x[13].Clone();
        double[] value = (double[])x[14].Clone();
        for (int b = 0; b < s.Batch; b++)
            for (int h = 0; h < s.Heads; h++)
                for (int t = 0; t < s.Length; t++) Step(b, h, t);
        for (int i = 0; i < angles.Length; i++) angles[i] -= Math.Floor(angles[i] / (2 * Math.PI)) * 2 * Math.PI;
        return new Mamba3Reference(y, angles, ssm, key, value);

        void Step(int b, int h, int t)
        {
            int place = b * s.Heads + h, token = (b * s.Length + t) * s.Heads + h;
            int group = (b * s.Length + t) * s.Groups + h / (s.Heads / s.Groups);
            double dt = x[4][token], lambda = 1 / (1 + Math.Exp(-x[5][token])), decay = Math.Exp(x[3][token]);
            for (int j = 0; j < s.Turned; j++)
                angles[place * s.Turned + j] +=
                    Math.PI * dt * Math.Tanh(x[8][(s.Shared ? b * s.Length + t : token) * s.Turned + j]);
            double[] q = Turned(x[0], x[6]), k = Turned(x[1], x[7]);
            for (int p = 0; p < s.Values; p++)
            {
                double v = x[2][token * s.Values + p], sum = x[9][h] * v, z = x[10][token * s.Values + p];
                for (int n = 0; n < s.States; n++)
                {
                    ref double state = ref ssm[(place * s.States + n) * s.Values + p];
                    state = decay * state + (1 - lambda) * dt * decay * value[place * s.Values + p] * key[place * s.States + n]
                        + lambda * dt * v * k[n];
                    sum += state * q[n];
                }
                y[token * s.Values + p] = sum * z / (1 + Math.Exp(-z));
            }
            for (int p = 0; p < s.Values; p++) value[place * s.Values + p] = x[2][token * s.Values + p];
            k.CopyTo(key, place * s.States);

            double[] Turned(double[] raw, double[] bias)
            {
                double[] u = [.. Enumerable.Range(0, s.States).Select(n => raw[group * s.States + n] + bias[h * s.States + n])];
                for (int j = 0; j < s.Turned; j++)
                {
                    (double sin, double cos) = Math.SinCos(angles[place * s.Turned + j]);
                    (u[2 * j], u[2 * j + 1]) = (cos * u[2 * j] - sin * u[2 * j + 1], sin * u[2 * j] + cos * u[2 * j + 1]);
                }
                return u;
            }
        }
    }
}
