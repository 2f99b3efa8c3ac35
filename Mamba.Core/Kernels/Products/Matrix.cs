namespace Mamba.Core.Kernels.Products;

/// <summary>
/// A matrix by its strides: element (i, j) is Pointer[i RowStride + j ColumnStride]. A transpose swaps the strides and copies nothing.
/// </summary>
internal readonly unsafe struct Matrix(float* pointer, nint rowStride, nint columnStride = 1)
{
    public readonly float* Pointer = pointer;
    public readonly nint RowStride = rowStride, ColumnStride = columnStride;

    public Matrix Transposed => new(Pointer, ColumnStride, RowStride);

    public Matrix Offset(nint elements) => new(Pointer + elements, RowStride, ColumnStride);
}

/// <summary>
/// A memory range that the steps of a product prefetch, one cache line per step: all lines, or one line of each row. The code after the
/// product reads it.
/// </summary>
internal readonly unsafe struct PrefetchRange(float* pointer, nint length, nint stride = Simd.Vec.CacheLine)
{
    public readonly float* Pointer = pointer;
    public readonly nint Length = length, Stride = stride;

    private readonly float* _next;
    private readonly nint _nextLength;

    private PrefetchRange(float* pointer, nint length, nint stride, float* next, nint nextLength)
        : this(pointer, length, stride)
    {
        _next = next;
        _nextLength = nextLength;
    }

    /// <summary>This range followed by another one, with the stride of this one.</summary>
    public PrefetchRange Then(PrefetchRange next) => Length == 0 ? next : new(Pointer, Length, Stride, next.Pointer, next.Length);

    /// <summary>The rest after the given number of steps; empty if nothing is left.</summary>
    public PrefetchRange Skip(nint steps) =>
        steps * Stride < Length
            ? new(Pointer + steps * Stride, Length - steps * Stride, Stride, _next, _nextLength)
            : new(_next, _nextLength, Stride);
}
