using System.Numerics;

namespace Mamba.Core.Nn;

/// <summary>
/// Eigenvalues and eigenvectors of a real skew-symmetric matrix S: S v = i w v with real w. Householder reflections make S tridiagonal, S =
/// Q T Q^T. With d_k = (-i)^k the matrix diag(d)^* (-i T) diag(d) is real, symmetric and tridiagonal with a diagonal of zeros, and implicit
/// QL solves that (Wilkinson and Reinsch 1971, "tql2").
/// </summary>
internal static class SkewEigen
{
    private const int MaxSweeps = 60;

    /// <summary>All eigenvalues in ascending order.</summary>
    /// <param name="s">(N, N), skew-symmetric; overwritten.</param>
    /// <param name="n">N.</param>
    /// <returns>w (N), and V (N, N) whose columns are unit eigenvectors.</returns>
    public static (double[] Frequencies, Complex[] Vectors) Solve(double[] s, int n)
    {
        double[] q = Tridiagonalize(s, n), off = new double[n], w = new double[n], z = new double[n * n];
        for (int i = 0; i < n; i++) z[i * n + i] = 1;
        for (int i = 0; i + 1 < n; i++) off[i] = s[(i + 1) * n + i];
        ImplicitQl(w, off, z, n);

        int[] order = [.. Enumerable.Range(0, n).OrderBy(i => w[i])];
        Complex[] vectors = new Complex[n * n], phases = [Complex.One, -Complex.ImaginaryOne, -Complex.One, Complex.ImaginaryOne];
        for (int row = 0; row < n; row++)
            for (int column = 0; column < n; column++)
            {
                Complex sum = default;
                for (int k = 0; k < n; k++) sum += q[row * n + k] * z[k * n + order[column]] * phases[k % 4];
                vectors[row * n + column] = sum;
            }
        return ([.. order.Select(i => w[i])], vectors);
    }

    /// <summary>S = Q T Q^T by Householder reflections; T takes the place of S.</summary>
    private static double[] Tridiagonalize(double[] s, int n)
    {
        double[] q = new double[n * n], v = new double[n], sv = new double[n];
        for (int i = 0; i < n; i++) q[i * n + i] = 1;
        for (int k = 0; k + 2 < n; k++)
        {
            double norm = 0;
            for (int i = k + 1; i < n; i++) norm += s[i * n + k] * s[i * n + k];
            norm = Math.Sqrt(norm);
            if (norm == 0) continue;
            Array.Clear(v);
            for (int i = k + 1; i < n; i++) v[i] = s[i * n + k];
            v[k + 1] += Math.CopySign(norm, v[k + 1]);
            double square = 0;
            for (int i = k + 1; i < n; i++) square += v[i] * v[i];
            // H S H with H = I - 2 v v^T / |v|^2. Since v^T S v = 0, that is S - (2 / |v|^2) (S v v^T - v (S v)^T).
            for (int i = k; i < n; i++)
            {
                sv[i] = 0;
                for (int j = k + 1; j < n; j++) sv[i] += s[i * n + j] * v[j];
                sv[i] *= 2 / square;
            }
            for (int i = k; i < n; i++)
                for (int j = k; j < n; j++) s[i * n + j] -= sv[i] * v[j] - v[i] * sv[j];
            for (int i = 0; i < n; i++)
            {
                double dot = 0;
                for (int j = k + 1; j < n; j++) dot += q[i * n + j] * v[j];
                dot *= 2 / square;
                for (int j = k + 1; j < n; j++) q[i * n + j] -= dot * v[j];
            }
        }
        return q;
    }

    /// <summary>Eigenvalues d and vectors z of a symmetric tridiagonal matrix with diagonal d and off-diagonal e.</summary>
    private static void ImplicitQl(double[] d, double[] e, double[] z, int n)
    {
        for (int l = 0; l < n; l++)
            for (int sweep = 0; ; sweep++)
            {
                int m = l;
                while (m + 1 < n && Math.Abs(e[m]) > double.Epsilon + 1e-16 * Magnitude(d, e, n)) m++;
                if (m == l) break;
                if (sweep == MaxSweeps) throw new InvalidOperationException("SkewEigen: the QL iteration does not converge.");
                Sweep(d, e, z, n, l, m);
            }
    }

    private static double Magnitude(double[] d, double[] e, int n)
    {
        double largest = 0;
        for (int i = 0; i < n; i++) largest = Math.Max(largest, Math.Abs(d[i]) + Math.Abs(e[i]));
        return largest;
    }

    /// <summary>One implicit QL sweep with Wilkinson's shift over rows l to m.</summary>
    private static void Sweep(double[] d, double[] e, double[] z, int n, int l, int m)
    {
        double g = (d[l + 1] - d[l]) / (2 * e[l]), r = double.Hypot(g, 1);
        g = d[m] - d[l] + e[l] / (g + Math.CopySign(r, g));
        double sin = 1, cos = 1, p = 0;
        for (int i = m - 1; i >= l; i--)
        {
            double f = sin * e[i], b = cos * e[i];
            r = double.Hypot(f, g);
            e[i + 1] = r;
            if (r == 0) // the matrix splits here
            {
                d[i + 1] -= p;
                e[m] = 0;
                return;
            }
            (sin, cos) = (f / r, g / r);
            g = d[i + 1] - p;
            r = (d[i] - g) * sin + 2 * cos * b;
            p = sin * r;
            d[i + 1] = g + p;
            g = cos * r - b;
            for (int k = 0; k < n; k++)
            {
                double upper = z[k * n + i + 1], lower = z[k * n + i];
                z[k * n + i + 1] = sin * lower + cos * upper;
                z[k * n + i] = cos * lower - sin * upper;
            }
        }
        d[l] -= p;
        e[l] = g;
        e[m] = 0;
    }
}
