using System.Runtime.CompilerServices;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>Products of very few columns, as dot products along contiguous rows of A and contiguous columns of B.</summary>
internal static unsafe class DotProducts
{
    // Four rows share each load of B, and their lanes are summed together.
    private const int RowsPerGroup = 4;

    /// <summary>C = A B, to which the epilogue may add. Rows of A and columns of B are contiguous.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<V>(nint m, nint n, nint k, Matrix a, Matrix b, Matrix c, in Epilogue epilogue) where V : unmanaged
    {
        float* sums = stackalloc float[RowsPerGroup];
        for (nint column = 0; column < n; column++)
        {
            float* right = b.Pointer + column * b.ColumnStride;
            for (nint row = 0; row < m; row += RowsPerGroup)
            {
                // Groups with fewer than four rows repeat the last one.
                nint rows = Math.Min(RowsPerGroup, m - row), step = a.RowStride;
                float* a0 = a.Pointer + row * step, a1 = a0 + Math.Min(1, rows - 1) * step;
                float* a2 = a0 + Math.Min(2, rows - 1) * step, a3 = a0 + (rows - 1) * step;
                V s0 = default, s1 = default, s2 = default, s3 = default;
                nint i = 0;
                for (; i <= k - Count<V>(); i += Count<V>())
                {
                    V x = Load<V>(right + i);
                    s0 = Fma(x, Load<V>(a0 + i), s0);
                    s1 = Fma(x, Load<V>(a1 + i), s1);
                    s2 = Fma(x, Load<V>(a2 + i), s2);
                    s3 = Fma(x, Load<V>(a3 + i), s3);
                }
                if (i < k)
                {
                    nint lanes = k - i;
                    V x = Load<V>(right + i, lanes);
                    s0 = Fma(x, Load<V>(a0 + i, lanes), s0);
                    s1 = Fma(x, Load<V>(a1 + i, lanes), s1);
                    s2 = Fma(x, Load<V>(a2 + i, lanes), s2);
                    s3 = Fma(x, Load<V>(a3 + i, lanes), s3);
                }
                HorizontalSums.Run(s0, s1, s2, s3, sums, add: false);
                float* to = c.Pointer + row * c.RowStride + column;
                for (nint r = 0; r < rows; r++)
                    to[r * c.RowStride] = epilogue.Add ? to[r * c.RowStride + epilogue.AddendOffset] + sums[r] : sums[r];
            }
        }
    }
}

/// <summary>A times a single column, with the epilogue. One item is a row.</summary>
internal unsafe struct MatrixVectorProduct : IKernel
{
    public nint K, CRowStride;
    public Matrix A;
    public float* B, C;
    public Epilogue Epilogue;

    public override readonly string ToString() => $"MatrixVectorProduct x{K}";

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        float* c = C + begin * CRowStride;
        DotProducts.Run<V>(end - begin, 1, K, A.Offset(begin * A.RowStride), new Matrix(B, 1), new Matrix(c, CRowStride), Epilogue);
        if (Epilogue.Bias == null && !Epilogue.Relu) return;
        float bias = Epilogue.Bias == null ? 0f : *Epilogue.Bias;
        for (nint row = begin; row < end; row++, c += CRowStride) *c = Epilogue.Relu ? MathF.Max(0f, *c + bias) : *c + bias;
    }
}
