using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Reductions;

/// <summary>
/// y[outer, inner] = the reduction of x[outer, :, inner]. Items are segments of rows, or of blocks of columns. If a row has several
/// segments, their results are combined afterwards, in order.
/// </summary>
internal unsafe struct Reduce<TReduction> : IKernel where TReduction : unmanaged, IReduction
{
    private TReduction _reduction;
    private ReduceShape _shape;
    private float* _x, _shift, _y;
    private double* _parts;

    /// <param name="reduction">The reduction.</param>
    /// <param name="shape">The sizes.</param>
    /// <param name="x">(Outer, Count, Inner).</param>
    /// <param name="shift">(Outer, Inner), the result of an earlier pass; or null for 0.</param>
    /// <param name="y">(Outer, Inner).</param>
    public static void Run(TReduction reduction, ReduceShape shape, float* x, float* shift, float* y)
    {
        nint results = shape.Outer * shape.Inner;
        if (results == 0) return;
        nint segments = shape.Segments;
        using Scratch parts = Scratch.OfDoubles(segments > 1 ? results * segments : 0);
        Reduce<TReduction> kernel = new()
        {
            _reduction = reduction,
            _shape = shape,
            _x = x,
            _shift = shift,
            _y = y,
            _parts = parts.Doubles,
        };
        Launch.Run(kernel, shape.Items, shape.Grain, shape.Inner == 1 ? Isa.For(shape.Count) : Isa.For(shape.Inner));
        if (segments == 1) return;
        for (nint outer = 0; outer < shape.Outer; outer++)
            for (nint i = 0; i < shape.Inner; i++)
            {
                double total = reduction.Initial;
                for (nint s = 0; s < segments; s++) total = reduction.Join(total, parts.Doubles[(outer * segments + s) * shape.Inner + i]);
                nint result = outer * shape.Inner + i;
                y[result] = reduction.Finish(total, shift == null ? 0f : shift[result]);
            }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        if (_shape.Inner == 1 && _shape.Count <= ReduceShape.Block && _shift == null)
        {
            ShortRows<V>(begin, end);
            return;
        }
        double* totals = stackalloc double[(int)ReduceShape.Columns];
        nint inner = _shape.Inner, segments = _shape.Segments, blocks = _shape.ColumnBlocks, segment = _shape.Segment;
        for (nint item = begin; item < end; item++)
        {
            nint row = item / blocks, outer = row / segments, column = item % blocks * ReduceShape.Columns;
            nint from = row % segments * segment, to = Math.Min(_shape.Count, from + segment);
            nint width = Math.Min(ReduceShape.Columns, inner - column);
            float* x = _x + outer * _shape.Count * inner + column, shift = _shift == null ? null : _shift + outer * inner + column;
            for (nint i = 0; i < width; i++) totals[i] = _reduction.Initial;
            if (inner == 1) totals[0] = Row<V>(x, from, to, shift);
            else
                for (nint block = from; block < to; block += ReduceShape.Block)
                    Columns<V>(x + block * inner, inner, Math.Min(ReduceShape.Block, to - block), width, shift, totals);

            for (nint i = 0; i < width; i++)
                if (segments > 1) _parts[row * inner + column + i] = totals[i];
                else _y[outer * inner + column + i] = _reduction.Finish(totals[i], shift == null ? 0f : shift[i]);
        }
    }

    /// <summary>
    /// Rows of one block, such as the channels of a pixel: items are rows, without state between them. The general loop gives the same
    /// values but takes two to four times as long on 3 to 64 channels.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private readonly void ShortRows<V>(nint begin, nint end) where V : unmanaged
    {
        TReduction reduction = _reduction;
        nint n = Count<V>(), count = _shape.Count, whole = count - count % n;
        V neutral = reduction.Neutral<V>(default);
        float* x = _x + begin * count, y = _y;
        for (nint row = begin; row < end; row++, x += count)
        {
            V v = reduction.Start<V>();
            for (nint i = 0; i < whole; i += n) v = reduction.Step(v, Load<V>(x + i), default);
            if (whole < count) v = reduction.Step(v, Load(x + whole, count - whole, neutral), default);
            y[row] = reduction.Finish(reduction.Join(reduction.Initial, reduction.Lanes(v)), 0f);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly double Row<V>(float* x, nint from, nint to, float* shift) where V : unmanaged
    {
        TReduction reduction = _reduction;
        nint n = Count<V>();
        V shift0 = shift == null ? default : Broadcast<V>(*shift), neutral = reduction.Neutral(shift0);
        double total = reduction.Initial;
        for (nint block = from; block < to; block += ReduceShape.Block)
        {
            V v = reduction.Start<V>();
            nint end = Math.Min(to, block + ReduceShape.Block);
            for (nint i = block; i < end; i += n) v = reduction.Step(v, Load(x + i, Math.Min(n, end - i), neutral), shift0);
            total = reduction.Join(total, reduction.Lanes(v));
        }
        return total;
    }

    /// <summary>A block of rows: four vectors of columns at a time, so that steps do not wait for each other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void Columns<V>(float* x, nint inner, nint rows, nint width, float* shift, double* totals) where V : unmanaged
    {
        TReduction reduction = _reduction;
        nint n = Count<V>(), c = 0;
        for (; c <= width - 4 * n; c += 4 * n)
        {
            V v0 = reduction.Start<V>(), v1 = v0, v2 = v0, v3 = v0, s0 = default, s1 = default, s2 = default, s3 = default;
            if (shift != null)
            {
                s0 = Load<V>(shift + c);
                s1 = Load<V>(shift + c + n);
                s2 = Load<V>(shift + c + 2 * n);
                s3 = Load<V>(shift + c + 3 * n);
            }
            float* p = x + c;
            for (nint r = 0; r < rows; r++, p += inner)
            {
                v0 = reduction.Step(v0, Load<V>(p), s0);
                v1 = reduction.Step(v1, Load<V>(p + n), s1);
                v2 = reduction.Step(v2, Load<V>(p + 2 * n), s2);
                v3 = reduction.Step(v3, Load<V>(p + 3 * n), s3);
            }
            Join(v0, totals + c, n);
            Join(v1, totals + c + n, n);
            Join(v2, totals + c + 2 * n, n);
            Join(v3, totals + c + 3 * n, n);
        }
        for (; c < width; c += n)
        {
            nint lanes = Math.Min(n, width - c);
            V v = reduction.Start<V>(), s = shift == null ? default : Load<V>(shift + c, lanes);
            float* p = x + c;
            for (nint r = 0; r < rows; r++, p += inner) v = reduction.Step(v, Load<V>(p, lanes), s);
            Join(v, totals + c, lanes);
        }
    }

    // Not inlined: it runs once per block, and the spilled vector costs nothing in the loops above.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private readonly void Join<V>(V v, double* totals, nint lanes) where V : unmanaged
    {
        float* blocks = (float*)&v;
        for (nint i = 0; i < lanes; i++) totals[i] = _reduction.Join(totals[i], blocks[i]);
    }
}
