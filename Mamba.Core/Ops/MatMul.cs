using Mamba.Core.Kernels.Convolution;
using Mamba.Core.Kernels.Products;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>y = x weight^T + bias + residual over the last dimension.</summary>
    /// <param name="x">(..., In).</param>
    /// <param name="weight">(Out, In), as in PyTorch.</param>
    /// <param name="bias">(Out), or null.</param>
    /// <param name="residual">(..., Out), what the layer's branch is added to, in the same pass; or null.</param>
    /// <returns>(..., Out).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null, Tensor? residual = null)
    {
        Check.That(
            weight.Shape.Rank == 2 && x.Shape.Rank >= 1 && x.Shape[-1] == weight.Shape[1], "Linear",
            $"input {x.Shape} and weight {weight.Shape}; expected (..., In) and (Out, In)");
        int outputs = weight.Shape[0], inputs = weight.Shape[1];
        Check.Extents(bias, "Linear", "bias", outputs);

        Tensor y = Tensor.Empty(x.Shape.With(-1, outputs));
        Check.That((residual?.Shape ?? y.Shape) == y.Shape, "Linear", $"residual {residual?.Shape}; expected {y.Shape}");
        if (y.Count == 0) return Independent(y, x, weight, bias, residual);
        int rows = y.Count / outputs;
        VectorWidth width = Isa.For(outputs);
        Epilogue epilogue = new(bias is null ? null : bias.Pointer, add: residual is not null, addendOffset: residual is { } d ? (nint)(d.Pointer - y.Pointer) : 0);
        using (PackedWeight packed = PackedWeight.Of(weight, new LinearPacking(outputs, inputs, width)))
            Gemm.RunPacked(rows, outputs, inputs, new Matrix(x.Pointer, inputs), packed.Pointer, y.Pointer, outputs, epilogue, width);
        MultiplyAdds.Add((long)rows * outputs * inputs);

        if (Tape.Needs(x, weight, bias, residual))
            Tape.Push(y, (x, weight, bias, residual, rows, outputs, inputs), static (context, dy) =>
            {
                (Tensor x, Tensor weight, Tensor? bias, Tensor? residual, int rows, int outputs, int inputs) = context;
                Matrix g = new(dy.Pointer, outputs);
                if (x.NeedsGrad)
                {
                    GradSlot dx = x.OpenGrad();
                    Gemm.Run(rows, inputs, outputs, g, new Matrix(weight.Pointer, inputs), dx.Pointer, inputs, new Epilogue(add: dx.Accumulate));
                }
                if (weight.NeedsGrad)
                {
                    GradSlot dw = weight.OpenGrad();
                    Gemm.Run(outputs, inputs, rows, g.Transposed, new Matrix(x.Pointer, inputs), dw.Pointer, inputs, new Epilogue(add: dw.Accumulate));
                }
                if (Open(bias) is { } db) ColumnSums.Run(dy.Pointer, rows, outputs, outputs, db.Pointer, db.Accumulate);
                if (residual is { } d) PassOn(d, d.Shape, dy, 1f, mayTake: true);
            }, x, weight);
        return y;
    }

    /// <summary>The matrix product of the last two dimensions, for each index of the leading ones.</summary>
    /// <param name="a">(..., M, K); (..., K, M) where transposed.</param>
    /// <param name="b">(..., K, N) with the same leading dimensions; (..., N, K) where transposed.</param>
    /// <param name="transposeA">Whether to use a's transpose.</param>
    /// <param name="transposeB">Whether to use b's transpose.</param>
    /// <returns>(..., M, N).</returns>
    /// <exception cref="ShapeException">The shapes do not fit together.</exception>
    public static Tensor MatMul(Tensor a, Tensor b, bool transposeA = false, bool transposeB = false)
    {
        int rank = a.Shape.Rank;
        bool fits = rank >= 2 && b.Shape.Rank == rank;
        for (int i = 0; fits && i < rank - 2; i++) fits = a.Shape[i] == b.Shape[i];
        int rowsA = fits ? a.Shape[-2] : 0, columnsA = fits ? a.Shape[-1] : 0, rowsB = fits ? b.Shape[-2] : 0, columnsB = fits ? b.Shape[-1] : 0;
        (int m, int k) = transposeA ? (columnsA, rowsA) : (rowsA, columnsA);
        (int inner, int n) = transposeB ? (columnsB, rowsB) : (rowsB, columnsB);
        Check.That(fits && inner == k, "MatMul", $"{a.Shape}{(transposeA ? "^T" : "")} times {b.Shape}{(transposeB ? "^T" : "")}; expected (..., M, K) and (..., K, N) with equal leading dimensions");

        Tensor c = Tensor.Empty(a.Shape.With(-2, m).With(-1, n));
        if (c.Count == 0) return Independent(c, a, b);
        int batch = c.Count / (m * n);
        for (int i = 0; i < batch; i++)
            Gemm.Run(m, n, k, Operand(a, i, transposeA), Operand(b, i, transposeB), c.Pointer + (nint)i * m * n, n);
        MultiplyAdds.Add((long)batch * m * n * k);

        if (Tape.Needs(a, b))
            Tape.Push(c, (a, b, transposeA, transposeB, batch, m, n, k), static (context, dc) =>
            {
                (Tensor a, Tensor b, bool transposeA, bool transposeB, int batch, int m, int n, int k) = context;
                // dA = dC B^T and dB = A^T dC; where the operand was transposed, so is its gradient.
                if (a.NeedsGrad)
                {
                    GradSlot da = a.OpenGrad();
                    for (int i = 0; i < batch; i++)
                    {
                        Matrix g = new(dc.Pointer + (nint)i * m * n, n);
                        float* target = da.Pointer + (nint)i * m * k;
                        if (transposeA) Gemm.Run(k, m, n, Operand(b, i, transposeB), g.Transposed, target, m, new Epilogue(add: da.Accumulate));
                        else Gemm.Run(m, k, n, g, Operand(b, i, transposeB).Transposed, target, k, new Epilogue(add: da.Accumulate));
                    }
                }
                if (b.NeedsGrad)
                {
                    GradSlot db = b.OpenGrad();
                    for (int i = 0; i < batch; i++)
                    {
                        Matrix g = new(dc.Pointer + (nint)i * m * n, n);
                        float* target = db.Pointer + (nint)i * k * n;
                        if (transposeB) Gemm.Run(n, k, m, g.Transposed, Operand(a, i, transposeA), target, k, new Epilogue(add: db.Accumulate));
                        else Gemm.Run(k, n, m, Operand(a, i, transposeA).Transposed, g, target, n, new Epilogue(add: db.Accumulate));
                    }
                }
            }, a, b);
        return c;

        static Matrix Operand(Tensor x, int i, bool transposed)
        {
            int columns = x.Shape[-1];
            Matrix stored = new(x.Pointer + (nint)i * x.Shape[-2] * columns, columns);
            return transposed ? stored.Transposed : stored;
        }
    }
}
