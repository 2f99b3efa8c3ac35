using Mamba.Core.Memory;

namespace Mamba.Core.Kernels.StateSpace;

/// <summary>
/// A^e by repeated squaring: O(N^3 log e). The squares S_k = A^(2^k) and the products R_k for set bits are kept for the backward pass.
/// </summary>
internal readonly unsafe ref struct MatrixPower : IDisposable
{
    private readonly nint _n, _exponent;
    private readonly int _bits;
    private readonly Scratch _squares, _products;

    public MatrixPower(nint n, nint exponent)
    {
        (_n, _exponent) = (n, exponent);
        while (exponent >> _bits > 0) _bits++;
        _squares = Scratch.OfDoubles(_bits * n * n);
        _products = Scratch.OfDoubles((_bits + (_bits > 0 ? 1 : 0)) * n * n);
    }

    public void Dispose()
    {
        _squares.Dispose();
        _products.Dispose();
    }

    /// <summary>The last computed A^e.</summary>
    public double* Value => Product(_bits);

    /// <summary>Computes A^e for the positive exponent.</summary>
    public double* Compute(double* a)
    {
        SquareMatrix.Identity(_products.Doubles, _n);
        for (int k = 0; k < _bits; k++)
        {
            if (k == 0) Copy(a, Square(0));
            else SquareMatrix.Multiply(Square(k - 1), Square(k - 1), Square(k), _n, _n, _n);
            if (IsSet(k)) SquareMatrix.Multiply(Product(k), Square(k), Product(k + 1), _n, _n, _n);
            else Copy(Product(k), Product(k + 1));
        }
        return Value;
    }

    /// <summary>Adds to the gradient of A from that of <see cref="Value"/>, which is overwritten.</summary>
    public void Backward(double* dPower, double* dA)
    {
        nint size = _n * _n;
        using Scratch memory = Scratch.OfDoubles(3 * size);
        double* dSquare = memory.Doubles, transposed = dSquare + size, next = transposed + size;
        new Span<double>(dSquare, (int)size).Clear();
        // dPower is that of R_(k + 1); dSquare accumulates that of S_k.
        for (int k = _bits - 1; k >= 0; k--)
        {
            if (IsSet(k))
            {
                SquareMatrix.AddTransposedProduct(Product(k), dPower, dSquare, _n, _n, _n);
                SquareMatrix.Transpose(Square(k), transposed, _n, _n);
                SquareMatrix.Multiply(dPower, transposed, next, _n, _n, _n);
                Copy(next, dPower);
            }
            if (k == 0) break;
            // S_k = S_(k - 1)^2.
            SquareMatrix.Transpose(Square(k - 1), transposed, _n, _n);
            SquareMatrix.Multiply(dSquare, transposed, next, _n, _n, _n);
            SquareMatrix.AddTransposedProduct(Square(k - 1), dSquare, next, _n, _n, _n);
            Copy(next, dSquare);
        }
        for (nint i = 0; i < size; i++) dA[i] += dSquare[i];
    }

    private double* Square(int k) => _squares.Doubles + k * _n * _n;

    private double* Product(int k) => _products.Doubles + k * _n * _n;

    private bool IsSet(int k) => (_exponent >> k & 1) != 0;

    private void Copy(double* from, double* to) =>
        new ReadOnlySpan<double>(from, (int)(_n * _n)).CopyTo(new Span<double>(to, (int)(_n * _n)));
}
