namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Joins tensors along the last dimension.</summary>
    public static Tensor Concat(params ReadOnlySpan<Tensor> parts) =>
        throw new NotImplementedException();

    /// <summary>Joins tensors along any dimension.</summary>
    public static Tensor ConcatAxis(int axis, params ReadOnlySpan<Tensor> parts) =>
        throw new NotImplementedException();

    /// <summary>Elements [start, start + count) of a dimension, copied.</summary>
    public static Tensor Slice(Tensor x, int axis, int start, int count) =>
        throw new NotImplementedException();

    /// <summary>Reorders dimensions: the i-th of the result is dimension order[i] of x.</summary>
    public static Tensor Permute(Tensor x, params ReadOnlySpan<int> order) =>
        throw new NotImplementedException();

    /// <summary>Reverses a dimension.</summary>
    public static Tensor Flip(Tensor x, int axis) =>
        throw new NotImplementedException();
}
