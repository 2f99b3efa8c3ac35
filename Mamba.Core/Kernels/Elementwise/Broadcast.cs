using System.Runtime.CompilerServices;
using Mamba.Core.Memory;
using Mamba.Core.Simd;
using static Mamba.Core.Simd.Vec;

namespace Mamba.Core.Kernels.Elementwise;

/// <summary>A function of two variables, passed to kernels as a type argument.</summary>
internal interface IBinary
{
    static abstract V Apply<V>(V a, V b) where V : unmanaged;
}

internal readonly struct Sum2 : IBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged => a + b;
}

internal readonly struct Difference : IBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged => a - b;
}

internal readonly struct Product : IBinary
{
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static V Apply<V>(V a, V b) where V : unmanaged => a * b;
}

/// <summary>
/// Iterates over two or three operands under NumPy's broadcasting: dimensions of extent 1 have stride 0. Adjacent dimensions with
/// compatible strides are merged, so most cases are one or two loops.
/// </summary>
internal unsafe struct BroadcastWalk
{
    public int Rank;
    public fixed int Extent[Core.Shape.MaxRank];
    public fixed int StrideA[Core.Shape.MaxRank];
    public fixed int StrideB[Core.Shape.MaxRank];
    public fixed int StrideC[Core.Shape.MaxRank];

    /// <summary>The shape of the result; false if the operands do not broadcast.</summary>
    public static bool TryShape(string operatorName, Shape a, Shape b, out Shape result)
    {
        Span<int> extents = stackalloc int[Math.Max(a.Rank, b.Rank)];
        for (int i = 1; i <= extents.Length; i++)
        {
            int x = i <= a.Rank ? a[^i] : 1, y = i <= b.Rank ? b[^i] : 1;
            extents[^i] = x == 1 ? y : x;
            if (x != y && x != 1 && y != 1)
            {
                result = default;
                return false;
            }
        }
        result = Shape.Of(operatorName, extents);
        return true;
    }

    public BroadcastWalk(Shape result, Shape a, Shape b) : this(result, a, b, new Shape())
    {
    }

    public BroadcastWalk(Shape result, Shape a, Shape b, Shape c)
    {
        // From the innermost dimension outwards; merges a dimension into the previous one where all strides allow.
        const int Max = Core.Shape.MaxRank;
        Span<int> extent = stackalloc int[Max], strideA = stackalloc int[Max], strideB = stackalloc int[Max], strideC = stackalloc int[Max];
        int rank = 0, sizeA = 1, sizeB = 1, sizeC = 1;
        for (int i = 1; i <= result.Rank; i++)
        {
            int n = result[^i], sa = Stride(a, i, ref sizeA), sb = Stride(b, i, ref sizeB), sc = Stride(c, i, ref sizeC);
            if (n == 1) continue;
            bool continues = rank > 0 && Continues(sa, strideA, extent) && Continues(sb, strideB, extent) && Continues(sc, strideC, extent);
            if (continues) extent[rank - 1] *= n;
            else
            {
                (extent[rank], strideA[rank], strideB[rank], strideC[rank]) = (n, sa, sb, sc);
                rank++;
            }
        }
        if (rank == 0) (extent[rank], strideA[rank], strideB[rank], strideC[rank++]) = (1, 0, 0, 0);
        Rank = rank;
        for (int i = 0; i < rank; i++)
        {
            Extent[i] = extent[rank - 1 - i];
            StrideA[i] = strideA[rank - 1 - i];
            StrideB[i] = strideB[rank - 1 - i];
            StrideC[i] = strideC[rank - 1 - i];
        }

        // The stride of dimension -i of an operand; multiplies size by its extent.
        static int Stride(Shape shape, int i, ref int size)
        {
            int stride = i <= shape.Rank && shape[^i] != 1 ? size : 0;
            if (i <= shape.Rank) size *= shape[^i];
            return stride;
        }

        bool Continues(int stride, ReadOnlySpan<int> strides, ReadOnlySpan<int> extents) => stride == strides[rank - 1] * extents[rank - 1];
    }

