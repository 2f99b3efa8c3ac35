namespace Mamba.Core;

public static unsafe partial class Ops
{
    /// <summary>Softmax over the last dimension.</summary>
    public static Tensor Softmax(Tensor x) =>
        throw new NotImplementedException();

    /// <summary>Logarithm of softmax over the last dimension.</summary>
    public static Tensor LogSoftmax(Tensor x) =>
        throw new NotImplementedException();

    /// <summary>Scaled dot-product attention by heads: q (B, Lq, H Dh), k and v (B, Lk, H Dh); result (B, Lq, H Dh); scores are scaled by 1 / sqrt(Dh).</summary>
    public static Tensor Attention(Tensor q, Tensor k, Tensor v, int heads) =>
        throw new NotImplementedException();
}
