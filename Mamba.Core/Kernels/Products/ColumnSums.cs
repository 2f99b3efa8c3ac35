using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>Column sums of a row-major matrix, per chunk of rows: the gradient of a bias.</summary>
internal unsafe struct ColumnSums : IKernel
{
    private const nint RowsPerChunk = 1024;

    private float* _x;
    private float* _partial;
    private nint _columns, _rowStride;

    public static void Run(float* x, nint rows, nint columns, nint rowStride, GradientTarget sums)
    {
        nint chunks = Launch.CeilDiv(rows, RowsPerChunk);
        using Scratch partial = new(chunks * columns);
        Launch.Run(new ColumnSums { _x = x, _partial = partial.Pointer, _columns = columns, _rowStride = rowStride }, rows, RowsPerChunk);
        for (nint c = 0; c < columns; c++)
        {
            float sum = 0f;
            for (nint i = 0; i < chunks; i++) sum += partial.Pointer[i * columns + c];
            sums.StoreOne(sum, sums.Pointer + c);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint n = Count<V>(), columns = _columns, row = _rowStride, c = 0;
        float* sums = _partial + begin / RowsPerChunk * columns, x = _x;
        nint from = begin * row, to = end * row;
        for (; c <= columns - 2 * n; c += 2 * n)
        {
            V sum0 = default, sum1 = default;
            for (nint i = from + c; i < to; i += row)
            {
                sum0 += Load<V>(x + i);
                sum1 += Load<V>(x + i + n);
            }
            Store(sum0, sums + c);
            Store(sum1, sums + c + n);
        }
        for (; c < columns; c += n)
        {
            nint lanes = Math.Min(n, columns - c);
            V sum = default;
            for (nint i = from + c; i < to; i += row) sum += Load<V>(x + i, lanes);
            Store(sum, sums + c, lanes);
        }
    }
}