    /// <summary>Whether consecutive short rows of A all use the same row of B: per-channel values over an image.</summary>
    public readonly bool RepeatsShortRow =>
        Rank == 2 && StrideA[1] == 1 && StrideA[0] == Extent[1] && StrideB[1] == 1 && StrideB[0] == 0 && Extent[1] < 64 && Extent[0] >= 64;

    /// <summary>Joins several rows into one if <see cref="RepeatsShortRow"/>; the caller repeats B's row as often.</summary>
    public void JoinRows(int rows)
    {
        Extent[0] /= rows;
        Extent[1] *= rows;
        StrideA[0] *= rows;
    }

    /// <summary>The extent of the innermost loop.</summary>
    public readonly nint Inner => Extent[Rank - 1];

    /// <summary>The start of row <paramref name="row"/> (an index over all but the innermost dimension) in both operands.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly void Offsets(nint row, out nint a, out nint b)
    {
        a = b = 0;
        for (int i = Rank - 2; i > 0; i--)
        {
            nint index = row % Extent[i];
            row /= Extent[i];
            a += index * StrideA[i];
            b += index * StrideB[i];
        }
        if (Rank > 1)
        {
            a += row * StrideA[0];
            b += row * StrideB[0];
        }
    }

    /// <summary>The start of a row in the third operand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly nint OffsetC(nint row)
    {
        nint c = 0;
        for (int i = Rank - 2; i > 0; row /= Extent[i--]) c += row % Extent[i] * StrideC[i];
        return Rank > 1 ? c + row * StrideC[0] : 0;
    }
}

/// <summary>y = f(a, b) under broadcasting. Items are rows, or elements if there is only one row.</summary>
internal unsafe struct BroadcastForward<TBinary> : IKernel where TBinary : struct, IBinary
{
    public BroadcastWalk Walk;
    public float* A, B, Y;

    public static void Run(Shape result, Shape shapeA, Shape shapeB, float* a, float* b, float* y)
    {
        if (result.Count == 0) return;
        BroadcastWalk walk = new(result, shapeA, shapeB);
        nint together = walk.RepeatsShortRow ? Isa.RowsOfWholeVectors(walk.Inner) : 1;
        using Scratch repeated = new(together > 1 && walk.Extent[0] % together == 0 ? together * walk.Inner : 0);
        if (repeated.Pointer != null)
        {
            // Joins several short rows into a longer one of full vectors, with the second operand repeated.
            for (nint i = 0; i < together; i++)
                Unsafe.CopyBlockUnaligned(repeated.Pointer + i * walk.Inner, b, (uint)walk.Inner * sizeof(float));
            walk.JoinRows((int)together);
            b = repeated.Pointer;
        }
        BroadcastForward<TBinary> kernel = new() { Walk = walk, A = a, B = b, Y = y };
        if (walk.Rank == 1) Launch.Run(kernel, walk.Inner, Launch.ElementGrain);
        else Launch.Run(kernel, result.Count / walk.Inner, Math.Max(1, Launch.ElementGrain / walk.Inner), Isa.For(walk.Inner));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        int last = Walk.Rank - 1;
        nint inner = Walk.Inner, stepA = Walk.StrideA[last], stepB = Walk.StrideB[last];
        if (last == 0)
        {
            Row<V>(A + begin * stepA, B + begin * stepB, Y + begin, end - begin, stepA, stepB);
            return;
        }
        if (inner == Count<V>() && last == 1)
        {
            OneVectorRows<V>(begin, end, stepA, stepB);
            return;
        }
        for (nint row = begin; row < end; row++)
        {
            Walk.Offsets(row, out nint a, out nint b);
            Row<V>(A + a, B + b, Y + row * inner, inner, stepA, stepB);
        }
    }

