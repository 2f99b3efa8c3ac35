using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Reductions;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Indexing;

/// <summary>
/// Gather and scatter along a dimension: y[o, j, i] (+)= x[o, index[o, j, i], i], and target[o, index[o, j, i], i] += source[o, j, i].
/// Items are blocks of columns, so no two of them share a target. Sums run in the order of j: duplicates give the same bits for any number
/// of threads.
/// </summary>
internal unsafe struct LineIndexing : IKernel
{
    private ReduceShape _shape;
    private nint _indices;
    private float* _lines, _index;
    private GradientTarget _values;
    private bool _scatter;

    /// <param name="shape">(Outer, Count, Inner) of x.</param>
    /// <param name="indices">Indices per line.</param>
    /// <param name="x">The source.</param>
    /// <param name="index">(Outer, indices, Inner), integers below Count.</param>
    /// <param name="y">(Outer, indices, Inner).</param>
    public static void Gather(ReduceShape shape, nint indices, float* x, float* index, GradientTarget y) =>
        Run(new LineIndexing { _shape = shape, _indices = indices, _lines = x, _index = index, _values = y });

    /// <param name="shape">(Outer, Count, Inner) of the target.</param>
    /// <param name="indices">Indices per line.</param>
    /// <param name="target">The tensor to add to.</param>
    /// <param name="index">(Outer, indices, Inner), integers below Count.</param>
    /// <param name="source">(Outer, indices, Inner).</param>
    public static void ScatterAdd(ReduceShape shape, nint indices, float* target, float* index, float* source) =>
        Run(new LineIndexing { _shape = shape, _indices = indices, _lines = target, _index = index, _values = source, _scatter = true });

    private static void Run(in LineIndexing kernel)
    {
        nint perItem = Math.Max(1, kernel._indices * Math.Min(kernel._shape.Inner, ReduceShape.Columns));
        Launch.Run(kernel, kernel._shape.Outer * kernel._shape.ColumnBlocks, Math.Max(1, Launch.ElementGrain / perItem));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint inner = _shape.Inner, blocks = _shape.ColumnBlocks;
        GradientTarget values = _values;
        for (nint item = begin; item < end; item++)
        {
            nint outer = item / blocks, column = item % blocks * ReduceShape.Columns, width = Math.Min(ReduceShape.Columns, inner - column);
            float* lines = _lines + outer * _shape.Count * inner + column;
            nint at = outer * _indices * inner + column;
            for (nint j = 0; j < _indices; j++, at += inner)
                for (nint i = 0; i < width; i++)
                {
                    float* place = lines + (nint)_index[at + i] * inner + i, value = values.Pointer + at + i;
                    if (_scatter) *place += *value;
                    else values.StoreOne(*place, value);
                }
        }
    }
}
