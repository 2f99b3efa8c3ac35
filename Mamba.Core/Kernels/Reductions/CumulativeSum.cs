using System.Runtime.CompilerServices;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Reductions;

/// <summary>y[k] (+)= the sum of x[0 .. k], or of x[k ..] in reverse, in double precision. Items are rows, or blocks of columns.</summary>
internal unsafe struct CumulativeSum : IKernel
{
    private ReduceShape _shape;
    private float* _x;
    private GradientTarget _y;
    private bool _reverse;

    public static void Run(ReduceShape shape, float* x, GradientTarget y, bool reverse)
    {
        nint grain = Math.Max(1, Launch.ElementGrain / Math.Max(1, shape.Count * Math.Min(shape.Inner, ReduceShape.Columns)));
        CumulativeSum kernel = new() { _shape = shape, _x = x, _y = y, _reverse = reverse };
        Launch.Run(kernel, shape.Outer * shape.ColumnBlocks, grain);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        GradientTarget y = _y;
        double* sums = stackalloc double[(int)ReduceShape.Columns];
        nint inner = _shape.Inner, rows = _shape.Count, blocks = _shape.ColumnBlocks, step = _reverse ? -inner : inner;
        for (nint item = begin; item < end; item++)
        {
            nint outer = item / blocks, column = item % blocks * ReduceShape.Columns, width = Math.Min(ReduceShape.Columns, inner - column);
            nint at = (outer * rows + (_reverse ? rows - 1 : 0)) * inner + column;
            new Span<double>(sums, (int)width).Clear();
            for (nint r = 0; r < rows; r++, at += step)
                for (nint i = 0; i < width; i++)
                    y.StoreOne((float)(sums[i] += _x[at + i]), y.Pointer + at + i);
        }
    }
}
