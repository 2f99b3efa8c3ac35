using System.Runtime.CompilerServices;
using Mamba.Core.Kernels.Elementwise;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Products;

/// <summary>C (+)= A B for one panel of B: tiles of rows, block by block of their sums.</summary>
internal static unsafe class PanelProduct
{
    // The partial sums of so many rows by two vectors take at most 12 KiB.
    private const int MaxSums = 96;

    /// <summary>Multiplies <paramref name="rows"/> rows by one panel; stores <paramref name="lanes"/> of its columns.</summary>
    /// <param name="t">Strides and run lengths, <see cref="TileShape.InBlocks"/>.</param>
    /// <param name="rows">Rows of A and C.</param>
    /// <param name="a">The first scalar of row 0.</param>
    /// <param name="b">The packed panel.</param>
    /// <param name="c">The first result of row 0.</param>
    /// <param name="lanes">Columns to store, at most two vectors.</param>
    /// <param name="epilogue">Applied to the results; its bias is that of these columns.</param>
    /// <remarks>
    /// Long sums are split into blocks for two reasons. The rounding error of a sum grows with the square root of its length: a 3x3
    /// convolution of 512 channels adds 4,608 products. And a block of the panel stays in L1 while all rows use it. The blocks are added in
    /// a buffer and not in C, whose rows may conflict in the cache.
    /// </remarks>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Run<V>(in TileShape t, nint rows, float* a, float* b, float* c, nint lanes, in Epilogue epilogue) where V : unmanaged
    {
        // For a few last columns, half a vector takes half the time where the processor splits vectors, otherwise the same time.
        if (2 * lanes <= Count<V>())
            Launch.RunAtHalfWidth<HalfWidthProduct, V>(
                new HalfWidthProduct { Shape = t, A = a, B = b, C = c, Lanes = lanes, Epilogue = epilogue }, rows);
        else Tiles<V>(t, rows, a, b, c, lanes, epilogue);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    [SkipLocalsInit]
    private static void Tiles<V>(in TileShape t, nint rows, float* a, float* b, float* c, nint lanes, in Epilogue epilogue)
        where V : unmanaged
    {
        nint n = Count<V>(), width = lanes <= n ? n : 2 * n, outer = t.OuterBlock, inner = t.InnerBlock, length = t.LengthBlock;
        bool narrow = width == n, whole = lanes == width;
        if (whole && outer >= t.Outer && inner >= t.Inner && length >= t.Length)
        {
            TileOutput result = new()
            {
                Target = c,
                TargetRowStride = t.CRowStride,
                Addend = epilogue.Add ? c + epilogue.AddendOffset : null,
                AddendRowStride = t.CRowStride,
                Bias = epilogue.Bias,
                Relu = epilogue.Relu,
            };
            Block<V>(
                t, new() { Outer = t.Outer, Inner = t.Inner, Length = t.Length, PrefetchDistance = t.PrefetchDistance }, rows, narrow, a, b,
                ref result);
            return;
        }
        // Tiles write full vectors. Partial vectors at the end of a panel go through the buffer, and so does their bias.
        float* sums = stackalloc float[MaxSums * 2 * 16], bias = epilogue.Bias, padded = stackalloc float[2 * 16];
        if (!whole && bias != null)
        {
            new Span<float>(padded, (int)width).Clear();
            new ReadOnlySpan<float>(bias, (int)lanes).CopyTo(new Span<float>(padded, (int)width));
            bias = padded;
        }
        BlockShape block = default;
        TileOutput partial = new() { Target = sums, TargetRowStride = width, Addend = sums, AddendRowStride = width };
        for (nint r = 0, count; r < rows; r += count)
        {
            count = Math.Min(MaxSums, rows - r);
            float* panel = b, target = c + r * t.CRowStride;
            for (nint i = 0; i < t.Outer; i += outer)
                for (nint j = 0; j < t.Inner; j += inner)
                    for (nint k = 0; k < t.Length; k += length)
                    {
                        (block.Outer, block.Inner, block.Length) =
                            (Math.Min(outer, t.Outer - i), Math.Min(inner, t.Inner - j), Math.Min(length, t.Length - k));
                        block.PrefetchDistance = t.PrefetchStride == 0 ? 0 : t.PrefetchDistance + k * (t.PrefetchStride - t.AColumnStride);
                        TileOutput output = partial;
                        bool first = i + j + k == 0, last = i + outer >= t.Outer && j + inner >= t.Inner && k + length >= t.Length;
                        if (first)
                        {
                            output.Addend = whole && epilogue.Add ? target + epilogue.AddendOffset : null;
                            output.AddendRowStride = t.CRowStride;
                            output.Bias = bias;
                        }
                        if (last && whole)
                        {
                            output.Target = target;
                            output.TargetRowStride = t.CRowStride;
                            output.Relu = epilogue.Relu;
                        }
                        Block<V>(t, block, count, narrow,
                            a + r * t.ARowStride + i * t.OuterStride + j * t.InnerStride + k * t.AColumnStride, panel, ref output);
                        panel += block.Outer * block.Inner * block.Length * t.BRowStride;
                    }
            if (!whole) WriteSums<V>(count, sums, width, target, t.CRowStride, lanes, epilogue);
        }
    }

    /// <summary>Rows of tiles over one block of the sums.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Block<V>(in TileShape t, in BlockShape block, nint rows, bool narrow, float* a, float* b, ref TileOutput output)
        where V : unmanaged
    {
        nint height, largest = narrow ? MicroKernel.MaxRows : MicroKernel.MaxRowsOfTwoVectors;
        for (nint r = 0; r < rows; r += height, a += height * t.ARowStride, output.Target += height * output.TargetRowStride)
        {
            height = Height(rows - r, largest);
            MicroKernel.Run<V>(height, narrow, t, block, a, b, output);
            if (output.Addend != null) output.Addend += height * output.AddendRowStride;
        }
    }

    /// <summary>
    /// The rows of the next tile: as many as possible, unless too few rows would remain to hide the latency of their FMAs.
    /// </summary>
    /// <param name="left">Remaining rows.</param>
    /// <param name="largest">Rows of the largest tile.</param>
    public static nint Height(nint left, nint largest)
    {
        const int Most = MicroKernel.MaxRows;
        // Tiles of thirteen rows absorb the remainder of twelves, or make the number of rows even: 12, 8, 6 and 4 then suffice.
        nint over = left % Most;
        if (largest > Most && ((over > 0 && over <= left / Most) || (left > 16 && nint.IsOddInteger(left)))) return Most + 1;
        return left switch
        {
            8 or 14 or 16 or 20 when largest >= Most => 8,
            >= Most when largest >= Most => Most,
            7 or 8 or 11 => 4,
            >= 6 => 6,
            5 => 3,
            _ => left,
        };
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void WriteSums<V>(nint rows, float* sums, nint sumRowStride, float* c, nint cRowStride, nint lanes, in Epilogue epilogue)
        where V : unmanaged
    {
        for (nint r = 0; r < rows; r++, sums += sumRowStride, c += cRowStride)
            for (nint i = 0; i < lanes; i += Count<V>())
            {
                nint count = Math.Min(Count<V>(), lanes - i);
                V v = Load<V>(sums + i);
                if (epilogue.Add) v += Load<V>(c + epilogue.AddendOffset + i, count);
                Store(epilogue.Relu ? Max(default, v) : v, c + i, count);
            }
    }

    /// <summary><see cref="Run"/> at the vector width that suits its columns.</summary>
    private struct HalfWidthProduct : IKernel
    {
        public TileShape Shape;
        public float* A, B, C;
        public nint Lanes;
        public Epilogue Epilogue;

        public readonly void Run<V>(nint begin, nint end) where V : unmanaged => Tiles<V>(Shape, end, A, B, C, Lanes, Epilogue);
    }
}
