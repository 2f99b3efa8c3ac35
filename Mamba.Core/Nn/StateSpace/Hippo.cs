using System.Numerics;

namespace Mamba.Core.Nn;

/// <summary>The window and basis in which a HiPPO memory approximates the past of a signal (Gu et al. 2020, section 2.3).</summary>
public enum HippoMeasure
{
    /// <summary>Legendre polynomials over the whole past, rescaled to its length. The memory divides A and B by t.</summary>
    LegS,

    /// <summary>Legendre polynomials over a sliding window, orthonormal; halved as in state-spaces/s4.</summary>
    LegT,

    /// <summary>The Legendre memory unit: LegT over a window of length 1, not normalized (Voelker et al. 2019).</summary>
    Lmu,

    /// <summary>Truncated Fourier series over a sliding window ("How to train your HiPPO", Gu et al. 2022, theorem 7).</summary>
    FouT,

    /// <summary>Laguerre polynomials with an exponentially decaying weight.</summary>
    LagT,
}

/// <summary>Initial eigenvalues of an S4D layer (Gu et al. 2022, "On the parameterization ...", section 4).</summary>
public enum S4dInitialization
{
    /// <summary>-1/2 + i pi n: the Fourier basis, an approximation of S4D-LegS.</summary>
    Lin,

    /// <summary>-1/2 + i N/pi (N/(2n + 1) - 1): the distribution of the eigenvalues of LegS.</summary>
    Inv,

    /// <summary>The eigenvalues of the normal part of LegS, in descending order.</summary>
    LegS,

    /// <summary>-(n + 1), real: exponential decay only.</summary>
    Real,
}

/// <summary>
/// A in normal-plus-low-rank form: A = V (diag(Lambda) - P P^*) V^*, B = V InputVector, with a unitary V. Every column's phase is such that
/// P is real and positive, which makes the form unique.
/// </summary>
/// <param name="Lambda">(N), -1/2 + i w in ascending order of w.</param>
/// <param name="P">(N).</param>
/// <param name="InputVector">(N), B in the basis V.</param>
/// <param name="V">(N, N), row by row.</param>
public sealed record NormalPlusLowRank(Complex[] Lambda, double[] P, Complex[] InputVector, Complex[] V);

/// <summary>
/// HiPPO (Gu et al. 2020, "HiPPO: recurrent memory with optimal polynomial projections"): matrices of x' = A x + B u, where the state x
/// holds the coefficients of the best approximation of u's history by N basis functions. All in double precision.
/// </summary>
public static class Hippo
{
    private const int LargestOrder = 4096;

    /// <summary>A and B of x' = A x + B u.</summary>
    /// <param name="measure">The basis and its weight.</param>
    /// <param name="n">N, the order; even for <see cref="HippoMeasure.FouT"/>.</param>
    /// <returns>A (N, N) row by row, and B (N).</returns>
    /// <exception cref="ArgumentOutOfRangeException">N is not from 1 to 4,096, or odd for FouT, or the measure is unknown.</exception>
    public static (double[] A, double[] B) Matrices(HippoMeasure measure, int n)
    {
        CheckOrder(n);
        if (measure == HippoMeasure.FouT) return Fourier(n);
        double[] a = new double[n * n], b = new double[n];
        for (int i = 0; i < n; i++)
        {
            b[i] = measure switch
            {
                HippoMeasure.LegS => Norm(i),
                HippoMeasure.LegT => 0.5 * Norm(i),
                HippoMeasure.Lmu => Sign(i) * (2 * i + 1),
                HippoMeasure.LagT => 1,
                _ => throw new ArgumentOutOfRangeException(nameof(measure), measure, $"Hippo: unknown measure {measure}."),
            };
            for (int k = 0; k < n; k++)
                a[i * n + k] = measure switch
                {
                    HippoMeasure.LegS => i > k ? -Norm(i) * Norm(k) : i == k ? -(i + 1) : 0,
                    HippoMeasure.LegT => -0.5 * Norm(i) * Norm(k) * (k <= i ? 1 : Sign(i - k)),
                    HippoMeasure.Lmu => (2 * i + 1) * (i < k ? -1 : Sign(i - k + 1)),
                    _ => i > k ? -1 : i == k ? -0.5 : 0,
                };
        }
        return (a, b);
    }

    /// <summary>
    /// LegS in normal-plus-low-rank form (Gu, Goel and Re 2022, theorem 1 and appendix C.1): with P_n = sqrt(n + 1/2) the matrix A + P P^T
    /// is -1/2 plus a skew-symmetric one.
    /// </summary>
    /// <param name="n">N.</param>
    /// <returns>The form, in which P is V^* sqrt(n + 1/2).</returns>
    /// <exception cref="ArgumentOutOfRangeException">N is not from 1 to 4,096.</exception>
    public static NormalPlusLowRank LegSNormalPlusLowRank(int n)
    {
        CheckOrder(n);
        double[] skew = new double[n * n];
        for (int i = 0; i < n; i++)
            for (int k = 0; k < n; k++) skew[i * n + k] = Math.Sign(k - i) * 0.5 * Norm(i) * Norm(k);
        (double[] frequencies, Complex[] v) = SkewEigen.Solve(skew, n);
        double[] p = new double[n];
        for (int column = 0; column < n; column++)
        {
            Complex projection = default;
            for (int row = 0; row < n; row++) projection += Complex.Conjugate(v[row * n + column]) * Math.Sqrt(row + 0.5);
            p[column] = Complex.Abs(projection);
            Complex phase = projection / p[column];
            for (int row = 0; row < n; row++) v[row * n + column] *= phase;
        }
        return new(
            [.. frequencies.Select(w => new Complex(-0.5, w))], p, [.. p.Select(x => new Complex(Math.Sqrt(2) * x, 0))], v);
    }

