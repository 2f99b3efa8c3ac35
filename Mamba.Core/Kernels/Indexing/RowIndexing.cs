using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Reductions;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Indexing;

/// <summary>Rows by a list of indices, the same for all outer indices: y[o, j, :] = x[o, places[j], :]. Items are rows of y.</summary>
internal unsafe struct SelectRows : IKernel
{
    public ReduceShape Shape;
    public float* X, Y;
    public int* Places;
    public nint Selected;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint inner = Shape.Inner, n = Count<V>();
        for (nint item = begin; item < end; item++)
        {
            float* x = X + (item / Selected * Shape.Count + Places[item % Selected]) * inner, y = Y + item * inner;
            for (nint i = 0; i < inner; i += n)
            {
                nint lanes = Math.Min(n, inner - i);
                Store(Load<V>(x + i, lanes), y + i, lanes);
            }
        }
    }

    public static void Run(ReduceShape shape, float* x, int* places, nint count, float* y) => Launch.Run(
        new SelectRows { Shape = shape, X = x, Y = y, Places = places, Selected = count }, shape.Outer * count,
        Math.Max(1, Launch.ElementGrain / Math.Max(1, shape.Inner)));
}

/// <summary>
/// The transpose: dx[o, r, :] (+)= the sum, in order, of dy[o, j, :] over all j with places[j] = r. A counting sort groups the indices by
/// row. Each row of dx is then one work item, and duplicates give the same bits for any number of threads.
/// </summary>
internal unsafe struct AddSelectedRows : IKernel
{
    private ReduceShape _shape;
    private float* _dy;
    private GradientTarget _dx;
    private int* _starts, _order;
    private nint _places;

    /// <param name="shape">(Outer, Count, Inner) of dx.</param>
    /// <param name="dy">(Outer, places, Inner).</param>
    /// <param name="places">Rows of dx.</param>
    /// <param name="count">The number of indices.</param>
    /// <param name="ignored">A row that gets no gradient; -1 for none.</param>
    /// <param name="dx">(Outer, Count, Inner).</param>
    public static void Run(ReduceShape shape, float* dy, int* places, nint count, int ignored, GradientTarget dx)
    {
        using Scratch memory = new(shape.Count + 1 + count);
        int* starts = (int*)memory.Pointer, order = starts + shape.Count + 1;
        new Span<int>(starts, (int)shape.Count + 1).Clear();
        for (nint j = 0; j < count; j++)
            if (places[j] != ignored) starts[places[j] + 1]++;
        for (nint r = 0; r < shape.Count; r++) starts[r + 1] += starts[r];
        for (nint j = 0; j < count; j++)
            if (places[j] != ignored) order[starts[places[j]]++] = (int)j;
        // Filling has advanced every start to the next one; shift them back.
        for (nint r = shape.Count; r > 0; r--) starts[r] = starts[r - 1];
        starts[0] = 0;
        AddSelectedRows kernel = new() { _shape = shape, _dy = dy, _dx = dx, _starts = starts, _order = order, _places = count };
        Launch.Run(kernel, shape.Outer * shape.Count, Math.Max(1, Launch.ElementGrain / Math.Max(1, shape.Inner)));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint inner = _shape.Inner, n = Count<V>();
        GradientTarget target = _dx;
        for (nint item = begin; item < end; item++)
        {
            nint outer = item / _shape.Count, row = item % _shape.Count;
            int first = _starts[row], last = _starts[row + 1];
            if (target.Accumulate && first == last) continue;
            float* dx = target.Pointer + item * inner, dy = _dy + outer * _places * inner;
            for (nint i = 0; i < inner; i += n)
            {
                nint lanes = Math.Min(n, inner - i);
                V sum = default;
                for (int j = first; j < last; j++) sum += Load<V>(dy + _order[j] * inner + i, lanes);
                target.Store(sum, dx + i, lanes);
            }
        }
    }
}
