using System.Runtime.CompilerServices;
using Mamba.Core.Simd;

namespace Mamba.Core.Kernels.Reductions;

/// <summary>
/// Values and their indices as keys that sort as 64-bit integers, so that ties keep their order. NaN counts as the largest, as in PyTorch,
/// and -0 equals 0.
/// </summary>
internal static class OrderKey
{
    /// <summary>The key of a value at an index; the smallest key comes first.</summary>
    public static ulong Of(float x, nint place, bool largestFirst)
    {
        uint bits = float.IsNaN(x) ? 0x7FC00000u : BitConverter.SingleToUInt32Bits(x + 0f); // -0 + 0 is 0
        uint rising = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
        return (ulong)(largestFirst ? ~rising : rising) << 32 | (uint)place;
    }

    public static nint Place(ulong key) => (nint)(uint)key;
}

/// <summary>The index, as a float, of the largest or smallest value: the first on ties. Items are results.</summary>
internal unsafe struct ExtremePlace<TOrder> : IKernel where TOrder : unmanaged, IOrder
{
    public ReduceShape Shape;
    public float* X, Y;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint inner = Shape.Inner, rows = Shape.Count;
        for (nint item = begin; item < end; item++)
        {
            float* x = X + item / inner * rows * inner + item % inner;
            nint best = 0;
            float largest = x[0];
            // The first NaN is the result.
            for (nint r = 1; r < rows && !float.IsNaN(largest); r++)
                if (TOrder.Sign > 0 ? !(x[r * inner] <= largest) : !(x[r * inner] >= largest)) (best, largest) = (r, x[r * inner]);
            Y[item] = best;
        }
    }
}

/// <summary>
/// The first K values of each row, or column, in sorted order, with their indices as floats; K may be all. Items are rows or columns.
/// </summary>
internal unsafe struct FirstInOrder : IKernel
{
    public ReduceShape Shape;
    public float* X, Values, Places;
    public nint K;
    public bool LargestFirst;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        nint inner = Shape.Inner, rows = Shape.Count, k = K;
        using Memory.Scratch memory = new(2 * k);
        Span<ulong> kept = new(memory.Pointer, (int)k);
        for (nint item = begin; item < end; item++)
        {
            nint outer = item / inner, column = item % inner;
            float* x = X + outer * rows * inner + column;
            for (nint r = 0; r < k; r++) kept[(int)r] = OrderKey.Of(x[r * inner], r, LargestFirst);
            if (k < rows)
            {
                for (int root = (int)k / 2 - 1; root >= 0; root--) Sink(kept, root);
                for (nint r = k; r < rows; r++)
                {
                    ulong key = OrderKey.Of(x[r * inner], r, LargestFirst);
                    if (key >= kept[0]) continue;
                    kept[0] = key;
                    Sink(kept, 0);
                }
            }
            kept.Sort();
            for (nint i = 0; i < k; i++)
            {
                nint place = OrderKey.Place(kept[(int)i]), target = (outer * k + i) * inner + column;
                Values[target] = x[place * inner];
                Places[target] = place;
            }
        }
    }

    /// <summary>Restores the heap, whose root is the last in order, after a change of one node.</summary>
    private static void Sink(Span<ulong> heap, int node)
    {
        ulong key = heap[node];
        for (int child; (child = 2 * node + 1) < heap.Length; node = child)
        {
            if (child + 1 < heap.Length && heap[child + 1] > heap[child]) child++;
            if (heap[child] <= key) break;
            heap[node] = heap[child];
        }
        heap[node] = key;
    }
}
