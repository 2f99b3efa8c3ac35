using System.Numerics;
using Mamba.Core;

namespace Mamba.Tests.Support;

/// <summary>Linear time-invariant systems as their definitions read, in double precision.</summary>
internal static class LtiReference
{
    /// <summary>Complex numbers from pairs.</summary>
    public static Complex[] Complexes(double[] pairs) =>
        [.. Enumerable.Range(0, pairs.Length / 2).Select(i => new Complex(pairs[2 * i], pairs[2 * i + 1]))];

    public static double[] Pairs(IEnumerable<Complex> numbers) => [.. numbers.SelectMany(x => new[] { x.Real, x.Imaginary })];

    /// <summary>A and B of a scalar system, discretized.</summary>
    public static (Complex A, Complex B) Discretize(Complex a, Complex b, double dt, DiscretizationMethod method, double alpha = 0.25)
    {
        Complex exponential = Complex.Exp(dt * a);
        if (method == DiscretizationMethod.Mamba) return (exponential, dt * b);
        if (method == DiscretizationMethod.ZeroOrderHold) return (exponential, (exponential - 1) / a * b);
        double share = Share(method, alpha);
        return ((1 + (1 - share) * dt * a) / (1 - share * dt * a), dt * b / (1 - share * dt * a));
    }

    /// <summary>The same of a dense system (N, N), (N, P).</summary>
    public static (double[] A, double[] B) Discretize(
        double[] a, double[] b, int n, double dt, DiscretizationMethod method, double alpha = 0.25)
    {
        int p = b.Length / n, m = n + p;
        if (method is DiscretizationMethod.Mamba or DiscretizationMethod.ZeroOrderHold)
        {
            double[] whole = new double[m * m];
            for (int i = 0; i < n; i++)
                for (int j = 0; j < m; j++) whole[i * m + j] = dt * (j < n ? a[i * n + j] : b[i * p + j - n]);
            double[] e = Exponential(whole, m);
            double[] abar = [.. Enumerable.Range(0, n * n).Select(i => e[i / n * m + i % n])];
            return method == DiscretizationMethod.Mamba
                ? (abar, Array.ConvertAll(b, x => dt * x))
                : (abar, [.. Enumerable.Range(0, n * p).Select(i => e[i / p * m + n + i % p])]);
        }
        double share = Share(method, alpha);
        double[] left = new double[n * n], right = new double[n * m];
        for (int i = 0; i < n; i++)
            for (int j = 0; j < m; j++)
            {
                if (j < n) left[i * n + j] = (i == j ? 1 : 0) - share * dt * a[i * n + j];
                right[i * m + j] = j < n ? (i == j ? 1 : 0) + (1 - share) * dt * a[i * n + j] : dt * b[i * p + j - n];
            }
        double[] solved = Solve(left, right, n);
        return ([.. Enumerable.Range(0, n * n).Select(i => solved[i / n * m + i % n])],
            [.. Enumerable.Range(0, n * p).Select(i => solved[i / p * m + n + i % p])]);
    }

    /// <summary>e^A by its series, of A / 2^20 and squared as often.</summary>
    public static double[] Exponential(double[] a, int n)
    {
        const int Squarings = 20;
        double[] small = Array.ConvertAll(a, x => Math.ScaleB(x, -Squarings)), term = Identity(n), sum = Identity(n);
        for (int k = 1; k < 12; k++)
        {
            term = Array.ConvertAll(Multiply(term, small, n, n, n), x => x / k);
            for (int i = 0; i < sum.Length; i++) sum[i] += term[i];
        }
        for (int i = 0; i < Squarings; i++) sum = Multiply(sum, sum, n, n, n);
        return sum;
    }

    public static double[] Multiply(double[] a, double[] b, int m, int k, int n) =>
        Naive.MatMul(a, b, 1, m, k, n, transposeA: false, transposeB: false);

    /// <summary>A^-1 B by Gauss and Jordan.</summary>
    public static double[] Solve(double[] a, double[] b, int n)
    {
        int m = b.Length / n;
        (a, b) = ([.. a], [.. b]);
        for (int k = 0; k < n; k++)
        {
            int pivot = Enumerable.Range(k, n - k).MaxBy(i => Math.Abs(a[i * n + k]));
            for (int j = 0; j < n; j++) (a[k * n + j], a[pivot * n + j]) = (a[pivot * n + j], a[k * n + j]);
            for (int j = 0; j < m; j++) (b[k * m + j], b[pivot * m + j]) = (b[pivot * m + j], b[k * m + j]);
            for (int i = 0; i < n; i++)
            {
                double factor = i == k ? 1 - 1 / a[k * n + k] : a[i * n + k] / a[k * n + k];
                if (factor == 0) continue;
                double[] row = a[(k * n)..(k * n + n)], right = b[(k * m)..(k * m + m)];
                for (int j = 0; j < n; j++) a[i * n + j] -= factor * row[j];
                for (int j = 0; j < m; j++) b[i * m + j] -= factor * right[j];
            }
        }
        return b;
    }

    public static double[] Identity(int n) => [.. Enumerable.Range(0, n * n).Select(i => i % (n + 1) == 0 ? 1.0 : 0)];

    /// <summary>
    /// The dense system over z and conj z of one S4 channel as complex matrices: Abar (2N, 2N) and Bbar (2N), by the bilinear rule.
    /// </summary>
    public static (Complex[] A, Complex[] B) DiscretizeDplr(Complex[] lambda, Complex[] p, Complex[] b, double dt)
    {
        int pairs = lambda.Length, n = 2 * pairs;
        Complex[] l = Doubled(lambda), q = Doubled(p), input = Doubled(b);
        // [I - dt/2 A | I + dt/2 A | dt B].
        int width = 2 * n + 1;
        Complex[] rows = new Complex[n * width];
        for (int i = 0; i < n; i++)
        {
            for (int j = 0; j < n; j++)
            {
                Complex a = (i == j ? l[i] : 0) - q[i] * Complex.Conjugate(q[j]);
                rows[i * width + j] = (i == j ? 1 : 0) - dt / 2 * a;
                rows[i * width + n + j] = (i == j ? 1 : 0) + dt / 2 * a;
            }
            rows[i * width + 2 * n] = dt * input[i];
        }
        Eliminate(rows, n, width);
        return ([.. Enumerable.Range(0, n * n).Select(i => rows[i / n * width + n + i % n])],
            [.. Enumerable.Range(0, n).Select(i => rows[i * width + 2 * n])]);
    }

    /// <summary>Gauss and Jordan: [M | R], n rows of this width, becomes [I | M^-1 R].</summary>
    public static void Eliminate(Complex[] rows, int n, int width)
    {
        for (int k = 0; k < n; k++)
        {
            Complex pivot = rows[k * width + k];
            for (int j = 0; j < width; j++) rows[k * width + j] /= pivot;
            for (int i = 0; i < n; i++)
            {
                Complex factor = rows[i * width + k];
                for (int j = 0; j < width && i != k; j++) rows[i * width + j] -= factor * rows[k * width + j];
            }
        }
    }

    /// <summary>The numbers, and after them their conjugates.</summary>
    public static Complex[] Doubled(Complex[] numbers) => [.. numbers, .. numbers.Select(Complex.Conjugate)];

    private static double Share(DiscretizationMethod method, double alpha) => method switch
    {
        DiscretizationMethod.ForwardEuler => 0,
        DiscretizationMethod.BackwardEuler => 1,
        DiscretizationMethod.Bilinear => 0.5,
        _ => alpha,
    };
}
