using System.Numerics.Tensors;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// Small row-major square matrices in double precision, for per-channel rather than per-token work. Products multiply and add whole rows,
/// so no sum crosses lanes and every processor gives the same bits.
/// </summary>
internal static unsafe class SquareMatrix
{
    /// <summary>C (m, n) = A (m, k) B (k, n). C must not alias A or B.</summary>
    public static void Multiply(double* a, double* b, double* c, nint m, nint k, nint n)
    {
        for (nint i = 0; i < m; i++)
        {
            Span<double> row = new(c + i * n, (int)n);
            row.Clear();
            for (nint j = 0; j < k; j++) AddRow(a[i * k + j], b + j * n, row);
        }
    }

    /// <summary>C (m, n) += A^T B with A (k, m) and B (k, n).</summary>
    public static void AddTransposedProduct(double* a, double* b, double* c, nint k, nint m, nint n)
    {
        for (nint j = 0; j < k; j++)
            for (nint i = 0; i < m; i++) AddRow(a[j * m + i], b + j * n, new Span<double>(c + i * n, (int)n));
    }

    /// <summary>y (n) = A^T x with A (n, n). For a product without a transpose, pass the transposed matrix: that also adds rows.</summary>
    public static void MultiplyTransposed(double* a, double* x, double* y, nint n)
    {
        new Span<double>(y, (int)n).Clear();
        AddTransposed(a, x, y, n);
    }

    /// <summary>y (n) += A^T x.</summary>
    public static void AddTransposed(double* a, double* x, double* y, nint n)
    {
        for (nint i = 0; i < n; i++) AddRow(x[i], a + i * n, new Span<double>(y, (int)n));
    }

    /// <summary>to (n, m) = from^T of (m, n).</summary>
    public static void Transpose(double* from, double* to, nint m, nint n)
    {
        for (nint i = 0; i < m; i++)
            for (nint j = 0; j < n; j++) to[j * m + i] = from[i * n + j];
    }

    public static void Identity(double* a, nint n)
    {
        new Span<double>(a, (int)(n * n)).Clear();
        for (nint i = 0; i < n; i++) a[i * n + i] = 1;
    }

    /// <summary>P A = L U in place; pivots receives the source row of each pivot.</summary>
    public static void Factorize(double* a, int* pivots, nint n)
    {
        for (nint k = 0; k < n; k++)
        {
            nint pivot = k;
            for (nint i = k + 1; i < n; i++)
                if (Math.Abs(a[i * n + k]) > Math.Abs(a[pivot * n + k])) pivot = i;
            pivots[k] = (int)pivot;
            if (pivot != k) SwapRows(a, k, pivot, n);
            for (nint i = k + 1; i < n; i++)
            {
                double factor = a[i * n + k] /= a[k * n + k];
                AddRow(-factor, a + k * n + k + 1, new Span<double>(a + i * n + k + 1, (int)(n - k - 1)));
            }
        }
    }

    /// <summary>Overwrites B (n, columns) with A^-1 B, given the factors of A.</summary>
    public static void Solve(double* factors, int* pivots, double* b, nint n, nint columns)
    {
        for (nint k = 0; k < n; k++)
            if (pivots[k] != k) SwapRows(b, k, pivots[k], columns);
        for (nint i = 0; i < n; i++)
            for (nint k = 0; k < i; k++) AddRow(-factors[i * n + k], b + k * columns, new Span<double>(b + i * columns, (int)columns));
        for (nint i = n - 1; i >= 0; i--)
        {
            Span<double> row = new(b + i * columns, (int)columns);
            for (nint k = i + 1; k < n; k++) AddRow(-factors[i * n + k], b + k * columns, row);
            TensorPrimitives.Divide(row, factors[i * n + i], row);
        }
    }

    /// <summary>Overwrites B (n, columns) with A^-T B, given the factors of A.</summary>
    public static void SolveTransposed(double* factors, int* pivots, double* b, nint n, nint columns)
    {
        for (nint i = 0; i < n; i++)
        {
            Span<double> row = new(b + i * columns, (int)columns);
            for (nint k = 0; k < i; k++) AddRow(-factors[k * n + i], b + k * columns, row);
            TensorPrimitives.Divide(row, factors[i * n + i], row);
        }
        for (nint i = n - 1; i >= 0; i--)
            for (nint k = i + 1; k < n; k++) AddRow(-factors[k * n + i], b + k * columns, new Span<double>(b + i * columns, (int)columns));
        for (nint k = n - 1; k >= 0; k--)
            if (pivots[k] != k) SwapRows(b, k, pivots[k], columns);
    }

    /// <summary>row += factor from.</summary>
    private static void AddRow(double factor, double* from, Span<double> row) =>
        TensorPrimitives.MultiplyAdd(new ReadOnlySpan<double>(from, row.Length), factor, row, row);

    private static void SwapRows(double* a, nint i, nint k, nint columns)
    {
        for (nint j = 0; j < columns; j++) (a[i * columns + j], a[k * columns + j]) = (a[k * columns + j], a[i * columns + j]);
    }
}