    /// <summary>The initial eigenvalues of an S4D layer: one of each conjugate pair, with an imaginary part of at least 0.</summary>
    /// <param name="initialization">The formula of the eigenvalues.</param>
    /// <param name="n">N, real states: even.</param>
    /// <returns>(N / 2).</returns>
    /// <exception cref="ArgumentOutOfRangeException">N is odd or not from 2 to 4,096, or the initialization is unknown.</exception>
    public static Complex[] Eigenvalues(S4dInitialization initialization, int n)
    {
        CheckOrder(n, even: true);
        return initialization switch
        {
            S4dInitialization.Lin => Pairs(k => new Complex(-0.5, Math.PI * k)),
            S4dInitialization.Inv => Pairs(k => new Complex(-0.5, n / Math.PI * ((double)n / (2 * k + 1) - 1))),
            S4dInitialization.Real => Pairs(k => new Complex(-(k + 1), 0)),
            S4dInitialization.LegS => [.. LegSNormalPlusLowRank(n).Lambda.Skip(n / 2).Reverse()],
            _ => throw new ArgumentOutOfRangeException(
                nameof(initialization), initialization, $"Hippo: unknown initialization {initialization}."),
        };

        Complex[] Pairs(Func<int, Complex> law) => [.. Enumerable.Range(0, n / 2).Select(law)];
    }

    /// <summary>sqrt(2n + 1) P_n(x): Legendre polynomials, orthonormal on [-1, 1] with weight 1/2.</summary>
    /// <param name="points">Points in [-1, 1].</param>
    /// <param name="n">N, the number of polynomials.</param>
    /// <returns>(points, N), row by row.</returns>
    /// <exception cref="ArgumentOutOfRangeException">N is not from 1 to 4,096.</exception>
    public static double[] LegendreBasis(ReadOnlySpan<double> points, int n)
    {
        CheckOrder(n);
        double[] basis = new double[checked(points.Length * n)];
        for (int i = 0; i < points.Length; i++)
        {
            double x = points[i], before = 0, current = 1;
            for (int k = 0; k < n; k++)
            {
                basis[i * n + k] = Norm(k) * current;
                (before, current) = (current, ((2 * k + 1) * x * current - k * before) / (k + 1)); // Bonnet's recursion
            }
        }
        return basis;
    }

    /// <summary>
    /// The signal that coefficients of <see cref="Ops.LegsMemory"/> represent: sum_n c_n sqrt(2n + 1) P_n(x). The whole history is scaled
    /// to [-1, 1]; x = 1 is the present.
    /// </summary>
    /// <param name="coefficients">(N).</param>
    /// <param name="points">Points in [-1, 1].</param>
    /// <returns>A value for each point.</returns>
    public static double[] Reconstruct(ReadOnlySpan<double> coefficients, ReadOnlySpan<double> points)
    {
        int n = coefficients.Length;
        double[] basis = LegendreBasis(points, n), values = new double[points.Length];
        for (int i = 0; i < values.Length; i++)
            for (int k = 0; k < n; k++) values[i] += coefficients[k] * basis[i * n + k];
        return values;
    }

    /// <summary>-1, ..., 1 in equal steps: the points of a history of this length.</summary>
    /// <param name="count">The number of points.</param>
    /// <returns>The points; for count 1, -1.</returns>
    public static double[] EvenPoints(int count)
    {
        double[] points = new double[count];
        for (int i = 0; i < count; i++) points[i] = count == 1 ? -1 : -1 + 2.0 * i / (count - 1);
        return points;
    }

    private static (double[] A, double[] B) Fourier(int n)
    {
        CheckOrder(n, even: true);
        double[] a = new double[n * n], b = new double[n];
        for (int i = 0; i < n; i += 2) b[i] = i == 0 ? 1 : Math.Sqrt(2);
        for (int i = 0; i < n; i++)
            for (int k = 0; k < n; k++) a[i * n + k] = -b[i] * b[k];
        for (int f = 1; f < n / 2; f++)
        {
            a[2 * f * n + 2 * f + 1] -= Math.PI * f;
            a[(2 * f + 1) * n + 2 * f] += Math.PI * f;
        }
        return (a, b);
    }

    private static double Norm(int n) => Math.Sqrt(2 * n + 1);

    private static double Sign(int n) => n % 2 == 0 ? 1 : -1;

    private static void CheckOrder(int n, bool even = false)
    {
        if (n is < 1 or > LargestOrder || (even && n % 2 != 0))
            throw new ArgumentOutOfRangeException(
                nameof(n), n, $"Hippo: order {n}; expected {(even ? "an even number" : "a number")} from 1 to {LargestOrder}.");
    }
}
