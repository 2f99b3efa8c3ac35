using Mamba.Core.Memory;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>One dense system in double precision: A (N, N), B (N, P), a step dt and the rule.</summary>
internal readonly unsafe struct DenseSystem(DiscretizationRule rule, double* a, double* b, double dt, nint states, nint inputs)
{
    // Zero-order hold gets Abar and Bbar from one exponential: e^(dt [[A, B], [0, 0]]) = [[Abar, Bbar], [0, I]].
    private nint Augmented => rule.Kind == RuleKind.ZeroOrderHold ? states + inputs : states;

    /// <summary>Abar (N, N) and Bbar (N, P).</summary>
    public void Discretize(double* abar, double* bbar)
    {
        nint n = states, p = inputs;
        if (rule.Kind == RuleKind.Bilinear)
        {
            using Scratch factors = Scratch.OfDoubles(n * n), pivots = new(n);
            Factorize(factors.Doubles, (int*)pivots.Pointer);
            double rest = (1 - rule.Alpha) * dt;
            for (nint i = 0; i < n * n; i++) abar[i] = rest * a[i] + (i % (n + 1) == 0 ? 1 : 0);
            for (nint i = 0; i < n * p; i++) bbar[i] = dt * b[i];
            SquareMatrix.Solve(factors.Doubles, (int*)pivots.Pointer, abar, n, n);
            SquareMatrix.Solve(factors.Doubles, (int*)pivots.Pointer, bbar, n, p);
            return;
        }
        nint m = Augmented;
        using Scratch exponential = Scratch.OfDoubles(m * m);
        double* e = exponential.Doubles;
        Fill(e, m, dt, a, m > n ? b : null);
        MatrixExponential.Run(e, m);
        for (nint i = 0; i < n; i++)
        {
            for (nint j = 0; j < n; j++) abar[i * n + j] = e[i * m + j];
            for (nint j = 0; j < p; j++) bbar[i * p + j] = m > n ? e[i * m + n + j] : dt * b[i * p + j];
        }
    }

    /// <summary>
    /// Adds to dA (N, N) and dB (N, P) from the gradients of Abar and Bbar, which are overwritten; returns the gradient of dt.
    /// </summary>
    public double Backward(double* abar, double* bbar, double* dAbar, double* dBbar, double* dA, double* dB) =>
        rule.Kind == RuleKind.Bilinear
            ? BackwardOfBilinear(abar, bbar, dAbar, dBbar, dA, dB)
            : BackwardOfExponential(dAbar, dBbar, dA, dB);

    /// <summary>
    /// With M = I - alpha dt A: M Abar = I + (1 - alpha) dt A and M Bbar = dt B. So W = M^-T dAbar and U = M^-T dBbar are the gradients of
    /// the right-hand sides, and dM = -W Abar^T - U Bbar^T.
    /// </summary>
    private double BackwardOfBilinear(double* abar, double* bbar, double* dAbar, double* dBbar, double* dA, double* dB)
    {
        nint n = states, p = inputs;
        using Scratch factors = Scratch.OfDoubles(n * n), pivots = new(n), transposed = Scratch.OfDoubles(n * Math.Max(n, p));
        using Scratch product = Scratch.OfDoubles(2 * n * n);
        Factorize(factors.Doubles, (int*)pivots.Pointer);
        SquareMatrix.SolveTransposed(factors.Doubles, (int*)pivots.Pointer, dAbar, n, n);
        SquareMatrix.SolveTransposed(factors.Doubles, (int*)pivots.Pointer, dBbar, n, p);
        double* first = product.Doubles, second = first + n * n;
        SquareMatrix.Transpose(abar, transposed.Doubles, n, n);
        SquareMatrix.Multiply(dAbar, transposed.Doubles, first, n, n, n);
        SquareMatrix.Transpose(bbar, transposed.Doubles, n, p);
        SquareMatrix.Multiply(dBbar, transposed.Doubles, second, n, p, n);
        double ddt = 0;
        for (nint i = 0; i < n * n; i++)
        {
            double through = (1 - rule.Alpha) * dAbar[i] + rule.Alpha * (first[i] + second[i]);
            dA[i] += dt * through;
            ddt += a[i] * through;
        }
        for (nint i = 0; i < n * p; i++)
        {
            dB[i] += dt * dBbar[i];
            ddt += b[i] * dBbar[i];
        }
        return ddt;
    }

    /// <summary>
    /// The gradient of e^X is the derivative of the exponential at X^T in the direction of the gradient G: the upper right block of
    /// e^[[X^T, G], [0, X^T]] (Higham 2008, "Functions of matrices", theorem 3.6).
    /// </summary>
    private double BackwardOfExponential(double* dAbar, double* dBbar, double* dA, double* dB)
    {
        nint n = states, p = inputs, m = Augmented, twice = 2 * m;
        using Scratch x = Scratch.OfDoubles(m * m), block = Scratch.OfDoubles(twice * twice);
        double* e = block.Doubles;
        Fill(x.Doubles, m, dt, a, m > n ? b : null);
        new Span<double>(e, (int)(twice * twice)).Clear();
        for (nint i = 0; i < m; i++)
            for (nint j = 0; j < m; j++) e[i * twice + j] = e[(m + i) * twice + m + j] = x.Doubles[j * m + i];
        for (nint i = 0; i < n; i++)
        {
            for (nint j = 0; j < n; j++) e[i * twice + m + j] = dAbar[i * n + j];
            for (nint j = 0; j < p && m > n; j++) e[i * twice + m + n + j] = dBbar[i * p + j];
        }
        MatrixExponential.Run(e, twice);
        double ddt = 0;
        for (nint i = 0; i < n; i++)
        {
            for (nint j = 0; j < n; j++)
            {
                double g = e[i * twice + m + j];
                dA[i * n + j] += dt * g;
                ddt += a[i * n + j] * g;
            }
            for (nint j = 0; j < p; j++)
            {
                double g = m > n ? e[i * twice + m + n + j] : dBbar[i * p + j];
                dB[i * p + j] += dt * g;
                ddt += b[i * p + j] * g;
            }
        }
        return ddt;
    }

    /// <summary>scale [[A, B], [0, 0]]; scale A if B is null.</summary>
    private void Fill(double* x, nint m, double scale, double* top, double* right)
    {
        new Span<double>(x, (int)(m * m)).Clear();
        for (nint i = 0; i < states; i++)
        {
            for (nint j = 0; j < states; j++) x[i * m + j] = scale * top[i * states + j];
            for (nint j = 0; j < inputs && right != null; j++) x[i * m + states + j] = scale * right[i * inputs + j];
        }
    }

    private void Factorize(double* factors, int* pivots)
    {
        double step = rule.Alpha * dt;
        for (nint i = 0; i < states * states; i++) factors[i] = (i % (states + 1) == 0 ? 1 : 0) - step * a[i];
        SquareMatrix.Factorize(factors, pivots, states);
    }
}