    /// <summary>Rows of at most one vector, such as the channels of a pixel: the general loops take five times as long.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private readonly void OneVectorRows<V>(nint begin, nint end, nint stepA, nint stepB) where V : unmanaged
    {
        nint n = Count<V>(), rowA = Walk.StrideA[0], rowB = Walk.StrideB[0];
        float* a = A + begin * rowA, b = B + begin * rowB, y = Y + begin * n;
        for (nint row = begin; row < end; row++, a += rowA, b += rowB, y += n)
            Store(TBinary.Apply(stepA == 0 ? Broadcast<V>(*a) : Load<V>(a), stepB == 0 ? Broadcast<V>(*b) : Load<V>(b)), y);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Row<V>(float* a, float* b, float* y, nint count, nint stepA, nint stepB) where V : unmanaged
    {
        nint n = Count<V>(), i = 0;
        V a0 = Broadcast<V>(*a), b0 = Broadcast<V>(*b);
        for (; i <= count - n; i += n) Store(TBinary.Apply(stepA == 0 ? a0 : Load<V>(a + i), stepB == 0 ? b0 : Load<V>(b + i)), y + i);
        if (i == count) return;
        nint lanes = count - i;
        Store(TBinary.Apply(stepA == 0 ? a0 : Load<V>(a + i, lanes), stepB == 0 ? b0 : Load<V>(b + i, lanes)), y + i, lanes);
    }
}

/// <summary>
/// The gradient of a broadcast operand: target (+)= factor times the sum over the broadcast dimensions of dy, or of dy times the other
/// operand. Walk.A is the target, Walk.B the other operand.
/// </summary>
internal unsafe struct BroadcastGradient : IKernel
{
    private const nint MaxParts = 16;
    private const nint SumBlock = 256;

    private BroadcastWalk _walk;
    private float* _dy, _other, _sums;
    private float _factor;
    private nint _perPart, _partSize;

    public static void Run(Shape result, Shape shape, float* dy, float* other, Shape otherShape, float factor, GradientTarget target)
    {
        if (result.Count == 0)
        {
            target.Prepare(target.Pointer, shape.Count);
            return;
        }
        BroadcastWalk walk = new(result, shape, otherShape);
        nint rows = result.Count / walk.Inner, count = shape.Count;
        BroadcastGradient kernel = new() { _walk = walk, _dy = dy, _other = other, _factor = factor };
        // If the outermost loop advances the target, its blocks write to separate memory. Otherwise each part has its own sums.
        bool separate = walk.Rank > 1 && walk.StrideA[0] != 0;
        nint unit = separate ? rows / walk.Extent[0] : 1;
        nint units = Math.Max(Launch.CeilDiv(rows / unit, MaxParts), Launch.ElementGrain / Math.Max(1, unit * walk.Inner));
        nint perPart = unit * Math.Max(1, units);
        nint parts = Launch.CeilDiv(rows, perPart);
        kernel._perPart = perPart;
        using Scratch sums = new(separate ? count : parts * count);
        new Span<float>(sums.Pointer, (int)(separate ? count : parts * count)).Clear();
        kernel._sums = sums.Pointer;
        kernel._partSize = separate ? 0 : count;
        Launch.Run(kernel, rows, perPart);
        nint copies = separate ? 1 : parts;
        for (nint i = 0; i < count; i++)
        {
            float sum = 0f;
            for (nint p = 0; p < copies; p++) sum += sums.Pointer[p * count + i];
            target.StoreOne(sum, target.Pointer + i);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public readonly void Run<V>(nint begin, nint end) where V : unmanaged
    {
        int last = _walk.Rank - 1;
        nint n = Count<V>(), inner = _walk.Inner, stepTarget = _walk.StrideA[last], stepOther = _walk.StrideB[last];
        float* sums = _sums + begin / _perPart * _partSize;
        V factor = Broadcast<V>(_factor);
        for (nint row = begin; row < end; row++)
        {
            _walk.Offsets(row, out nint a, out nint b);
            float* dy = _dy + row * inner, target = sums + a, other = _other + b;
            V other0 = _other == null ? factor : factor * Broadcast<V>(*other);
            for (nint from = 0; from < inner; from += SumBlock)
            {
                V sum = default; // per block, so that long sums do not lose low bits
                nint to = Math.Min(inner, from + SumBlock);
                for (nint i = from; i < to; i += n)
                {
                    nint lanes = Math.Min(n, to - i);
                    V g = Load<V>(dy + i, lanes) * (_other == null || stepOther == 0 ? other0 : factor * Load<V>(other + i, lanes));
                    if (stepTarget == 0) sum += g;
                    else Store(Load<V>(target + i, lanes) + g, target + i, lanes);
                }
                if (stepTarget == 0) *target += Sum(sum);
            }
        }
    }
}
