using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Products;

/// <summary>
/// The addresses of the matrices of a batch: the leading dimensions of a product, with their strides in A, B and C in floats. A stride of 0
/// broadcasts a matrix. Dimensions broadcast in C come last: their products are summed.
/// </summary>
internal struct BatchWalk
{
    private Numbers _extents, _a, _b, _c;
    private int _rank;

    /// <summary>The number of matrices of C, and of products summed into each.</summary>
    public nint Targets { get; private set; } = 1;

    /// <inheritdoc cref="Targets"/>
    public nint Products { get; private set; } = 1;

    public BatchWalk()
    {
    }

    /// <summary>
    /// The walk over broadcast leading dimensions; extents of the operands are aligned at the last, and those of C may broadcast too.
    /// </summary>
    public static BatchWalk Of(ReadOnlySpan<int> all, Operand a, Operand b, Operand c)
    {
        BatchWalk walk = new();
        foreach (bool added in (ReadOnlySpan<bool>)[false, true])
            for (int i = 0; i < all.Length; i++)
            {
                if (c.Repeats(all, i) != added) continue;
                (walk._extents[walk._rank], walk._a[walk._rank]) = (all[i], a.Stride(all, i));
                (walk._b[walk._rank], walk._c[walk._rank++]) = (b.Stride(all, i), c.Stride(all, i));
                if (added) walk.Products *= all[i];
                else walk.Targets *= all[i];
            }
        return walk;
    }

    /// <summary>The offsets of the three matrices of a product.</summary>
    public readonly (nint A, nint B, nint C) At(nint target, nint product)
    {
        nint a = 0, b = 0, c = 0, rest = target * Products + product;
        for (int i = _rank - 1; i >= 0; i--)
        {
            (rest, nint index) = Math.DivRem(rest, _extents[i]);
            a += index * _a[i];
            b += index * _b[i];
            c += index * _c[i];
        }
        return (a, b, c);
    }

    /// <summary>The leading dimensions of an operand, and the size of one of its matrices in floats.</summary>
    public readonly ref struct Operand(ReadOnlySpan<int> extents, nint matrix)
    {
        private readonly ReadOnlySpan<int> _extents = extents;

        public bool Repeats(ReadOnlySpan<int> all, int dimension) => Own(all, dimension) is var own
            && (own < 0 || _extents[own] != all[dimension]);

        public nint Stride(ReadOnlySpan<int> all, int dimension)
        {
            if (Repeats(all, dimension)) return 0;
            nint stride = matrix;
            for (int i = Own(all, dimension) + 1; i < _extents.Length; i++) stride *= _extents[i];
            return stride;
        }

        private int Own(ReadOnlySpan<int> all, int dimension) => dimension + _extents.Length - all.Length;
    }

    [InlineArray(Shape.MaxRank)]
    private struct Numbers
    {
        private nint _first;
    }
}

/// <summary>
/// C_t (+)= the sum of A_i B_i over its products, for each matrix of a batch. One item is a block of rows of one C_t, on one thread. A
/// batch of small products then uses all threads, where a single one could not.
/// </summary>
internal unsafe struct BatchedProduct : IKernel
{
    // A block of rows amortizes packing B again, and its part of A stays in L2 beside a panel.
    private const nint RowBlock = 96;

    // Longer rows would not stay in L2: then each product uses all threads in turn.
    private const nint LongestInner = 1024;

    private BatchWalk _walk;
    private nint _m, _n, _k, _blocks;
    private Matrix _a, _b;
    private float* _c;
    private bool _add;

    /// <summary>C (M x N, contiguous) (+)= A (M x K) B (K x N).</summary>
    public static void Run(in BatchWalk walk, nint m, nint n, nint k, Matrix a, Matrix b, float* c, bool add)
    {
        if (walk.Targets * m * n == 0) return;
        if (walk.Products == 0 || k == 0)
        {
            if (!add) Clear(c, walk.Targets * m * n);
            return;
        }
        if (walk.Targets > 1 && k <= LongestInner)
        {
            nint blocks = Launch.CeilDiv(m, RowBlock);
            BatchedProduct kernel = new() { _walk = walk, _m = m, _n = n, _k = k, _blocks = blocks, _a = a, _b = b, _c = c, _add = add };
            nint work = Math.Min(RowBlock, m) * n * k * walk.Products;
            Launch.Run(kernel, walk.Targets * blocks, Math.Max(1, WorthAnItem / Math.Max(1, work)), Isa.For(n));
            return;
        }
        for (nint target = 0; target < walk.Targets; target++)
            for (nint product = 0; product < walk.Products; product++)
            {
                (nint i, nint j, nint to) = walk.At(target, product);
                Gemm.Run(m, n, k, a.Offset(i), b.Offset(j), c + to, n, new Epilogue(add: add || product > 0));
            }
    }

    // Multiply-adds that are worth waking a thread for.
    private const nint WorthAnItem = 1 << 16;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        using Scratch panel = new(Gemm.PanelSize<V>(_k));
        for (nint item = begin; item < end; item++)
        {
            nint target = item / _blocks, row = item % _blocks * RowBlock, rows = Math.Min(RowBlock, _m - row);
            for (nint product = 0; product < _walk.Products; product++)
            {
                (nint i, nint j, nint to) = _walk.At(target, product);
                Matrix c = new(_c + to + row * _n, _n);
                Gemm.Serial<V>(rows, _n, _k, _a.Offset(i + row * _a.RowStride), _b.Offset(j), c, panel.Pointer, _add || product > 0);
            }
        }
    }

    private static void Clear(float* c, nint count)
    {
        for (nint done = 0; done < count; done += int.MaxValue) new Span<float>(c + done,
            (int)Math.Min(int.MaxValue, count - done)).Clear();
    }
}
