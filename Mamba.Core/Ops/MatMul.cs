namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>x weight^T + bias over the last dimension: x (..., In), weight (Out, In), bias (Out).</summary>
    public static Tensor Linear(Tensor x, Tensor weight, Tensor? bias = null) =>
        throw new NotImplementedException();

    /// <summary>Batched matrix product a (..., M, K) times b (..., K, N), with equal leading dimensions; or of transposes of the last two.</summary>
    public static Tensor MatMul(Tensor a, Tensor b, bool transposeA = false, bool transposeB = false) =>
        throw new NotImplementedException();
}
