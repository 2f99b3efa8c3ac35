using Mamba.Core.Memory;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// e^A by scaling and squaring with the Pade approximant of degree 13 (Higham 2005, "The scaling and squaring method for the matrix
/// exponential revisited"), accurate to double precision.
/// </summary>
internal static unsafe class MatrixExponential
{
    // The largest 1-norm for which the approximant is accurate to double precision.
    private const double LargestNorm = 5.371920351148152;
    private const int MaxSquarings = 1000;

    private static ReadOnlySpan<double> Coefficients =>
    [
        64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600, 670442572800,
        33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
    ];

    /// <summary>Overwrites A (n, n) with e^A. If A contains NaN or infinity, the result is NaN everywhere.</summary>
    public static void Run(double* a, nint n)
    {
        nint size = n * n;
        double norm = Norm(a, n);
        if (!double.IsFinite(norm))
        {
            new Span<double>(a, (int)size).Fill(double.NaN);
            return;
        }
        int squarings = norm <= LargestNorm ? 0 : Math.Min(MaxSquarings, (int)Math.Ceiling(Math.Log2(norm / LargestNorm)));
        double scale = Math.ScaleB(1, -squarings);
        using Scratch scratch = Scratch.OfDoubles(7 * size), pivots = new(n);
        double* a1 = scratch.Doubles, a2 = a1 + size, a4 = a2 + size, a6 = a4 + size, u = a6 + size, v = u + size, w = v + size;
        for (nint i = 0; i < size; i++) a1[i] = scale * a[i];
        SquareMatrix.Multiply(a1, a1, a2, n, n, n);
        SquareMatrix.Multiply(a2, a2, a4, n, n, n);
        SquareMatrix.Multiply(a4, a2, a6, n, n, n);
        ReadOnlySpan<double> c = Coefficients;
        // U = A (A6 (c13 A6 + c11 A4 + c9 A2) + c7 A6 + c5 A4 + c3 A2 + c1 I), V the same with even coefficients, without the first A.
        for (nint i = 0; i < size; i++) w[i] = c[13] * a6[i] + c[11] * a4[i] + c[9] * a2[i];
        SquareMatrix.Multiply(a6, w, v, n, n, n);
        for (nint i = 0; i < size; i++) w[i] = v[i] + c[7] * a6[i] + c[5] * a4[i] + c[3] * a2[i] + (i % (n + 1) == 0 ? c[1] : 0);
        SquareMatrix.Multiply(a1, w, u, n, n, n);
        for (nint i = 0; i < size; i++) w[i] = c[12] * a6[i] + c[10] * a4[i] + c[8] * a2[i];
        SquareMatrix.Multiply(a6, w, v, n, n, n);
        for (nint i = 0; i < size; i++) v[i] += c[6] * a6[i] + c[4] * a4[i] + c[2] * a2[i] + (i % (n + 1) == 0 ? c[0] : 0);
        for (nint i = 0; i < size; i++) (a1[i], w[i]) = (v[i] + u[i], v[i] - u[i]);
        SquareMatrix.Factorize(w, (int*)pivots.Pointer, n);
        SquareMatrix.Solve(w, (int*)pivots.Pointer, a1, n, n);
        double* from = a1, to = a2;
        for (int i = 0; i < squarings; i++)
        {
            SquareMatrix.Multiply(from, from, to, n, n, n);
            double* swapped = from;
            from = to;
            to = swapped;
        }
        new ReadOnlySpan<double>(from, (int)size).CopyTo(new Span<double>(a, (int)size));
    }

    /// <summary>The 1-norm: the largest column sum of magnitudes.</summary>
    private static double Norm(double* a, nint n)
    {
        double largest = 0;
        for (nint j = 0; j < n; j++)
        {
            double sum = 0;
            for (nint i = 0; i < n; i++) sum += Math.Abs(a[i * n + j]);
            largest = Math.Max(largest, sum); // propagates NaN
        }
        return largest;
    }
}
