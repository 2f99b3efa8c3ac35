using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Kernels.Products;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>
    /// The matrix product of the last two dimensions, batched over the leading ones, which broadcast: torch.matmul. A vector counts as a
    /// matrix of one row on the left and of one column on the right; the result lacks that dimension.
    /// </summary>
    /// <param name="a">(..., M, K), (..., K, M) where transposed, or (K).</param>
    /// <param name="b">(..., K, N), (..., N, K) where transposed, or (K).</param>
    /// <param name="transposeA">Whether to use a's transpose; a vector has none.</param>
    /// <param name="transposeB">Whether to use b's transpose; a vector has none.</param>
    /// <returns>(..., M, N), without M for a vector a, without N for a vector b.</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor MatMul(Tensor a, Tensor b, bool transposeA = false, bool transposeB = false)
    {
        ProductShape s = ProductShape.Of("MatMul", a.Shape, b.Shape, transposeA, transposeB, out Shape result);
        Tensor c = Tensor.Empty(result);
        s.Forward(a, b, c);
        MultiplyAdds.Add((long)c.Count * s.K);
        if (Tape.Needs(a, b))
            Tape.Record(c, (a, b, s), static (context, dc) =>
            {
                (Tensor a, Tensor b, ProductShape s) = context.Values;
                if (a.NeedsGrad) s.Left(a.OpenGrad(), b, dc);
                if (b.NeedsGrad) s.Right(a, b.OpenGrad(), dc);
            }, a, b);
        return c;
    }

    /// <summary>
    /// The sizes of a product, and the leading dimensions of its operands; those of the result are the broadcast of both. Where B is a
    /// single matrix, all rows of A form one matrix.
    /// </summary>
    private readonly record struct ProductShape(Shape LeadingA, Shape LeadingB, Shape Leading, nint M, nint N, nint K, bool TransposeA,
        bool TransposeB)
    {
        private static Shape None => new(ReadOnlySpan<int>.Empty);

        public static ProductShape Of(string name, Shape a, Shape b, bool transposeA, bool transposeB, out Shape result)
        {
            (Shape leadingA, int rowsA, int columnsA) = Cut(a, vectorIsRow: true);
            (Shape leadingB, int rowsB, int columnsB) = Cut(b, vectorIsRow: false);
            (int m, int k) = transposeA && a.Rank > 1 ? (columnsA, rowsA) : (rowsA, columnsA);
            (int inner, int n) = transposeB && b.Rank > 1 ? (columnsB, rowsB) : (rowsB, columnsB);
            Shape leading = None;
            bool fits = a.Rank >= 1 && b.Rank >= 1 && inner == k
                && BroadcastWalk.TryShape(name, leadingA, leadingB, out leading);
            Check.That(
                fits, name,
                $"{a}{(transposeA ? "^T" : "")} times {b}{(transposeB ? "^T" : "")}; "
                + $"expected (..., M, K) and (..., K, N), leading dimensions equal or 1");
            Span<int> extents = stackalloc int[leading.Rank + 2];
            leading.CopyTo(extents);
            int rank = leading.Rank;
            if (a.Rank > 1) extents[rank++] = m;
            if (b.Rank > 1) extents[rank++] = n;
            result = Shape.Of(name, extents[..rank]);
            return leadingB.Count == 1 && !transposeA && leading.Rank == leadingA.Rank
                ? new(None, None, None, (nint)leading.Count * m, n, k, false, transposeB && b.Rank > 1)
                : new(leadingA, leadingB, leading, m, n, k, transposeA && a.Rank > 1, transposeB && b.Rank > 1);
        }

        public void Forward(Tensor a, Tensor b, Tensor c) =>
            BatchedProduct.Run(Walk(LeadingA, M * K, LeadingB, K * N, Leading, M * N), M, N, K, A(a), B(b), c.Pointer, add: false);

        /// <summary>dA = dC B^T; of a transposed A its transpose, B dC^T.</summary>
        public void Left(GradSlot da, Tensor b, Tensor dc)
        {
            Matrix g = new(dc.Pointer, N);
            if (TransposeA)
            {
                BatchWalk walk = Walk(LeadingB, K * N, Leading, M * N, LeadingA, M * K);
                BatchedProduct.Run(walk, K, M, N, B(b), g.Transposed, da.Pointer, da.Accumulate);
            }
            else
            {
                BatchWalk walk = Walk(Leading, M * N, LeadingB, K * N, LeadingA, M * K);
                BatchedProduct.Run(walk, M, K, N, g, B(b).Transposed, da.Pointer, da.Accumulate);
            }
        }

        /// <summary>dB = A^T dC; of a transposed B its transpose, dC^T A.</summary>
        public void Right(Tensor a, GradSlot db, Tensor dc)
        {
            Matrix g = new(dc.Pointer, N);
            if (TransposeB)
            {
                BatchWalk walk = Walk(Leading, M * N, LeadingA, M * K, LeadingB, K * N);
                BatchedProduct.Run(walk, N, K, M, g.Transposed, A(a), db.Pointer, db.Accumulate);
            }
            else
            {
                BatchWalk walk = Walk(LeadingA, M * K, Leading, M * N, LeadingB, K * N);
                BatchedProduct.Run(walk, K, N, M, A(a).Transposed, g, db.Pointer, db.Accumulate);
            }
        }

        private Matrix A(Tensor a) => TransposeA ? new Matrix(a.Pointer, M).Transposed : new Matrix(a.Pointer, K);

        private Matrix B(Tensor b) => TransposeB ? new Matrix(b.Pointer, K).Transposed : new Matrix(b.Pointer, N);

        private BatchWalk Walk(Shape a, nint sizeA, Shape b, nint sizeB, Shape c, nint sizeC)
        {
            Span<int> all = stackalloc int[Leading.Rank], extentsA = stackalloc int[a.Rank], extentsB = stackalloc int[b.Rank],
                extentsC = stackalloc int[c.Rank];
            Leading.CopyTo(all);
            a.CopyTo(extentsA);
            b.CopyTo(extentsB);
            c.CopyTo(extentsC);
            return BatchWalk.Of(all, new(extentsA, sizeA), new(extentsB, sizeB), new(extentsC, sizeC));
        }

        /// <summary>The leading dimensions of an operand, and its last two.</summary>
        private static (Shape Leading, int Rows, int Columns) Cut(Shape x, bool vectorIsRow)
        {
            if (x.Rank < 2) return (None, x.Rank == 0 || vectorIsRow ? 1 : x[0], x.Rank == 0 || !vectorIsRow ? 1 : x[0]);
            Span<int> extents = stackalloc int[x.Rank];
            x.CopyTo(extents);
            return (new Shape(extents[..^2]), extents[^2], extents[^1]);
        }
    }
}
